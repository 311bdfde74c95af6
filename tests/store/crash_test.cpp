#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "demo.hpp"
#include "store/training.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

/// Runs `work` in a child process that never comes back from it, waits until it says so and kills
/// it.
template <class Work>
void run_and_kill(Work work) {
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      work([&] {
        if (write(ready[1], "x", 1) != 1) _exit(3);
        for (;;) pause();
      });
    } catch (...) {
      _exit(2);
    }
    _exit(1);
  }
  close(ready[1]);
  char byte = 0;
  const bool reached = read(ready[0], &byte, 1) == 1;
  close(ready[0]);
  kill(child, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(reached);
  REQUIRE(WIFSIGNALED(status));
}

SampleRow sample_of(std::int64_t iteration, std::int64_t prompt, std::int64_t k) {
  SampleRow row;
  row.iteration_id = iteration;
  row.prompt_id = prompt;
  row.k = k;
  row.finish_reason = "stop";
  row.ids = {1, 2};
  row.logp_policy = row.logp_sampling = {-1.0F, -2.0F};
  row.text = "response";
  return row;
}

}  // namespace

TEST_CASE("A process killed within a transaction loses that transaction and nothing else",
          "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "run.db";
  run_and_kill([&](auto stop_here) {
    Database db = Database::open_writer(file);
    const auto run = create_run(db, "killed", 1, "0.1.0", "{}");
    const auto iteration = create_iteration(db, {0, run, 1, "rollout", {}, {}, {}}, "{}");
    const auto prompt = add_prompt(db, SmallStore::prompt("one"));
    for (std::int64_t k = 0; k < 10; ++k) {
      Transaction transaction(db);
      add_sample(db, sample_of(iteration, prompt, k));
      transaction.commit();
    }
    Transaction transaction(db);
    for (std::int64_t k = 10; k < 2000; ++k) add_sample(db, sample_of(iteration, prompt, k));
    stop_here();
  });
  CHECK(std::filesystem::exists(file.string() + "-wal"));
  CHECK(std::filesystem::exists(file.string() + ".lock"));
  {
    const Database reader = Database::open_reader(file);  // before any writer has cleaned up
    CHECK(integer(reader, "SELECT count(*) FROM samples") == 10);
    CHECK(integer(reader, "SELECT n FROM sample_rollup") == 10);
  }
  Database db = Database::open_writer(file);
  CHECK(integer(db, "SELECT count(*) FROM samples") == 10);
  CHECK(integer(db, "SELECT count(*) FROM sample_tokens") == 10);
  CHECK(integer(db, "SELECT tokens FROM sample_rollup") == 20);
  CHECK(integer(db, "SELECT count(*) FROM samples_fts WHERE samples_fts MATCH 'response'") == 10);
  CHECK(text(db, "PRAGMA integrity_check") == "ok");
  Transaction transaction(db);
  CHECK_NOTHROW(add_sample(db, sample_of(1, 1, 10)));
}

TEST_CASE("A process killed while it makes the database leaves something that can be finished",
          "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "run.db";
  run_and_kill([&](auto stop_here) {
    sqlite3* raw = nullptr;
    sqlite3_open(file.c_str(), &raw);
    sqlite3_exec(raw,
                 "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; CREATE TABLE "
                 "migrations(a)",
                 nullptr, nullptr, nullptr);
    stop_here();
  });
  CHECK_THROWS_WITH(Database::open_reader(file), Contains("empty database"));
  Database db = Database::open_writer(file);
  CHECK(integer(db, "PRAGMA user_version") == Database::newest_schema());
  CHECK(integer(db, "PRAGMA page_size") == 16384);
}

TEST_CASE("Readers work while another process writes", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "run.db";
  Database::open_writer(file);
  run_and_kill([&](auto stop_here) {
    Database db = Database::open_writer(file);
    create_run(db, "committed", 1, "0.1.0", "{}");
    Transaction transaction(db);
    create_run(db, "not yet", 1, "0.1.0", "{}");
    // A reader and a refused writer in a third process, while this one holds the write lock.
    const pid_t reader = fork();
    if (reader == 0) {
      int result = 1;
      try {
        const Database other = Database::open_reader(file);
        if (integer(other, "SELECT count(*) FROM runs") == 1) result = 0;
        Database::open_writer(file);
        result = 4;
      } catch (const DataError&) {
      }
      _exit(result);
    }
    int status = 0;
    waitpid(reader, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) _exit(5);
    stop_here();
  });
  Database db = Database::open_writer(file);
  CHECK(integer(db, "SELECT count(*) FROM runs") == 1);
}

TEST_CASE("A full disk rolls the unit back and says what to do", "[unit]") {
  SmallStore store;
  store.add(sample_of(store.iteration, store.first, 0));
  const std::int64_t pages = integer(store.db, "PRAGMA page_count");
  store.db.execute("PRAGMA max_page_count = " + std::to_string(pages + 2));
  const auto fill = [&] {
    Transaction transaction(store.db);
    for (std::int64_t k = 1; k < 100; ++k) {
      SampleRow row = sample_of(store.iteration, store.first, k);
      row.text.assign(5000, 'x');
      add_sample(store.db, row);
    }
    transaction.commit();
  };
  try {
    fill();
    FAIL("the disk was not full");
  } catch (const SqlError& error) {
    CHECK(error.code() == SQLITE_FULL);
    CHECK_THAT(error.what(),
               Contains("no space is left") && Contains("run the same command again"));
  }
  CHECK_FALSE(store.db.in_transaction());
  CHECK(integer(store.db, "SELECT count(*) FROM samples") == 1);
  CHECK(integer(store.db, "SELECT n FROM sample_rollup") == 1);

  store.db.execute("PRAGMA max_page_count = 1000000");  // space was made
  fill();
  CHECK(integer(store.db, "SELECT count(*) FROM samples") == 100);
  CHECK(text(store.db, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("A file size limit of the system is an input/output error with advice", "[unit]") {
  plumb::test::TempDir folder;
  const auto file = folder / "run.db";
  Database::open_writer(file);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    int result = 1;
    try {
      Database db = Database::open_writer(file);
      const rlimit limit{1000000, 1000000};
      setrlimit(RLIMIT_FSIZE, &limit);
      for (int i = 0; i < 1000; ++i) create_run(db, std::string(10000, 'n'), i, "0.1.0", "{}");
    } catch (const SqlError& error) {
      const std::string what = error.what();
      result = what.find("Check the disk") != std::string::npos ||
                       what.find("no space") != std::string::npos
                   ? 0
                   : 2;
    }
    _exit(result);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Database db = Database::open_writer(file);
  CHECK(text(db, "PRAGMA integrity_check") == "ok");
  CHECK(integer(db, "SELECT count(*) FROM runs") > 0);
}
