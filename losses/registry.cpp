#include "losses/registry.hpp"

#include <set>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "losses/bco.hpp"
#include "losses/dpo.hpp"
#include "losses/dpo_shortcuts.hpp"
#include "losses/elr.hpp"
#include "losses/genarm.hpp"
#include "losses/kto.hpp"
#include "losses/orpo.hpp"
#include "losses/rapo.hpp"
#include "losses/reweight.hpp"
#include "losses/rpo.hpp"
#include "losses/rrpo.hpp"
#include "losses/sft.hpp"
#include "losses/simpo.hpp"
#include "losses/spans.hpp"
#include "losses/tdpo.hpp"
#include "losses/treg.hpp"

namespace plumb {
namespace {

template <class Loss>
LossEntry entry() {
  using Options = typename Loss::Options;
  return {std::string(Loss::kName), std::string(Loss::kPaper), std::string(Loss::kSummary),
          [] { return declared<Options>(std::string(Loss::kName)); },
          [](const OptionValues& values) -> std::unique_ptr<PairwiseLoss> {
            return std::make_unique<Loss>(values.read<Options>(std::string(Loss::kName)));
          }};
}

template <class Modifier>
ModifierEntry modifier_entry() {
  using Options = typename Modifier::Options;
  return {std::string(Modifier::kName), std::string(Modifier::kPaper),
          std::string(Modifier::kSummary),
          [] { return declared<Options>(std::string(Modifier::kName)); },
          [](std::unique_ptr<PairwiseLoss> base,
             const OptionValues& values) -> std::unique_ptr<PairwiseLoss> {
            return std::make_unique<Modifier>(std::move(base),
                                              values.read<Options>(std::string(Modifier::kName)));
          }};
}

template <class Entry>
const Entry& find(const std::vector<Entry>& entries, const std::string& key,
                  const std::string& name) {
  std::vector<std::string> known;
  for (const Entry& row : entries) {
    if (row.name == name) return row;
    known.push_back(row.name);
  }
  const std::string nearest = nearest_name(name, known);
  throw UsageError(cat(key, " = ", name, ": unknown; expected one of ", join(known, ", "),
                       nearest.empty() ? "" : cat(" (did you mean ", nearest, "?)")));
}

void append(std::vector<Option>& all, std::vector<Option> more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

const std::vector<LossEntry>& losses() {
  static const std::vector<LossEntry> rows{entry<DpoLoss>(),   entry<RpoLoss>(),  entry<RrpoLoss>(),
                                           entry<SimpoLoss>(), entry<IpoLoss>(),  entry<CdpoLoss>(),
                                           entry<TdpoLoss>(),  entry<OrpoLoss>(), entry<KtoLoss>(),
                                           entry<BcoLoss>(),   entry<RapoLoss>(), entry<SftLoss>(),
                                           entry<GenarmLoss>()};
  return rows;
}

const std::vector<ModifierEntry>& modifiers() {
  static const std::vector<ModifierEntry> rows{modifier_entry<TregModifier>(),
                                               modifier_entry<ElrModifier>(),
                                               modifier_entry<ReweightModifier>()};
  return rows;
}

std::unique_ptr<PreferenceLoss> make_loss(const std::string& name, const OptionValues& values) {
  std::unique_ptr<PairwiseLoss> loss = find(losses(), "loss.name", name).make(values);
  std::set<std::string> seen;
  for (const std::string& modifier : values.read<LossChoice>("loss").modifier) {
    const ModifierEntry& row = find(modifiers(), "loss.modifier", modifier);
    if (!seen.insert(modifier).second) {
      throw UsageError(
          cat("loss.modifier: ", modifier, " is named twice; name each modifier once"));
    }
    loss = row.wrap(std::move(loss), values);
  }
  return loss;
}

std::vector<Option> loss_options() {
  std::vector<Option> all = declared<LossChoice>("loss");
  for (const LossEntry& row : losses()) append(all, row.options());
  for (const ModifierEntry& row : modifiers()) append(all, row.options());
  append(all, declared<SpanOptions>("spans"));
  return all;
}

}  // namespace plumb
