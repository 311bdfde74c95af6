-- Migration 1: the tables. Narrow columns come first, long texts and blobs last or in a table of their own.
-- Times are UTC. Sums of log-probs are natural logs; packed arrays are little-endian int32 or float32.
CREATE TABLE migrations(
  version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL,
  program TEXT NOT NULL,                                    -- version of plumb that applied it
  applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))) STRICT;
CREATE TABLE view_version(only_row INTEGER PRIMARY KEY CHECK(only_row=1), sha256 TEXT NOT NULL) STRICT;

CREATE TABLE runs(
  run_id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'running' CHECK(status IN('running','done','failed','aborted')),
  started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), finished_at TEXT,
  seed INTEGER NOT NULL, tool_version TEXT NOT NULL, host TEXT,
  config TEXT NOT NULL CHECK(json_valid(config)),           -- every effective option by section
  loss TEXT GENERATED ALWAYS AS (json_extract(config, '$.loss.name')) VIRTUAL) STRICT;
CREATE INDEX runs_name ON runs(name);
CREATE TABLE checkpoints(
  checkpoint_id INTEGER PRIMARY KEY, run_id INTEGER REFERENCES runs(run_id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK(role IN('policy','reference','reward','base')),
  path TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER, global_step INTEGER,
  parent_checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))) STRICT;
CREATE INDEX checkpoints_run ON checkpoints(run_id, role, sha256);
CREATE INDEX checkpoints_parent ON checkpoints(parent_checkpoint_id);
CREATE TABLE iterations(
  iteration_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
  idx INTEGER NOT NULL CHECK(idx>=0),                       -- 0 = the initial policy
  phase TEXT NOT NULL DEFAULT 'rollout'                     -- the resume point
    CHECK(phase IN('rollout','score','pair','annotate','train','eval','done')),
  policy_checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id),   -- samples
  ref_checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id),      -- anchors the loss
  result_checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id),   -- was trained
  sampling TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(sampling)),
  started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), finished_at TEXT,
  UNIQUE(run_id, idx)) STRICT;

CREATE TABLE prompts(
  prompt_id INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL UNIQUE CHECK(length(sha256)=32),     -- of the content: one row for all runs
  dataset TEXT NOT NULL, split TEXT NOT NULL DEFAULT 'train', external_id TEXT NOT NULL DEFAULT '',
  category TEXT,                                            -- kind of question: open, constrained, ...
  n_tokens INTEGER NOT NULL, reference_answer TEXT,
  messages TEXT NOT NULL CHECK(json_valid(messages)), text TEXT NOT NULL,   -- text = rendered chat
  ids BLOB NOT NULL CHECK(length(ids)=4*n_tokens)) STRICT;
CREATE INDEX prompts_dataset ON prompts(dataset, split);
CREATE TABLE run_prompts(                                   -- use: 'train' per iteration, 'heldout' at 0
  run_id INTEGER NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE, use TEXT NOT NULL,
  iteration_index INTEGER NOT NULL, position INTEGER NOT NULL,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id),
  PRIMARY KEY(run_id, use, iteration_index, position)) STRICT, WITHOUT ROWID;
CREATE INDEX run_prompts_prompt ON run_prompts(prompt_id);
CREATE TABLE rejected_rows(                                 -- input rows that were not used
  rejected_row_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
  file TEXT NOT NULL, line INTEGER NOT NULL, reason TEXT NOT NULL,
  UNIQUE(run_id, file, line, reason)) STRICT;

CREATE TABLE samples(                                       -- immutable
  sample_id INTEGER PRIMARY KEY,
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  suite TEXT NOT NULL DEFAULT 'train',                      -- train, heldout, ...
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id), k INTEGER NOT NULL CHECK(k>=0),
  seed INTEGER NOT NULL,
  source TEXT NOT NULL DEFAULT 'policy' CHECK(source IN('policy','dataset','service','edited')),
  finish_reason TEXT NOT NULL CHECK(finish_reason IN('stop','length','error')),
  checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id),
  n_tokens INTEGER NOT NULL CHECK(n_tokens>=0), n_chars INTEGER NOT NULL,
  logp_policy REAL, logp_sampling REAL,                     -- sums over response tokens, nats
  text_hash INTEGER NOT NULL,                               -- 63 bits of sha256(text)
  created_at INTEGER NOT NULL DEFAULT (unixepoch()), text TEXT NOT NULL,
  UNIQUE(iteration_id, suite, prompt_id, k)) STRICT;
