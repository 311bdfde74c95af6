#include "text/tokenizer_files.hpp"

#include <array>
#include <system_error>

#include "core/error.hpp"
#include "core/files.hpp"
#include "text/tokenizer_json.hpp"

namespace plumb {
namespace {

constexpr std::array kNames{"tokenizer.json",
                            "tokenizer_config.json",
                            "special_tokens_map.json",
                            "added_tokens.json",
                            "tokenizer.model",
                            "vocab.txt",
                            "vocab.json",
                            "merges.txt",
                            "chat_template.jinja"};
constexpr std::size_t kLargestFile = std::size_t{128} << 20;

}  // namespace

TokenizerFiles TokenizerFiles::of_folder(const std::filesystem::path& folder) {
  TokenizerFiles files;
  for (const char* name : kNames) {
    if (std::filesystem::exists(folder / name))
      files.set(name, read_file(folder / name, kLargestFile));
  }
  return files;
}

const std::string& TokenizerFiles::operator[](const std::string& name) const {
  static const std::string none;
  const auto found = contents_.find(name);
  return found == contents_.end() ? none : found->second;
}

void TokenizerFiles::save(const std::filesystem::path& folder,
                          const std::string& chat_template) const {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw DataError(cat(folder.string(), ": cannot be made: ", error.message()));
  TokenizerFiles written = *this;
  if (!chat_template.empty()) {
    const std::string& config = (*this)["tokenizer_config.json"];
    nlohmann::json json =
        config.empty() ? nlohmann::json::object() : parse_json(config, "tokenizer_config.json");
    json["chat_template"] = chat_template;
    written.set("tokenizer_config.json",
                json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    written.set("chat_template.jinja", chat_template);
  }
  for (const auto& [name, contents] : written.contents_)
    write_file_atomically(folder / name, contents);
}

}  // namespace plumb
