#include "demo.hpp"
#include "store/queries.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

TEST_CASE("The sql command refuses whatever does not only read", "[unit]") {
  SmallStore store;  // even on the writer's connection
  const char* statement = GENERATE(
      "DELETE FROM runs", "INSERT INTO runs(name) VALUES('x')", "UPDATE runs SET name='x'",
      "DROP TABLE runs", "CREATE TABLE t(a)", "CREATE TEMP TABLE t(a)",
      "CREATE TEMP VIEW t AS SELECT 1", "ATTACH 'other.db' AS o", "DETACH main", "VACUUM",
      "VACUUM INTO 'copy.db'", "BEGIN", "COMMIT", "SAVEPOINT s", "UPDATE sqlite_master SET sql=''",
      "PRAGMA user_version = 7", "PRAGMA user_version(7)", "PRAGMA journal_mode = DELETE",
      "PRAGMA writable_schema = ON", "PRAGMA wal_checkpoint", "PRAGMA query_only = OFF",
      "PRAGMA optimize", "PRAGMA incremental_vacuum", "ANALYZE", "REINDEX",
      "SELECT load_extension('x')", "WITH x AS (SELECT 1) DELETE FROM runs",
      "EXPLAIN DELETE FROM runs", "INSERT INTO samples_fts(samples_fts) VALUES('rebuild')");
  INFO(statement);
  CHECK_THROWS_AS(run_query(store.db, statement), UsageError);
  CHECK(integer(store.db, "SELECT count(*) FROM runs") == 1);
  CHECK_FALSE(store.db.in_transaction());
}

TEST_CASE("The sql command takes exactly one statement", "[unit]") {
  SmallStore store;
  CHECK(run_query(store.db, "SELECT 1;").rows.size() == 1);
  CHECK(run_query(store.db, "  -- first\n SELECT 1; /* and */ -- last\n ;").rows.size() == 1);
  CHECK_THROWS_WITH(run_query(store.db, "SELECT 1; SELECT 2"), Contains("one statement"));
  CHECK_THROWS_AS(run_query(store.db, "SELECT 1; DELETE FROM runs"), UsageError);
  CHECK(integer(store.db, "SELECT count(*) FROM runs") == 1);
  for (const char* nothing : {"", " ", ";", "-- only words"})
    CHECK_THROWS_WITH(run_query(store.db, nothing), Contains("empty"));
  CHECK_THROWS_AS(run_query(store.db, "SELEC 1"), UsageError);
  CHECK_THROWS_WITH(run_query(store.db, "SELECT * FROM nosuch"), Contains("no such table: nosuch"));
  CHECK_THROWS_AS(run_query(store.db, "SELECT * FROM samples_fts WHERE samples_fts MATCH '\"'"),
                  UsageError);
}

TEST_CASE("Reports about the database are allowed", "[unit]") {
  DemoStore store;
  const Database reader = Database::open_reader(store.file);
  for (const char* statement :
       {"PRAGMA table_info(runs)", "PRAGMA user_version", "PRAGMA foreign_key_check",
        "PRAGMA integrity_check", "EXPLAIN QUERY PLAN SELECT * FROM runs", "EXPLAIN SELECT 1",
        "SELECT * FROM pragma_table_info('runs')", "VALUES(1)",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<5) SELECT i FROM n",
        "SELECT * FROM samples_fts WHERE samples_fts MATCH 'sun' LIMIT 1"}) {
    INFO(statement);
    CHECK_NOTHROW(run_query(reader, statement));
  }
}
