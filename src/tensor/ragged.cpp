#include "tensor/ragged.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"

namespace plumb {
namespace {

at::Tensor to_tensor(const std::vector<std::int64_t>& values, at::Device device) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.data_ptr<std::int64_t>());
  return tensor.to(device);
}

}  // namespace

std::int64_t RaggedBuilder::add(std::span<const std::int32_t> ids, std::int64_t prefix) {
  const auto segment = static_cast<std::int64_t>(prefix_.size());
  expects(!ids.empty(), "a segment of at least one token");
  expects(prefix >= -1 && prefix < segment, "a prefix that is an earlier segment or -1");
  expects(prefix < 0 || prefix_[prefix] < 0, "a prefix that has no prefix itself");
  const std::int64_t first = prefix < 0 ? 0 : offsets_[prefix + 1] - offsets_[prefix];
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids_.push_back(ids[i]);
    positions_.push_back(first + static_cast<std::int64_t>(i));
  }
  offsets_.push_back(tokens());
  prefix_.push_back(prefix);
  return segment;
}

void RaggedBuilder::want_logprobs(std::int64_t segment) {
  expects(segment >= 0 && segment < static_cast<std::int64_t>(prefix_.size()),
          "a segment that was added");
  const std::int64_t begin = offsets_[segment], end = offsets_[segment + 1];
  if (prefix_[segment] >= 0) {
    rows_.push_back(offsets_[prefix_[segment] + 1] - 1);
    targets_.push_back(ids_[begin]);
  }
  for (std::int64_t i = begin + 1; i < end; ++i) {
    rows_.push_back(i - 1);
    targets_.push_back(ids_[i]);
  }
  row_offsets_.push_back(static_cast<std::int64_t>(rows_.size()));
}

RaggedBatch RaggedBuilder::batch(at::Device device) const {
  return {to_tensor(ids_, device), to_tensor(positions_, device), offsets_, prefix_};
}

TokenRows RaggedBuilder::rows(at::Device device) const {
  return {to_tensor(rows_, device), to_tensor(targets_, device), row_offsets_};
}

at::Tensor segment_sum(const at::Tensor& values, const std::vector<std::int64_t>& offsets) {
  expects(values.dim() == 1 && !offsets.empty() && offsets.front() == 0 &&
              offsets.back() == values.size(0) && std::is_sorted(offsets.begin(), offsets.end()),
          "offsets ascending from 0 to the number of values");
  const auto segments = static_cast<std::int64_t>(offsets.size()) - 1;
  std::vector<std::int64_t> owner(static_cast<std::size_t>(offsets.back()));
  for (std::int64_t s = 0; s < segments; ++s) {
    std::fill(owner.begin() + offsets[s], owner.begin() + offsets[s + 1], s);
  }
  // float64 inside: a float32 running sum of thousands of log-probs loses three digits.
  const at::Tensor wide = values.to(at::kDouble);
  return at::zeros({segments}, wide.options())
      .index_add(0, to_tensor(owner, values.device()), wide)
      .to(values.scalar_type());
}

}  // namespace plumb
