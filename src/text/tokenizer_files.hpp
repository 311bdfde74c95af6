#pragma once
#include <filesystem>
#include <map>
#include <string>

namespace plumb {

/// The tokenizer files of a Hugging Face folder, kept so that they can be written beside another
/// model.
class TokenizerFiles {
 public:
  /// Reads those tokenizer files that the folder has. Throws DataError if one of them cannot be
  /// read or is too large.
  static TokenizerFiles of_folder(const std::filesystem::path& folder);

  /// Contents of a file, empty if it is absent.
  const std::string& operator[](const std::string& name) const;
  bool has(const std::string& name) const { return contents_.contains(name); }
  void set(const std::string& name, std::string contents) { contents_[name] = std::move(contents); }

  /// Writes all files into `folder`. A `chat_template` that is not empty takes the place of the
  /// stored one, in tokenizer_config.json and in chat_template.jinja.
  void save(const std::filesystem::path& folder, const std::string& chat_template) const;

 private:
  std::map<std::string, std::string> contents_;
};

}  // namespace plumb
