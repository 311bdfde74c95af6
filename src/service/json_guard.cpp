#include "service/json_guard.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "service/problem.hpp"

namespace plumb::service {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxDepth = 64, kMaxValues = 1'000'000, kShownKey = 64;

/// Builds the document event by event, so that nothing of a hostile body is built before it is
/// checked.
class Guard final : public nlohmann::json_sax<json> {
 public:
  explicit Guard(json& root) : root_(root) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const std::string&) override { return put(value); }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    const auto [place, is_new] =
        open_.back()->get_ref<json::object_t&>().emplace(std::move(name), nullptr);
    if (!is_new)
      throw Problem(400, cat("the body has the key \"", place->first.substr(0, kShownKey),
                             "\" twice in one object"));
    member_ = &place->second;
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&, const json::exception&) override {
    throw Problem(400, cat("the body is not valid JSON (UTF-8) near byte ", byte));
  }

 private:
  template <class Value>
  json* place(Value&& value) {
    if (++values_ > kMaxValues)
      throw Problem(400, cat("the body holds more than ", kMaxValues, " JSON values"));
    if (open_.empty()) {
      root_ = std::forward<Value>(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& array = open_.back()->get_ref<json::array_t&>();
      array.emplace_back(std::forward<Value>(value));
      return &array.back();
    }
    *member_ = std::forward<Value>(value);
    return member_;
  }
  template <class Value>
  bool put(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }
  bool open(json&& empty) {
    if (open_.size() >= kMaxDepth)
      throw Problem(400, cat("the body is nested deeper than ", kMaxDepth, " levels"));
    open_.push_back(place(std::move(empty)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  json& root_;
  std::vector<json*> open_;  // containers around the current place
  json* member_ = nullptr;   // value of the key just read
  std::size_t values_ = 0;
};

}  // namespace

json parse_body(std::string_view body) {
  json root;
  Guard guard(root);
  json::sax_parse(body.begin(), body.end(), &guard);
  if (!root.is_object())
    throw Problem(400, cat("the body is a JSON ", root.type_name(), ", expected an object"));
  return root;
}

}  // namespace plumb::service