CREATE INDEX samples_prompt ON samples(prompt_id, iteration_id);
CREATE INDEX samples_length ON samples(iteration_id, suite, n_tokens, finish_reason);
CREATE INDEX samples_text ON samples(text_hash, iteration_id, suite, prompt_id);
CREATE TABLE sample_tokens(                                 -- 1:1 with samples
  sample_id INTEGER PRIMARY KEY REFERENCES samples(sample_id) ON DELETE CASCADE,
  ids BLOB NOT NULL CHECK(length(ids)%4=0),                                        -- int32[n]
  logp_policy BLOB CHECK(length(logp_policy)=length(ids)),                         -- float32[n], untempered
  logp_sampling BLOB CHECK(length(logp_sampling)=length(ids))) STRICT;             -- float32[n], as sampled
CREATE TABLE reference_logps(                               -- a sample under some checkpoint
  reference_logp_id INTEGER PRIMARY KEY,
  sample_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  checkpoint_id INTEGER NOT NULL REFERENCES checkpoints(checkpoint_id),
  total REAL NOT NULL, vals BLOB NOT NULL CHECK(length(vals)%4=0),                 -- float64 sum, float32[n]
  UNIQUE(sample_id, checkpoint_id)) STRICT;

CREATE TABLE reward_modules(
  module_id INTEGER PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, version TEXT NOT NULL,
  config TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(config)), config_sha TEXT NOT NULL,
  UNIQUE(name, version, config_sha)) STRICT;
CREATE TABLE rewards(                                       -- replaced, never updated
  sample_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  module_id INTEGER NOT NULL REFERENCES reward_modules(module_id),
  score REAL, raw REAL,                                     -- raw = before scaling or clipping
  components TEXT CHECK(components IS NULL OR json_valid(components)), error TEXT, latency_us INTEGER,
  CHECK((score IS NULL)=(error IS NOT NULL)),               -- a score or the reason why there is none
  PRIMARY KEY(sample_id, module_id)) STRICT, WITHOUT ROWID;
CREATE INDEX rewards_module ON rewards(module_id, sample_id, score);
CREATE TABLE token_rewards(
  token_reward_id INTEGER PRIMARY KEY,
  sample_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  module_id INTEGER NOT NULL REFERENCES reward_modules(module_id), n INTEGER NOT NULL,
  total REAL NOT NULL, vmin REAL NOT NULL, vmax REAL NOT NULL, vals BLOB NOT NULL CHECK(length(vals)=4*n),
  UNIQUE(sample_id, module_id)) STRICT;
CREATE TABLE rankings(                                      -- ranker: 'cur', 'prev', 'module:3', ...
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id), ranker TEXT NOT NULL,
  sample_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  rank INTEGER NOT NULL CHECK(rank>=1), score REAL,
  PRIMARY KEY(iteration_id, prompt_id, ranker, sample_id)) STRICT, WITHOUT ROWID;
CREATE INDEX rankings_sample ON rankings(sample_id);
CREATE TABLE consistency(                                   -- agreement of two rankings of a prompt
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id),
  metric TEXT NOT NULL CHECK(metric IN('kendall','spearman','toporder')),
  ranker_a TEXT NOT NULL, ranker_b TEXT NOT NULL, value REAL NOT NULL,
  PRIMARY KEY(iteration_id, metric, ranker_a, ranker_b, prompt_id)) STRICT, WITHOUT ROWID;

CREATE TABLE pair_sets(                                     -- several may stand over the same samples
  pair_set_id INTEGER PRIMARY KEY,
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  name TEXT NOT NULL, strategy TEXT NOT NULL, module_id INTEGER REFERENCES reward_modules(module_id),
  config TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(config)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  UNIQUE(iteration_id, name)) STRICT;
CREATE TABLE pairs(
  pair_id INTEGER PRIMARY KEY,
  pair_set_id INTEGER NOT NULL REFERENCES pair_sets(pair_set_id) ON DELETE CASCADE,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id),
  chosen_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  rejected_id INTEGER NOT NULL REFERENCES samples(sample_id) ON DELETE CASCADE,
  margin REAL NOT NULL, soft_label REAL NOT NULL DEFAULT 1.0 CHECK(soft_label BETWEEN 0 AND 1),
  dropped TEXT,                                             -- why it is not trained on, else NULL
  CHECK(chosen_id<>rejected_id), UNIQUE(pair_set_id, chosen_id, rejected_id)) STRICT;
