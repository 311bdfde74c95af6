#include "store/migrate.hpp"

#include "core/hash.hpp"
#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

struct RawStore {
  plumb::test::TempDir folder;
  std::filesystem::path file = folder / "x.db";
  Handle handle = open_handle(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* db = handle.get();
};

}  // namespace

TEST_CASE("Migrations are applied once, in order, with their hashes", "[unit]") {
  RawStore raw;
  std::vector<Migration> migrations = embedded_migrations();
  migrate(raw.db, raw.file, migrations);
  const auto newest = static_cast<std::int64_t>(migrations.size());
  CHECK(query_integer(raw.db, "PRAGMA user_version") == newest);
  CHECK(query_text(raw.db, "SELECT name FROM migrations WHERE version=1") == "001_tables");
  CHECK(query_text(raw.db, "SELECT sha256 FROM migrations WHERE version=1") ==
        sha256_hex(migrations[0].sql));

  migrations.push_back({"900_later", "CREATE TABLE later(a) STRICT"});
  CHECK_THROWS_AS(migrate(raw.db, raw.file, migrations), SqlError);  // STRICT asks for a type
  CHECK(query_integer(raw.db, "PRAGMA user_version") == newest);
  migrations.back().sql =
      "CREATE TABLE later(a INTEGER) STRICT; INSERT INTO later VALUES(1); INSERT INTO nosuch "
      "VALUES(1)";
  CHECK_THROWS_AS(migrate(raw.db, raw.file, migrations), SqlError);
  CHECK(query_integer(raw.db, "SELECT count(*) FROM sqlite_schema WHERE name='later'") == 0);
  CHECK(query_integer(raw.db, "SELECT count(*) FROM migrations") == newest);

  migrations.back().sql = "CREATE TABLE later(a INTEGER) STRICT";
  migrate(raw.db, raw.file, migrations);
  migrate(raw.db, raw.file, migrations);
  CHECK(query_integer(raw.db, "PRAGMA user_version") == newest + 1);
  CHECK(query_integer(raw.db, "SELECT count(*) FROM migrations") == newest + 1);

  migrations[0].sql += " ";
  CHECK_THROWS_WITH(migrate(raw.db, raw.file, migrations),
                    Contains("schema 1") && Contains("another text"));
}

TEST_CASE("Views are made again when their text changes", "[unit]") {
  RawStore raw;
  migrate(raw.db, raw.file, embedded_migrations());
  refresh_views(raw.db, "CREATE VIEW v_one AS SELECT 1 AS a; CREATE VIEW v_two AS SELECT 2 AS a");
  run_sql(raw.db, "CREATE VIEW mine AS SELECT 3 AS a");
  refresh_views(raw.db, "CREATE VIEW v_one AS SELECT 10 AS a");
  CHECK(query_text(raw.db,
                   "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE "
                   "type='view' ORDER BY name)") == "mine,v_one");
  CHECK(query_integer(raw.db, "SELECT a FROM v_one") == 10);
  const auto before = query_integer(raw.db, "PRAGMA schema_version");
  refresh_views(raw.db, "CREATE VIEW v_one AS SELECT 10 AS a");
  CHECK(query_integer(raw.db, "PRAGMA schema_version") == before);
  CHECK_THROWS_AS(refresh_views(raw.db, "CREATE VIEW v_one AS SELEC"), SqlError);
  CHECK(query_integer(raw.db, "SELECT a FROM v_one") == 10);
}

TEST_CASE("A reader uses this program's views on a file with older ones", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  {
    Database db = Database::open_writer(file);
    create_run(db, "old", 1, "0.1.0", "{}");
    db.execute(
        "DROP VIEW v_run_progress; CREATE VIEW v_run_progress AS SELECT 'stale' AS name; UPDATE "
        "view_version SET sha256='stale'");
    const Database reader = Database::open_reader(file);
    CHECK(text(reader, "SELECT name FROM v_run_progress") == "old");
    CHECK(text(reader, "SELECT name FROM main.v_run_progress") == "stale");
  }
  Database db = Database::open_writer(file);
  CHECK(text(db, "SELECT name FROM main.v_run_progress") == "old");
}
