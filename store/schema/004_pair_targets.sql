-- Migration 4: what early-learning regularisation remembers of a pair after each visit, beside the ledger.
CREATE TABLE pair_targets(
  step_id INTEGER NOT NULL REFERENCES steps(step_id) ON DELETE CASCADE,
  pair_id INTEGER NOT NULL REFERENCES pairs(pair_id) ON DELETE CASCADE,
  t_right REAL NOT NULL, t_wrong REAL NOT NULL,             -- running means of P(label right), P(label wrong), before bias correction
  visits INTEGER NOT NULL CHECK(visits>0),
  PRIMARY KEY(step_id, pair_id)) STRICT, WITHOUT ROWID;
CREATE INDEX pair_targets_pair ON pair_targets(pair_id);
