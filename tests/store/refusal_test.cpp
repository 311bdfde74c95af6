#include <sqlite3.h>
#include <unistd.h>

#include <fstream>

#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

void run_raw(const std::filesystem::path& file, const char* sql) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
  char* message = nullptr;
  const int code = sqlite3_exec(raw, sql, nullptr, nullptr, &message);
  INFO((message != nullptr ? message : ""));
  sqlite3_free(message);
  sqlite3_close(raw);
  REQUIRE(code == SQLITE_OK);
}

void write(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

void check_refused(const std::filesystem::path& file, const std::string& what) {
  CHECK_THROWS_AS(Database::open_writer(file), DataError);
  CHECK_THROWS_WITH(Database::open_writer(file),
                    Contains(file.filename().string()) && Contains(what));
  CHECK_THROWS_AS(Database::open_reader(file), DataError);
  CHECK_THROWS_WITH(Database::open_reader(file),
                    Contains(file.filename().string()) && Contains(what));
  CHECK_FALSE(std::filesystem::exists(file.string() + ".lock"));
}

}  // namespace

TEST_CASE("Files that are no database of ours are refused and left as they are", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";

  SECTION("text") {
    const std::string bytes(5000, 'x');
    write(file, bytes);
    check_refused(file, "not an SQLite database");
    CHECK(read_file(file) == bytes);
  }
  SECTION("another program's database") {
    run_raw(file, "CREATE TABLE t(a)");
    const std::string bytes = read_file(file);
    check_refused(file, "another program");
    CHECK(read_file(file) == bytes);
  }
  SECTION("another program's application_id") {
    run_raw(file, "PRAGMA application_id = 1234; PRAGMA user_version = 1");
    check_refused(file, "application_id 1234");
  }
  SECTION("a folder") {
    std::filesystem::create_directory(file);
    CHECK_THROWS_WITH(Database::open_writer(file), Contains("a folder"));
    CHECK_THROWS_WITH(Database::open_reader(file), Contains("a folder"));
  }
  SECTION("a missing folder, a missing file, an empty name") {
    CHECK_THROWS_WITH(Database::open_writer(folder / "no" / "x.db"), Contains("no folder"));
    CHECK_THROWS_WITH(Database::open_reader(file), Contains("no such file"));
    CHECK_FALSE(std::filesystem::exists(file));
    CHECK_THROWS_AS(Database::open_writer(""), DataError);
  }
  SECTION("an empty file is a new database for a writer only") {
    write(file, "");
    CHECK_THROWS_WITH(Database::open_reader(file), Contains("empty database"));
    Database db = Database::open_writer(file);
    CHECK(integer(db, "PRAGMA page_size") == 16384);
  }
}

TEST_CASE("A newer schema is refused with the version of the program that wrote it", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  Database::open_writer(file);
  run_raw(file,
          "INSERT INTO migrations(version, name, sha256, program) VALUES(99, '099_later', '', "
          "'7.8.9'); PRAGMA user_version = 99");
  check_refused(file, "written by plumb 7.8.9");
  check_refused(file, "schema 99");
}

TEST_CASE("Damaged files are refused", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  Database::open_writer(file);
  const std::string good = read_file(file);
  REQUIRE(good.size() > 100000);

  SECTION("cut short") {
    write(file, good.substr(0, good.size() / 2));
    check_refused(file, "damaged");
  }
  SECTION("cut within the header") {
    write(file, good.substr(0, 60));
    check_refused(file, "x.db");
  }
  SECTION("a page of noise where the schema stands") {
    std::string bytes = good;
    for (std::size_t i = 200; i < 16384; ++i) bytes[i] = static_cast<char>(i * 37);
    write(file, bytes);
    check_refused(file, "damaged");
  }
}

TEST_CASE("Damage inside a table is reported when it is read", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  {
    Database db = Database::open_writer(file);
    Transaction transaction(db);
    for (int i = 0; i < 200; ++i) create_run(db, std::string(1000, 'n'), i, "0.1.0", "{}");
    transaction.commit();
  }
  std::string bytes = read_file(file);
  for (std::size_t at = bytes.size() - 100000; at < bytes.size(); ++at) bytes[at] = '\xA5';
  write(file, bytes);
  Database db = Database::open_reader(file);
  CHECK_THROWS_WITH(integer(db, "SELECT sum(length(name)) FROM runs"),
                    Contains("damaged") && Contains(".recover"));
}

TEST_CASE("A second writer is refused while the first one lives", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  {
    Database first = Database::open_writer(file);
    CHECK_THROWS_AS(Database::open_writer(file), DataError);
    CHECK_THROWS_WITH(Database::open_writer(file),
                      Contains("another plumb writes") && Contains(cat("process ", getpid())));
    std::filesystem::create_symlink(file, folder / "link.db");
    CHECK_THROWS_WITH(Database::open_writer(folder / "link.db"), Contains("another plumb writes"));
    CHECK_NOTHROW(Database::open_reader(file));
  }
  CHECK_NOTHROW(Database::open_writer(file));
  write(file.string() + ".lock", "4711\n");  // left over from a crash: nobody holds it
  CHECK_NOTHROW(Database::open_writer(file));
}

TEST_CASE("A file without write permission is refused for writing", "[unit]") {
  if (geteuid() == 0) return;  // root may write everywhere
  plumb::test::TempDir folder;
  const auto file = folder / "x.db";
  Database::open_writer(file);
  std::filesystem::permissions(file, std::filesystem::perms::owner_read);
  CHECK_THROWS_WITH(Database::open_writer(file), Contains("may not be written"));
  CHECK_NOTHROW(Database::open_reader(file));
  std::filesystem::permissions(
      folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  CHECK_NOTHROW(Database::open_reader(file));
  CHECK_THROWS_AS(Database::open_writer(file), DataError);
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}
