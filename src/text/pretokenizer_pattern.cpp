#include "text/pretokenizer_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "core/error.hpp"

namespace plumb {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Freed<pcre2_jit_stack_free>>;

constexpr std::size_t kJitStackBytes = std::size_t{16} << 20;
constexpr std::uint32_t kMatchSteps = 50'000'000;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(error, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

/// Writes \s and \w out, as PCRE2 and Oniguruma differ on them: PCRE2's space holds U+180E, which
/// left the property White_Space in Unicode 6.3, and its word characters are without marks.
/// Oniguruma counts the superscripts and fractions of Latin-1, and only these, as word characters.
std::string with_exact_classes(const std::string& expression) {
  const std::string space =
      R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
  const std::string word = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      const char escaped = expression[++i];
      if (escaped == 's' || escaped == 'w') {
        const std::string& members = escaped == 's' ? space : word;
        out += in_class ? members : "[" + members + "]";
      } else if ((escaped == 'S' || escaped == 'W') && !in_class) {
        out += "[^" + (escaped == 'S' ? space : word) + "]";
      } else {
        out += {c, escaped};
      }
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

/// What one thread needs to run matches, made once.
class Scratch {
 public:
  Scratch()
      : data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(std::size_t{32} << 10, kJitStackBytes, nullptr)) {
    if (data_ == nullptr || context_ == nullptr || stack_ == nullptr) throw std::bad_alloc();
    pcre2_set_match_limit(context_.get(), kMatchSteps);
    pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
  }
  pcre2_match_data* data() const { return data_.get(); }
  pcre2_match_context* context() const { return context_.get(); }

 private:
  MatchData data_;
  MatchContext context_;
  JitStack stack_;
};

std::vector<PieceSpan> find_literal(std::string_view text, std::string_view literal) {
  std::vector<PieceSpan> found;
  if (literal.empty()) return found;
  for (std::size_t at = 0; (at = text.find(literal, at)) != std::string_view::npos;
       at += literal.size()) {
    found.push_back({at, at + literal.size()});
  }
  return found;
}

}  // namespace

struct SplitPattern::Compiled {
  Code code;
};

SplitPattern SplitPattern::literal(std::string text) {
  SplitPattern pattern;
  pattern.text_ = std::move(text);
  return pattern;
}

SplitPattern SplitPattern::regex(const std::string& expression) {
  constexpr std::size_t kLongest = 1 << 16;
  if (expression.size() > kLongest) {
    throw DataError(
        cat("regular expression of ", expression.size(), " bytes: longer than ", kLongest));
  }
  const std::string exact = with_exact_classes(expression);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(exact.data()), exact.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                          nullptr));
  if (code == nullptr) {
    throw DataError(
        cat("regular expression '", expression, "': ", message_of(error), " near byte ", offset));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  SplitPattern pattern;
  pattern.text_ = expression;
  pattern.compiled_ = std::make_shared<const Compiled>(Compiled{std::move(code)});
  return pattern;
}

std::vector<PieceSpan> SplitPattern::find_all(std::string_view text) const {
  if (compiled_ == nullptr) return find_literal(text, text_);
  std::vector<PieceSpan> found;
  const pcre2_code* code = compiled_->code.get();
  static thread_local const Scratch scratch;
  for (std::size_t at = 0; at < text.size();) {
    const int result =
        pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                    PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, scratch.data(), scratch.context());
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) throw DataError(cat("regular expression '", text_, "': ", message_of(result)));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.data());
    if (range[1] <= at || range[0] > range[1]) break;  // \K in a lookahead
    found.push_back({range[0], range[1]});
    at = range[1];
  }
  return found;
}

}  // namespace plumb
