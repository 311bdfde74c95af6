#include "store/database.hpp"

#include <sqlite3.h>

#include <cmath>
#include <limits>

#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

TEST_CASE("A new database carries the marks and settings of the format", "[unit]") {
  plumb::test::TempDir folder;
  const Database db = Database::open_writer(folder / "run.db");
  CHECK(integer(db, "PRAGMA application_id") == 0x504C4D42);  // "PLMB"
  CHECK(integer(db, "PRAGMA user_version") == Database::newest_schema());
  CHECK(integer(db, "PRAGMA page_size") == 16384);
  CHECK(text(db, "PRAGMA journal_mode") == "wal");
  CHECK(integer(db, "PRAGMA synchronous") == 2);  // FULL
  CHECK(integer(db, "PRAGMA foreign_keys") == 1);
  CHECK(integer(db, "PRAGMA busy_timeout") == 10000);
  CHECK(integer(db, "SELECT count(*) FROM migrations") == Database::newest_schema());
  CHECK(text(db, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("Values of every type come back from a statement", "[unit]") {
  FreshStore store;
  store.db.execute("CREATE TABLE t(a, b, c, d, e)");
  const std::vector<float> floats{1.5F, -0.0F, 3e-40F};
  Statement insert = store.db.prepare("INSERT INTO t VALUES(?, ?, ?, ?, ?)");
  CHECK(insert.bind(std::int64_t{1} << 62, 0.1, std::string("a\0b", 3), pack(floats), std::nullopt)
            .run() == 1);
  insert
      .bind(-7, std::optional<double>(2.5), "", pack(std::span<const float>()),
            std::optional<std::string>())
      .run();

  Statement query = store.db.prepare("SELECT * FROM t ORDER BY rowid");
  REQUIRE(query.step());
  CHECK(query.integer(0) == std::int64_t{1} << 62);
  CHECK(query.real(1) == 0.1);
  CHECK(query.text(2) == std::string("a\0b", 3));
  CHECK(unpack_floats(query.blob(3)) == floats);
  CHECK(std::signbit(unpack_floats(query.blob(3))[1]));
  CHECK(query.is_null(4));
  CHECK_FALSE(query.optional_integer(4).has_value());
  REQUIRE(query.step());
  CHECK(query.integer(0) == -7);
  CHECK(query.type(2) == SQLITE_TEXT);
  CHECK(query.text(2).empty());
  CHECK(query.type(3) == SQLITE_BLOB);
  CHECK(query.blob(3).empty());
  CHECK_FALSE(query.optional_text(4).has_value());
  CHECK_FALSE(query.step());
  CHECK(query.columns() == 5);
  CHECK(query.column_name(1) == "b");
  CHECK(query.is_read_only());
  CHECK_FALSE(insert.is_read_only());
}

TEST_CASE("Numbers that are not finite are refused by the parameter's name", "[unit]") {
  FreshStore store;
  store.db.execute("CREATE TABLE t(loss REAL)");
  Statement named = store.db.prepare("INSERT INTO t(loss) VALUES(:loss)");
  CHECK_THROWS_WITH(named.bind(std::nan("")), Contains(":loss") && Contains("nan"));
  CHECK_THROWS_WITH(named.bind(std::optional(-std::numeric_limits<double>::infinity())),
                    Contains(":loss") && Contains("inf"));
  Statement counted = store.db.prepare("INSERT INTO t(loss) VALUES(?)");
  CHECK_THROWS_WITH(counted.bind(std::nan("")), Contains("parameter 1"));
  CHECK(integer(store.db, "SELECT count(*) FROM t") == 0);
}

TEST_CASE("Packed arrays are little-endian and checked", "[unit]") {
  const std::vector<std::int32_t> ids{1, 504, -1};
  const auto bytes = pack(ids);
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) ==
        std::string("\1\0\0\0\xF8\1\0\0\xFF\xFF\xFF\xFF", 12));
  CHECK(unpack_ids(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())) ==
        ids);
  CHECK(unpack_floats("").empty());
  CHECK_THROWS_AS(unpack_floats("12345"), DataError);
  CHECK_THROWS_AS(unpack_ids("123"), DataError);
}

