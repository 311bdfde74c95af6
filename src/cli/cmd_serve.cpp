#include <ATen/Parallel.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/serve_models.hpp"
#include "cli/serve_store.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/version.hpp"
#include "service/http_server.hpp"

namespace plumb::cli {
namespace {

std::string to_json(const Config& config) {
  nlohmann::json out = nlohmann::json::object();
  for (const Option& option : config.options()) {
    const std::size_t dot = option.key.find('.');
    out[option.key.substr(0, dot)][option.key.substr(dot + 1)] = config.text(option.key);
  }
  return out.dump();
}

}  // namespace

int serve_command(const Arguments& given) {
  Arguments arguments = given;
  const bool dump_config = take_flag(arguments, "dump-config");
  Config config(serve_option_table());
  for (const std::string& file : Config(serve_option_table()).load_command_line(arguments))
    config.load_file(file);
  config.load_command_line(arguments);
  if (dump_config) {
    std::cout << config.dump();
    return 0;
  }
  const OptionValues& values = config.values();
  const auto options = values.read<service::ServeOptions>("serve");
  if (options.modules.empty() && options.policy.empty())
    throw UsageError("serve.modules and serve.policy are both empty: there is nothing to serve");
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));

  service::Service service(
      options, service::Access::load(options), [&] { return load_served_models(options, values); },
      options.store.empty() ? nullptr : open_score_store(options.store, to_json(config)), kVersion);
  service::HttpServer server(service);
  log::info(cat("listening on ", options.host, ":", server.port(), "; loading ",
                options.modules.size(), " reward modules"));
  service.start([&](std::exception_ptr error) { server.fail(std::move(error)); });
  server.run();
  log::info("stopped");
  return 0;
}

}  // namespace plumb::cli
