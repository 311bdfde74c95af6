#include <algorithm>
#include <cmath>
#include <iostream>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "cli/json_lines.hpp"
#include "model/checkpoint.hpp"
#include "model/encoder.hpp"

namespace plumb::cli {
namespace {

constexpr std::size_t kBatchTexts = 256;

void print_batch(const Encoder& encoder, const std::vector<std::string>& texts, bool normalize) {
  const at::Tensor embeddings = encoder.embed(texts).contiguous();
  const std::int64_t dimension = encoder.dimension();
  const float* data = embeddings.const_data_ptr<float>();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<float> values(data + static_cast<std::int64_t>(i) * dimension,
                              data + static_cast<std::int64_t>(i + 1) * dimension);
    if (normalize) {
      double squared = 0.0;
      for (const float value : values) squared += static_cast<double>(value) * value;
      const double norm = std::max(std::sqrt(squared), 1e-12);
      for (float& value : values) value = static_cast<float>(value / norm);
    }
    std::cout << to_line({{"embedding", values}});
  }
}

}  // namespace

int embed_command(const Arguments& arguments) {
  const auto options = read_options<EmbedOptions>(arguments);
  const std::unique_ptr<Encoder> encoder = Encoder::load(resolve_model(options.model));
  const bool normalize =
      options.normalize == "yes" || (options.normalize == "auto" && encoder->normalizes());
  InputLines lines(std::cin);
  std::vector<std::string> texts;
  std::string line;
  while (lines.next(line)) {
    texts.push_back(line);
    if (texts.size() == kBatchTexts) {
      print_batch(*encoder, texts, normalize);
      texts.clear();
    }
  }
  if (!texts.empty()) print_batch(*encoder, texts, normalize);
  return 0;
}

}  // namespace plumb::cli
