#include "train/token_metrics.hpp"

#include <ATen/ops/stack.h>

namespace plumb {

std::vector<Metric> token_metrics(const TokenStats& stats, const std::vector<std::int64_t>& offsets,
                                  std::int64_t pairs) {
  const std::int64_t chosen = offsets[pairs], responses = offsets[2 * pairs];
  std::vector<Metric> metrics;
  std::vector<at::Tensor> sums;
  const auto add = [&](const char* name, const at::Tensor& values, std::int64_t begin,
                       std::int64_t end) {
    metrics.push_back({name, 0.0, static_cast<double>(end - begin)});
    sums.push_back(values.narrow(0, begin, end - begin).sum(at::kDouble));
  };
  add("entropy", stats.entropy, 0, responses);
  add("logits/chosen", stats.mean_logit, 0, chosen);
  add("logits/rejected", stats.mean_logit, chosen, responses);
  add("mean_token_accuracy", stats.is_top, 0, chosen);
  const at::Tensor values = at::stack(sums).to(at::kCPU);
  for (std::size_t i = 0; i < metrics.size(); ++i)
    metrics[i].sum = values.const_data_ptr<double>()[i];
  return metrics;
}

}  // namespace plumb
