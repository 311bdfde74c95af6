#include "text/token_range.hpp"

#include <nlohmann/json.hpp>

#include "text/tiny_tokenizer.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Range = std::pair<std::int64_t, std::int64_t>;

TEST_CASE("tokens over a range of bytes are all that hold one of them", "[unit]") {
  const auto tokenizer = test::load(test::tiny_json());
  const test::Ids ids = tokenizer->encode("abcabbcc");
  REQUIRE(ids == test::Ids{2, 6, 7, 6, 4});  // a bc ab bc c
  const auto range = [&](std::size_t begin, std::size_t end) {
    return tokens_over(*tokenizer, ids, begin, end);
  };
  CHECK(range(0, 3) == Range{0, 2});
  CHECK(range(0, 1) == Range{0, 1});
  CHECK(range(2, 4) == Range{1, 3});
  CHECK(range(3, 5) == Range{2, 3});
  CHECK(range(4, 8) == Range{2, 5});
  CHECK(range(7, 8) == Range{4, 5});
  CHECK(range(0, 8) == Range{0, 5});
  CHECK(range(5, 5) == Range{3, 3});
  CHECK(range(0, 0) == Range{0, 0});
  CHECK(range(8, 8) == Range{5, 5});
}

}  // namespace
}  // namespace plumb
