#include "model/decoder_autograd.hpp"

#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "core/error.hpp"
#include "model/decoder_forward.hpp"

namespace plumb {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// A C++ value kept in a graph node.
template <class T>
struct Kept : torch::CustomClassHolder {
  explicit Kept(T value_) : value(std::move(value_)) {}
  std::optional<T> value;
};

template <class T>
void keep(AutogradContext* context, T value) {
  context->saved_data["kept"] =
      c10::IValue::make_capsule(c10::make_intrusive<Kept<T>>(std::move(value)));
}

/// Takes the value out, so that its memory goes as the backward pass proceeds.
template <class T>
T take(AutogradContext* context) {
  const auto holder = context->saved_data["kept"].toCapsule();
  auto& value = static_cast<Kept<T>*>(holder.get())->value;
  expects(value.has_value(), "one backward pass for each forward pass");
  T taken = std::move(*value);
  value.reset();
  return taken;
}

struct TapeOf {
  const Decoder::Impl* decoder;
  Tape tape;
};

struct HiddenFunction : torch::autograd::Function<HiddenFunction> {
  static Variable forward(AutogradContext* context, const Variable& /*anchor*/,
                          const Decoder::Impl* decoder, const RaggedBatch* batch) {
    Tape tape;
    Variable hidden = run_layers(*decoder, *batch, &tape);
    keep(context, TapeOf{decoder, std::move(tape)});
    return hidden;
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TapeOf kept = take<TapeOf>(context);
    run_layers_backward(*kept.decoder, std::move(kept.tape), gradients[0]);
    return {Variable(), Variable(), Variable()};
  }
};

struct PassOf {
  const Decoder::Impl* decoder;
  at::Tensor hidden;
  StatsPass pass;
};

struct TokenStatsFunction : torch::autograd::Function<TokenStatsFunction> {
  static variable_list forward(AutogradContext* context, const Variable& hidden,
                               const Decoder::Impl* decoder, StatsPass* pass, TokenStats* stats) {
    *stats = run_token_stats(*decoder, hidden, *pass);
    context->set_materialize_grads(false);
    keep(context, PassOf{decoder, hidden.detach(), *pass});
    if (!stats->kl.defined()) return {stats->logprobs};
    return {stats->logprobs, stats->kl};
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const PassOf kept = take<PassOf>(context);
    const Variable dkl = gradients.size() > 1 ? gradients[1] : Variable();
    Variable dhidden;
    if (gradients[0].defined() || dkl.defined()) {
      dhidden = run_token_stats_backward(*kept.decoder, kept.hidden, kept.pass, gradients[0], dkl);
    }
    return {dhidden, Variable(), Variable(), Variable()};
  }
};

}  // namespace

at::Tensor recorded_hidden(const Decoder::Impl& decoder, const RaggedBatch& batch) {
  return HiddenFunction::apply(decoder.anchor, &decoder, &batch);
}

TokenStats recorded_token_stats(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                StatsPass pass) {
  TokenStats stats;
  const variable_list outputs = TokenStatsFunction::apply(hidden, &decoder, &pass, &stats);
  stats.logprobs = outputs[0];
  if (outputs.size() > 1) stats.kl = outputs[1];
  return stats;
}

}  // namespace plumb
