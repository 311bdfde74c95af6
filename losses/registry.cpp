#include "losses/registry.hpp"

#include "core/error.hpp"
#include "core/strings.hpp"
#include "losses/dpo.hpp"

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
  static const std::vector<LossEntry> rows{entry<DpoLoss>()};
  return rows;
}

std::unique_ptr<PreferenceLoss> make_loss(const std::string& name, const OptionValues& values) {
  return find(losses(), "loss.name", name).make(values);
}

std::vector<Option> loss_options() {
  std::vector<Option> all = declared<LossChoice>("loss");
  for (const LossEntry& row : losses()) append(all, row.options());
  return all;
}

}  // namespace plumb
