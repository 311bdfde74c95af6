#pragma once
#include <string>
#include <vector>

/// The SQL files of store/schema as the build embeds them.
namespace plumb::store {

struct Migration {
  std::string name;  // "001_tables"
  std::string sql;
};
/// In order; the first one makes schema version 1.
const std::vector<Migration>& embedded_migrations();
const char* embedded_views();
const char* embedded_queries();

}  // namespace plumb::store
