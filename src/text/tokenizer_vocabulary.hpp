#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace plumb {

/// The strings of a vocabulary in id order, without holes or repetitions.
class Vocabulary {
 public:
  static constexpr std::size_t kMostTokens = std::size_t{1} << 21;

  Vocabulary() = default;
  /// Throws DataError naming the ids if a string appears twice, or if there are more than
  /// kMostTokens.
  explicit Vocabulary(std::vector<std::string> pieces);
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  std::int32_t size() const { return static_cast<std::int32_t>(pieces_.size()); }
  bool contains(std::int32_t id) const { return id >= 0 && id < size(); }
  /// Throws UsageError for an id outside of the vocabulary.
  const std::string& piece(std::int32_t id) const;
  std::optional<std::int32_t> find(std::string_view piece) const;
  const std::vector<std::string>& pieces() const { return pieces_; }

 private:
  std::vector<std::string> pieces_;
  std::unordered_map<std::string_view, std::int32_t>
      ids_;  // views into pieces_, which a move keeps alive
};

/// Collects (string, id) rows in any order. Every function throws DataError saying which row is
/// wrong.
class VocabularyBuilder {
 public:
  void add(const std::string& piece, std::int64_t id);
  /// Like add, but a row that is already there is fine.
  void add_again(const std::string& piece, std::int64_t id);
  Vocabulary finish() &&;

 private:
  std::vector<std::optional<std::string>> rows_;
};

/// GPT-2's map between bytes and printable characters (U+0021 to U+0143).
namespace byte_characters {

/// The bytes that a piece of a byte-level vocabulary stands for; absent if it holds a character
/// outside of the map.
std::optional<std::string> to_bytes(std::string_view piece);
std::string from_bytes(std::string_view bytes);

}  // namespace byte_characters

/// The byte of a piece such as "<0x0A>".
std::optional<std::uint8_t> byte_of_piece(std::string_view piece);

}  // namespace plumb
