#include "golden_batches.hpp"

#include <numeric>

namespace plumb::test {
namespace {

template <class Test>
std::vector<std::vector<bool>> where(const nlohmann::json& rows, const Test& test) {
  std::vector<std::vector<bool>> out;
  for (const nlohmann::json& row : rows) {
    out.emplace_back();
    for (const nlohmann::json& value : row) out.back().push_back(test(value.get<int>()));
  }
  return out;
}

}  // namespace

PreferenceBatch plain_sums_batch(const nlohmann::json& c) {
  const auto side = [&](const char* policy, const char* reference) {
    const Numbers sums = flat(c[policy]);
    return Sums{sums, c.contains(reference) ? flat(c[reference]) : Numbers(sums.size(), 0.0),
                std::vector<std::int64_t>(sums.size(), 1)};
  };
  return batch_of_sums(side("chosen_logps", "ref_chosen_logps"),
                       side("rejected_logps", "ref_rejected_logps"));
}

std::vector<std::vector<bool>> mask_of(const nlohmann::json& mask) {
  return where(mask, [](int value) { return value != 0; });
}

std::vector<std::vector<bool>> labelled(const nlohmann::json& labels, int ignored) {
  return where(labels, [=](int label) { return label != ignored; });
}

double mean(const Numbers& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace plumb::test
