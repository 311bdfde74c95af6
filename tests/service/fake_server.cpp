#include <iostream>

#include "config/config.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "service/fake_policy.hpp"
#include "service/http_server.hpp"

namespace {

std::shared_ptr<plumb::service::ServedModels> models(const plumb::test::FakeOptions& options) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options.load_ms));
  auto models = plumb::test::fake_models(options);
  if (options.policy) models->serve_policy(std::make_shared<plumb::test::FakePolicy>());
  return models;
}

}  // namespace

/// `plumb serve` with fake modules and without libtorch, so that tests that abuse the service can
/// run it under sanitizers: service_fake_server [--serve.key=value ...] [--fake.key=value ...]
int main(int argc, char** argv) {
  using namespace plumb;
  try {
    std::vector<Option> options = declared<service::ServeOptions>("serve");
    for (Option& option : declared<test::FakeOptions>("fake")) options.push_back(std::move(option));
    Config config(options);
    for (const std::string& file : Config(options).load_command_line({argv + 1, argv + argc}))
      config.load_file(file);
    config.load_command_line({argv + 1, argv + argc});
    const auto serve = config.values().read<service::ServeOptions>("serve");
    const auto fake = config.values().read<test::FakeOptions>("fake");
    service::Service service(
        serve, service::Access::load(serve), [&] { return models(fake); }, nullptr, "fake");
    service::HttpServer server(service);
    log::info(cat("listening on ", serve.host, ":", server.port()));
    service.start([&](std::exception_ptr error) { server.fail(std::move(error)); });
    server.run();
    log::info("stopped");
    return 0;
  } catch (const std::exception& error) {
    log::error(error.what());
    return 1;
  }
}
