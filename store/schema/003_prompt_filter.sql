-- Migration 3: what the filter of prompts without signal decided, one row for each prompt of a pair set that went through it.
CREATE TABLE prompt_filter(
  pair_set_id INTEGER NOT NULL REFERENCES pair_sets(pair_set_id) ON DELETE CASCADE,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id),
  n INTEGER NOT NULL CHECK(n>=0),                           -- scored responses
  best REAL, worst REAL,                                    -- their extreme scores
  reason TEXT,                                              -- why the prompt was dropped, NULL = kept
  CHECK((best IS NULL)=(n=0) AND (worst IS NULL)=(n=0)),
  PRIMARY KEY(pair_set_id, prompt_id)) STRICT, WITHOUT ROWID;
CREATE INDEX prompt_filter_prompt ON prompt_filter(prompt_id);
