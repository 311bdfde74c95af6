#include "store/database.hpp"

namespace plumb::store {

Transaction::Transaction(Database& database)
    : database_(database), nested_(database.in_transaction()) {
  database_.execute(nested_ ? "SAVEPOINT plumb" : "BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_ || !database_.in_transaction()) {
    return;  // a full disk makes SQLite roll back by itself
  }
  try {
    database_.execute(nested_ ? "ROLLBACK TO plumb; RELEASE plumb" : "ROLLBACK");
  } catch (const SqlError&) {  // NOLINT: the error that led here is the one to report
  }
}

void Transaction::commit() {
  database_.execute(nested_ ? "RELEASE plumb" : "COMMIT");
  open_ = false;
}

}  // namespace plumb::store
