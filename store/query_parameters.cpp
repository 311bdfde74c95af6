#include "store/query_parameters.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "core/strings.hpp"

namespace plumb::store {
namespace {

using Value = std::optional<std::string>;

struct Default {
  std::string_view name;
  const char* sql;  // may use the parameters above it
};

constexpr std::array<Default, 10> kDefaults{{
    {"run", "SELECT max(run_id) FROM runs"},
    {"it",
     "SELECT idx FROM iterations i WHERE run_id=:run ORDER BY EXISTS(SELECT 1 FROM pair_sets t "
     "WHERE t.iteration_id=i.iteration_id) DESC, "
     "EXISTS(SELECT 1 FROM sample_rollup u WHERE u.iteration_id=i.iteration_id) DESC, idx DESC "
     "LIMIT 1"},
    {"suite",
     "SELECT suite FROM sample_rollup JOIN iterations USING(iteration_id) WHERE run_id=:run AND "
     "idx=:it ORDER BY suite<>'train', suite LIMIT 1"},
    {"set",
     "SELECT t.name FROM pair_sets t JOIN iterations i USING(iteration_id) WHERE i.run_id=:run AND "
     "i.idx=:it ORDER BY t.name<>'train', "
     "t.pair_set_id DESC LIMIT 1"},
    {"a",
     "SELECT coalesce((SELECT t.module_id FROM pair_sets t JOIN iterations i USING(iteration_id) "
     "WHERE i.run_id=:run AND i.idx=:it AND t.name=:set), "
     "(SELECT min(u.module_id) FROM reward_rollup u JOIN iterations i USING(iteration_id) WHERE "
     "i.run_id=:run))"},
    {"b",
     "SELECT min(u.module_id) FROM reward_rollup u JOIN iterations i USING(iteration_id) WHERE "
     "i.run_id=:run AND u.module_id<>:a"},
    {"prompt",
     "SELECT min(s.prompt_id) FROM samples s JOIN iterations i USING(iteration_id) WHERE "
     "i.run_id=:run AND i.idx=:it AND s.suite=:suite"},
    {"sample",
     "SELECT s.sample_id FROM samples s JOIN iterations i USING(iteration_id) WHERE i.run_id=:run "
     "AND i.idx=:it AND s.suite=:suite "
     "ORDER BY s.prompt_id, s.k LIMIT 1"},
    {"metric", "SELECT 'rewards/margins'"},
    {"match", "SELECT 'sorry OR cannot OR unable'"},
}};
constexpr const char* kDefaultLimit = "20";

std::string bare(const std::string& name) {
  return !name.empty() && (name[0] == ':' || name[0] == '@' || name[0] == '$') ? name.substr(1)
                                                                               : name;
}

template <class Number>
bool parse_whole(const std::string& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

void bind_value(Statement& statement, int index, const Value& value) {
  std::int64_t integer = 0;
  double real = 0.0;
  if (!value) {
    statement.bind_at(index, std::nullopt);
  } else if (parse_whole(*value, integer)) {
    statement.bind_at(index, integer);
  } else if (parse_whole(*value, real)) {
    statement.bind_at(index, real);
  } else {
    statement.bind_at(index, *value);
  }
}

/// Values by bare name; those not given are looked up when they are first needed.
class Values {
 public:
  Values(const Database& db, const std::vector<std::pair<std::string, std::string>>& given)
      : db_(db) {
    for (const auto& [name, text] : given) values_[bare(name)] = identified(bare(name), text);
  }

  const Value& get(const std::string& name) {
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    return values_.emplace(name, default_of(name)).first->second;
  }

  void bind(Statement& statement) {
    for (int i = 1; i <= statement.parameters(); ++i) {
      const std::string name = bare(statement.parameter_name(i));
      if (name.empty() || name[0] == '?') {
        throw UsageError("query: a parameter without name (?); write :name");
      }
      bind_value(statement, i, get(name));
    }
  }

 private:
  /// Runs and reward modules may be given by name.
  Value identified(const std::string& name, const std::string& text) const {
    std::int64_t id = 0;
    if (parse_whole(text, id)) return text;
    if (name == "run") {
      return id_of(name, text, "SELECT max(run_id) FROM runs WHERE name=?",
                   "SELECT name FROM runs GROUP BY name ORDER BY min(run_id)");
    }
    if (name == "a" || name == "b") {
      return id_of(name, text,
                   "SELECT module_id FROM reward_modules m WHERE name=? ORDER BY EXISTS(SELECT 1 "
                   "FROM reward_rollup u "
                   "WHERE u.module_id=m.module_id) DESC, module_id DESC LIMIT 1",
                   "SELECT name FROM reward_modules GROUP BY name ORDER BY min(module_id)");
    }
    return text;
  }

  Value id_of(const std::string& parameter, const std::string& name, const char* find,
              const char* list) const {
    Statement query = db_.prepare(find);
    if (query.bind(name).step() && !query.is_null(0)) return query.text(0);
    std::vector<std::string> names;
    Statement all = db_.prepare(list);
    while (all.step()) names.push_back(all.text(0));
    throw UsageError(cat("parameter ", parameter, " = ", name, ": not in this database; it has ",
                         names.empty() ? "none" : join(names, ", ")));
  }

  Value default_of(const std::string& name) {
    if (name == "limit") return kDefaultLimit;
    const auto row = std::find_if(kDefaults.begin(), kDefaults.end(),
                                  [&](const Default& d) { return d.name == name; });
    if (row == kDefaults.end()) {
      throw UsageError(cat("parameter :", name, " has no value; give it one (--", name, "=...)"));
    }
    Statement query = db_.prepare(row->sql);
    bind(query);
    return query.step() ? query.optional_text(0) : std::nullopt;
  }

  const Database& db_;
  std::map<std::string, Value> values_;
};

}  // namespace

void bind_parameters(const Database& db, Statement& statement,
                     const std::vector<std::pair<std::string, std::string>>& given) {
  std::vector<std::string> known;
  for (int i = 1; i <= statement.parameters(); ++i) {
    known.push_back(bare(statement.parameter_name(i)));
  }
  for (const auto& [name, text] : given) {
    if (std::find(known.begin(), known.end(), bare(name)) != known.end()) continue;
    throw UsageError(cat("parameter ", bare(name), " = ", text, ": the query has no :", bare(name),
                         "; it has ", known.empty() ? "no parameters" : join(known, ", ")));
  }
  Values(db, given).bind(statement);
}

}  // namespace plumb::store