CREATE INDEX pairs_margin ON pairs(pair_set_id, margin) WHERE dropped IS NULL;
CREATE INDEX pairs_prompt ON pairs(prompt_id);
CREATE INDEX pairs_chosen ON pairs(chosen_id);
CREATE INDEX pairs_rejected ON pairs(rejected_id);
CREATE TABLE pair_skips(                                    -- prompts from which no pair could be made
  pair_set_id INTEGER NOT NULL REFERENCES pair_sets(pair_set_id) ON DELETE CASCADE,
  prompt_id INTEGER NOT NULL REFERENCES prompts(prompt_id), reason TEXT NOT NULL,
  PRIMARY KEY(pair_set_id, prompt_id)) STRICT, WITHOUT ROWID;
CREATE TABLE pair_spans(                                    -- token offsets, half open; at most one side empty
  pair_id INTEGER NOT NULL REFERENCES pairs(pair_id) ON DELETE CASCADE, span INTEGER NOT NULL,
  chosen_begin INTEGER NOT NULL CHECK(chosen_begin>=0), chosen_end INTEGER NOT NULL,
  rejected_begin INTEGER NOT NULL CHECK(rejected_begin>=0), rejected_end INTEGER NOT NULL,
  CHECK(chosen_end>=chosen_begin AND rejected_end>=rejected_begin),
  CHECK(chosen_end>chosen_begin OR rejected_end>rejected_begin),
  PRIMARY KEY(pair_id, span)) STRICT, WITHOUT ROWID;

CREATE TABLE steps(                                         -- optimizer steps
  step_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  global_step INTEGER NOT NULL, epoch REAL NOT NULL, lr REAL NOT NULL, loss REAL, grad_norm REAL,
  tokens INTEGER NOT NULL, wall_ms INTEGER NOT NULL, rss_bytes INTEGER NOT NULL,
  UNIQUE(run_id, global_step)) STRICT;
CREATE INDEX steps_iteration ON steps(iteration_id, global_step);
CREATE TABLE step_metrics(
  step_id INTEGER NOT NULL REFERENCES steps(step_id) ON DELETE CASCADE, name TEXT NOT NULL,
  value REAL NOT NULL, PRIMARY KEY(name, step_id)) STRICT, WITHOUT ROWID;
CREATE INDEX step_metrics_step ON step_metrics(step_id);
CREATE TABLE step_pairs(                                    -- the ledger: a pair's visit, before the step's update
  step_id INTEGER NOT NULL REFERENCES steps(step_id) ON DELETE CASCADE, position INTEGER NOT NULL,
  pair_id INTEGER NOT NULL REFERENCES pairs(pair_id) ON DELETE CASCADE,
  loss REAL NOT NULL, margin REAL NOT NULL, logp_chosen REAL NOT NULL, logp_rejected REAL NOT NULL,
  PRIMARY KEY(step_id, position)) STRICT, WITHOUT ROWID;
CREATE INDEX step_pairs_pair ON step_pairs(pair_id);
CREATE TABLE evaluations(
  evaluation_id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(run_id) ON DELETE CASCADE,
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  checkpoint_id INTEGER REFERENCES checkpoints(checkpoint_id), suite TEXT NOT NULL, metric TEXT NOT NULL,
  value REAL NOT NULL, ci_low REAL, ci_high REAL, n INTEGER,
  detail TEXT CHECK(detail IS NULL OR json_valid(detail)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  CHECK((ci_low IS NULL)=(ci_high IS NULL)), UNIQUE(run_id, iteration_id, suite, metric)) STRICT;
CREATE INDEX evaluations_iteration ON evaluations(iteration_id);
CREATE TABLE events(
  event_id INTEGER PRIMARY KEY, ts TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  run_id INTEGER REFERENCES runs(run_id) ON DELETE CASCADE,
  iteration_id INTEGER REFERENCES iterations(iteration_id) ON DELETE CASCADE,
  level TEXT NOT NULL DEFAULT 'info' CHECK(level IN('debug','info','warn','error')),
  kind TEXT NOT NULL, message TEXT NOT NULL, data TEXT CHECK(data IS NULL OR json_valid(data))) STRICT;
CREATE INDEX events_run ON events(run_id, level, event_id);
