#include "model/rope_config.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/error.hpp"
#include "formats/json_text.hpp"

namespace plumb {
namespace {

using nlohmann::json;

double positive(const json& object, const char* key, std::optional<double> otherwise,
                const std::string& where) {
  const std::optional<double> given = find_number(object, key, where);
  if (!given && !otherwise) throw DataError(cat(where, ": \"", key, "\" is missing"));
  const double value = given.value_or(otherwise.value_or(0));
  if (!(value > 0) || !std::isfinite(value)) {
    throw DataError(cat(where, ": \"", key, "\" = ", value, ", expected a positive number"));
  }
  return value;
}

/// The object with the scaling fields, or an empty one. `rope_scaling` wins, as in transformers.
json scaling_object(const json& config, const std::string& where) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) continue;
    if (!found->is_object()) {
      throw DataError(
          cat(where, ": \"", key, "\" is a ", found->type_name(), ", expected an object"));
    }
    if (!found->empty()) return *found;
  }
  return json::object();
}

/// Yarn's factor on cos and sin where the file gives two weights for it instead (transformers,
/// _compute_yarn_parameters).
double yarn_attention_factor(const json& object, double factor, const std::string& where) {
  if (const auto given = find_number(object, "attention_factor", where)) {
    return positive(object, "attention_factor", {}, where);
  }
  const double mscale = find_number(object, "mscale", where).value_or(0);
  const double all_dim = find_number(object, "mscale_all_dim", where).value_or(0);
  if (mscale == 0 || all_dim == 0 || factor <= 1) return 0;
  const auto scale = [&](double weight) { return 0.1 * weight * std::log(factor) + 1; };
  return scale(mscale) / scale(all_dim);
}

void read_scaling(const json& object, RopeScaling& scaling, const std::string& where) {
  if (scaling.type == "default") return;
  scaling.factor = positive(object, "factor", {}, where);
  if (scaling.type == "llama3") {
    scaling.low_freq_factor = positive(object, "low_freq_factor", {}, where);
    scaling.high_freq_factor = positive(object, "high_freq_factor", {}, where);
    if (scaling.high_freq_factor <= scaling.low_freq_factor) {
      throw DataError(cat(where, ": \"high_freq_factor\" = ", scaling.high_freq_factor,
                          ", expected more than \"low_freq_factor\" = ", scaling.low_freq_factor));
    }
  }
  if (scaling.type == "yarn") {
    scaling.beta_fast = positive(object, "beta_fast", 32.0, where);
    scaling.beta_slow = positive(object, "beta_slow", 1.0, where);
    scaling.attention_factor = yarn_attention_factor(object, scaling.factor, where);
    if (!find_bool(object, "truncate", where).value_or(true)) {
      throw DataError(cat(where, ": yarn scaling with \"truncate\": false is not supported"));
    }
  }
}

}  // namespace

void read_rope(const json& config_json, ModelConfig& config, const std::string& where) {
  const json object = scaling_object(config_json, where);
  const std::string place = object.empty() ? where : cat(where, ": rope parameters");
  config.rope_theta = object.contains("rope_theta") && !object["rope_theta"].is_null()
                          ? positive(object, "rope_theta", {}, place)
                          : positive(config_json, "rope_theta", 10000.0, where);
  RopeScaling& scaling = config.rope_scaling;
  scaling.type = find_string(object, "rope_type", place)
                     .value_or(find_string(object, "type", place).value_or("default"));
  constexpr std::array kTypes{"default", "linear", "llama3", "yarn"};
  if (std::find(kTypes.begin(), kTypes.end(), scaling.type) == kTypes.end()) {
    throw DataError(cat(place, ": RoPE scaling \"", scaling.type,
                        "\" is not supported; supported are default, linear, llama3, yarn"));
  }
  const double rotary =
      find_number(object, "partial_rotary_factor", place)
          .value_or(find_number(config_json, "partial_rotary_factor", where).value_or(1));
  if (rotary != 1) {
    throw DataError(cat(where, ": \"partial_rotary_factor\" = ", rotary, " is not supported"));
  }
  read_scaling(object, scaling, place);
  if (scaling.type == "llama3" || scaling.type == "yarn") {
    const char* key = "original_max_position_embeddings";
    const json& holder = config_json.contains(key) ? config_json : object;
    if (find_integer(holder, key, place)) {
      scaling.original_max_position = need_integer(holder, key, 1, std::int64_t{1} << 40, place);
    }
  }
}

void write_rope(const ModelConfig& config, json& out) {
  const RopeScaling& scaling = config.rope_scaling;
  if (!scaling.frequency_divisors.empty()) {
    throw DataError(
        "the model's RoPE frequencies come from a GGUF tensor rope_freqs.weight that is no llama3 "
        "scaling: config.json has no field for them");
  }
  json object = {{"rope_type", scaling.type}};
  if (scaling.type != "default") object["factor"] = scaling.factor;
  if (scaling.type == "llama3") {
    object["low_freq_factor"] = scaling.low_freq_factor;
    object["high_freq_factor"] = scaling.high_freq_factor;
  }
  if (scaling.type == "yarn") {
    object["beta_fast"] = scaling.beta_fast;
    object["beta_slow"] = scaling.beta_slow;
    if (scaling.attention_factor > 0) object["attention_factor"] = scaling.attention_factor;
  }
  if (scaling.type == "llama3" || scaling.type == "yarn") {
    object["original_max_position_embeddings"] = scaling.original_max_position > 0
                                                     ? scaling.original_max_position
                                                     : config.max_position_embeddings;
  }
  out["rope_theta"] = config.rope_theta;
  out["rope_scaling"] = scaling.type == "default" ? json(nullptr) : object;
  object["rope_theta"] = config.rope_theta;
  out["rope_parameters"] = object;
}

std::vector<double> llama3_divisors(const RopeScaling& scaling, double theta,
                                    std::int64_t head_dim) {
  std::vector<double> divisors;
  const auto original = static_cast<double>(scaling.original_max_position);
  for (std::int64_t k = 0; k < head_dim / 2; ++k) {
    const double wavelength =
        2 * std::numbers::pi *
        std::pow(theta, 2 * static_cast<double>(k) / static_cast<double>(head_dim));
    const double smooth = (original / wavelength - scaling.low_freq_factor) /
                          (scaling.high_freq_factor - scaling.low_freq_factor);
    const double kept = std::clamp(smooth, 0.0, 1.0);
    divisors.push_back(1 / ((1 - kept) / scaling.factor + kept));
  }
  return divisors;
}

void recognise_llama3(ModelConfig& config) {
  const std::vector<double>& given = config.rope_scaling.frequency_divisors;
  if (given.empty()) return;
  RopeScaling guess;
  guess.type = "llama3";
  guess.factor = *std::max_element(given.begin(), given.end());
  // What Llama 3.1 and 3.2 use; a GGUF file does not say it.
  guess.low_freq_factor = 1;
  guess.high_freq_factor = 4;
  guess.original_max_position = 8192;
  const auto computed = llama3_divisors(guess, config.rope_theta, config.head_dim);
  const bool same = std::equal(given.begin(), given.end(), computed.begin(), computed.end(),
                               [](double a, double b) { return std::abs(a - b) <= 1e-4 * b; });
  if (same) config.rope_scaling = guess;
}

}  // namespace plumb