TEST_CASE("A transaction is whole or not at all", "[unit]") {
  FreshStore store;
  store.db.execute("CREATE TABLE t(a)");
  const auto rows = [&] { return integer(store.db, "SELECT count(*) FROM t"); };
  {
    Transaction transaction(store.db);
    store.db.execute("INSERT INTO t VALUES(1)");
  }
  CHECK(rows() == 0);
  {
    Transaction outer(store.db);
    store.db.execute("INSERT INTO t VALUES(1)");
    {
      Transaction inner(store.db);
      store.db.execute("INSERT INTO t VALUES(2)");
    }
    CHECK(rows() == 1);
    {
      Transaction inner(store.db);
      store.db.execute("INSERT INTO t VALUES(3)");
      inner.commit();
    }
    outer.commit();
  }
  CHECK(rows() == 2);
  {
    Transaction outer(store.db);
    {
      Transaction inner(store.db);
      store.db.execute("DELETE FROM t");
      inner.commit();
    }
  }
  CHECK(rows() == 2);
  CHECK_FALSE(store.db.in_transaction());
}

TEST_CASE("Errors name the file and the statement and keep SQLite's code", "[unit]") {
  FreshStore store;
  CHECK_THROWS_WITH(store.db.prepare("SELEC 1"),
                    Contains("run.db") && Contains("SELEC 1") && Contains("syntax error"));
  store.db.execute("CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES(1)");
  try {
    store.db.prepare("INSERT INTO t VALUES(?)").bind(1).run();
    FAIL("a duplicate was accepted");
  } catch (const SqlError& error) {
    CHECK(error.code() == SQLITE_CONSTRAINT);
    CHECK_THAT(error.what(), Contains("UNIQUE constraint failed: t.a"));
  }
  // Text in double quotes is a column, never a string by accident.
  CHECK_THROWS_AS(store.db.prepare("SELECT \"nosuch\" FROM t"), SqlError);
}

TEST_CASE("Readers see committed rows while a writer is at work, and cannot write", "[unit]") {
  FreshStore store;
  create_run(store.db, "one", 1, "0.1.0", "{}");
  Database reader = Database::open_reader(store.file);
  {
    Transaction transaction(store.db);
    create_run(store.db, "two", 2, "0.1.0", "{}");
    CHECK(integer(reader, "SELECT count(*) FROM runs") == 1);
    transaction.commit();
  }
  CHECK(integer(reader, "SELECT count(*) FROM runs") == 2);
  CHECK_THROWS_AS(reader.execute("DELETE FROM runs"), SqlError);
  CHECK_THROWS_AS(reader.execute("CREATE TEMP TABLE t(a)"), SqlError);
  CHECK_THROWS_AS(create_run(reader, "three", 3, "0.1.0", "{}"), SqlError);
  CHECK_THROWS_AS(reader.checkpoint(), InternalError);
}

TEST_CASE("A checkpoint empties the write-ahead log unless a reader is in the way", "[unit]") {
  FreshStore store;
  const auto wal = [&] { return std::filesystem::file_size(store.file.string() + "-wal"); };
  create_run(store.db, "one", 1, "0.1.0", "{}");
  CHECK(wal() > 0);
  store.db.checkpoint(true);
  CHECK(wal() == 0);

  Database reader = Database::open_reader(store.file);
  Statement open = reader.prepare("SELECT * FROM runs");
  REQUIRE(open.step());
  create_run(store.db, "two", 1, "0.1.0", "{}");
  store.db.checkpoint(true);  // does not wait for the reader
  CHECK(wal() > 0);
  open.reset();
  store.db.checkpoint();
  store.db.checkpoint(true);
  CHECK(wal() == 0);
  Transaction transaction(store.db);
  CHECK_THROWS_AS(store.db.checkpoint(), InternalError);
}

TEST_CASE("Reopening keeps the rows; closing leaves one file", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "run.db";
  {
    Database db = Database::open_writer(file);
    create_run(db, "kept", 1, "0.1.0", "{}");
    Database moved = std::move(db);
    CHECK(moved.file().filename() == "run.db");
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  Database again = Database::open_writer(file);
  CHECK(find_run(again, "kept").has_value());
}
