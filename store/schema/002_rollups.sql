-- Migration 2: roll-ups that triggers keep true, so that views over a million samples need no scan, and the full-text index.
-- Samples, rewards and reference log-probs are written once: a changed value is a DELETE and an INSERT.
CREATE TABLE sample_rollup(
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE, suite TEXT NOT NULL,
  n INTEGER NOT NULL, tokens INTEGER NOT NULL,
  stops INTEGER NOT NULL, truncated INTEGER NOT NULL, errors INTEGER NOT NULL,     -- by finish_reason
  distinct_texts INTEGER NOT NULL,                          -- texts, counted once per prompt
  n_logp INTEGER NOT NULL, tokens_logp INTEGER NOT NULL, logp_policy REAL, logp_sampling REAL,
  PRIMARY KEY(iteration_id, suite)) STRICT, WITHOUT ROWID;
CREATE TABLE reward_rollup(                                 -- all but `errors` over scored samples
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE, suite TEXT NOT NULL,
  module_id INTEGER NOT NULL REFERENCES reward_modules(module_id),
  n INTEGER NOT NULL, errors INTEGER NOT NULL, total REAL, total_sq REAL,
  lo REAL, hi REAL,                                         -- NULL once an extreme score was removed
  tokens INTEGER NOT NULL, tokens_sq INTEGER NOT NULL, tokens_score REAL,          -- for the length bias
  PRIMARY KEY(iteration_id, suite, module_id)) STRICT, WITHOUT ROWID;
CREATE INDEX reward_rollup_module ON reward_rollup(module_id);
CREATE TABLE reference_rollup(                              -- log_ratio = policy - reference
  iteration_id INTEGER NOT NULL REFERENCES iterations(iteration_id) ON DELETE CASCADE, suite TEXT NOT NULL,
  checkpoint_id INTEGER NOT NULL REFERENCES checkpoints(checkpoint_id) ON DELETE CASCADE,
  n INTEGER NOT NULL, tokens INTEGER NOT NULL, log_ratio REAL, log_ratio_sq REAL,
  PRIMARY KEY(iteration_id, suite, checkpoint_id)) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE samples_fts USING fts5(text, content='samples', content_rowid='sample_id', tokenize='unicode61');

-- Each trigger makes the roll-up row if it is missing and then adds to it; no statement depends on the conflict policy of the caller.
CREATE TRIGGER samples_added AFTER INSERT ON samples BEGIN
  INSERT INTO sample_rollup SELECT NEW.iteration_id, NEW.suite, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0
    WHERE NOT EXISTS(SELECT 1 FROM sample_rollup WHERE iteration_id=NEW.iteration_id AND suite=NEW.suite);
  UPDATE sample_rollup SET n=n+1, tokens=tokens+NEW.n_tokens, stops=stops+(NEW.finish_reason='stop'),
    truncated=truncated+(NEW.finish_reason='length'), errors=errors+(NEW.finish_reason='error'),
    distinct_texts=distinct_texts+NOT EXISTS(SELECT 1 FROM samples o WHERE o.text_hash=NEW.text_hash AND o.iteration_id=NEW.iteration_id
      AND o.suite=NEW.suite AND o.prompt_id=NEW.prompt_id AND o.sample_id<>NEW.sample_id),
    n_logp=n_logp+(NEW.logp_policy IS NOT NULL), tokens_logp=tokens_logp+iif(NEW.logp_policy IS NULL, 0, NEW.n_tokens),
    logp_policy=logp_policy+coalesce(NEW.logp_policy, 0.0), logp_sampling=logp_sampling+coalesce(NEW.logp_sampling, 0.0)
    WHERE iteration_id=NEW.iteration_id AND suite=NEW.suite;
  INSERT INTO samples_fts(rowid, text) VALUES(NEW.sample_id, NEW.text);
END;
CREATE TRIGGER samples_frozen BEFORE UPDATE ON samples BEGIN
  SELECT raise(ABORT, 'samples are never changed: delete the row and insert another');
END;
CREATE TRIGGER samples_removing BEFORE DELETE ON samples BEGIN                     -- while the sample can still be looked up
  DELETE FROM rewards WHERE sample_id=OLD.sample_id;
  DELETE FROM reference_logps WHERE sample_id=OLD.sample_id;
END;
CREATE TRIGGER samples_removed AFTER DELETE ON samples BEGIN
  UPDATE sample_rollup SET n=n-1, tokens=tokens-OLD.n_tokens, stops=stops-(OLD.finish_reason='stop'),
    truncated=truncated-(OLD.finish_reason='length'), errors=errors-(OLD.finish_reason='error'),
    distinct_texts=distinct_texts-NOT EXISTS(SELECT 1 FROM samples o WHERE o.text_hash=OLD.text_hash AND o.iteration_id=OLD.iteration_id
      AND o.suite=OLD.suite AND o.prompt_id=OLD.prompt_id),
    n_logp=n_logp-(OLD.logp_policy IS NOT NULL), tokens_logp=tokens_logp-iif(OLD.logp_policy IS NULL, 0, OLD.n_tokens),
    logp_policy=logp_policy-coalesce(OLD.logp_policy, 0.0), logp_sampling=logp_sampling-coalesce(OLD.logp_sampling, 0.0)
    WHERE iteration_id=OLD.iteration_id AND suite=OLD.suite;
  DELETE FROM sample_rollup WHERE iteration_id=OLD.iteration_id AND suite=OLD.suite AND n=0;
  INSERT INTO samples_fts(samples_fts, rowid, text) VALUES('delete', OLD.sample_id, OLD.text);
END;

CREATE TRIGGER rewards_added AFTER INSERT ON rewards BEGIN
  INSERT INTO reward_rollup SELECT s.iteration_id, s.suite, NEW.module_id, 0, 0, 0.0, 0.0, NULL, NULL, 0, 0, 0.0 FROM samples s
    WHERE s.sample_id=NEW.sample_id AND NOT EXISTS(SELECT 1 FROM reward_rollup u
      WHERE u.iteration_id=s.iteration_id AND u.suite=s.suite AND u.module_id=NEW.module_id);
  UPDATE reward_rollup SET errors=errors+1 FROM samples s WHERE NEW.score IS NULL AND s.sample_id=NEW.sample_id
    AND reward_rollup.iteration_id=s.iteration_id AND reward_rollup.suite=s.suite AND reward_rollup.module_id=NEW.module_id;
  UPDATE reward_rollup SET n=n+1, total=total+NEW.score, total_sq=total_sq+NEW.score*NEW.score,
    lo=iif(n=0, NEW.score, min(lo, NEW.score)), hi=iif(n=0, NEW.score, max(hi, NEW.score)),
    tokens=tokens+s.n_tokens, tokens_sq=tokens_sq+s.n_tokens*s.n_tokens, tokens_score=tokens_score+s.n_tokens*NEW.score
    FROM samples s WHERE NEW.score IS NOT NULL AND s.sample_id=NEW.sample_id
    AND reward_rollup.iteration_id=s.iteration_id AND reward_rollup.suite=s.suite AND reward_rollup.module_id=NEW.module_id;
END;
CREATE TRIGGER rewards_frozen BEFORE UPDATE ON rewards BEGIN
  SELECT raise(ABORT, 'rewards are never changed: delete the row and insert another');
END;
CREATE TRIGGER rewards_removed AFTER DELETE ON rewards BEGIN
  UPDATE reward_rollup SET errors=errors-1 FROM samples s WHERE OLD.score IS NULL AND s.sample_id=OLD.sample_id
    AND reward_rollup.iteration_id=s.iteration_id AND reward_rollup.suite=s.suite AND reward_rollup.module_id=OLD.module_id;
  UPDATE reward_rollup SET n=n-1, total=iif(n=1, 0.0, total-OLD.score), total_sq=iif(n=1, 0.0, total_sq-OLD.score*OLD.score),
    lo=iif(n=1 OR OLD.score<=lo, NULL, lo), hi=iif(n=1 OR OLD.score>=hi, NULL, hi),
    tokens=tokens-s.n_tokens, tokens_sq=tokens_sq-s.n_tokens*s.n_tokens,
    tokens_score=iif(n=1, 0.0, tokens_score-s.n_tokens*OLD.score)
    FROM samples s WHERE OLD.score IS NOT NULL AND s.sample_id=OLD.sample_id
    AND reward_rollup.iteration_id=s.iteration_id AND reward_rollup.suite=s.suite AND reward_rollup.module_id=OLD.module_id;
  DELETE FROM reward_rollup WHERE module_id=OLD.module_id AND n=0 AND errors=0
    AND (iteration_id, suite)=(SELECT iteration_id, suite FROM samples WHERE sample_id=OLD.sample_id);
END;

CREATE TRIGGER reference_logps_added AFTER INSERT ON reference_logps BEGIN
  INSERT INTO reference_rollup SELECT s.iteration_id, s.suite, NEW.checkpoint_id, 0, 0, 0.0, 0.0 FROM samples s
    WHERE s.sample_id=NEW.sample_id AND s.logp_policy IS NOT NULL AND NOT EXISTS(SELECT 1 FROM reference_rollup u
      WHERE u.iteration_id=s.iteration_id AND u.suite=s.suite AND u.checkpoint_id=NEW.checkpoint_id);
  UPDATE reference_rollup SET n=n+1, tokens=tokens+s.n_tokens, log_ratio=log_ratio+(s.logp_policy-NEW.total),
    log_ratio_sq=log_ratio_sq+(s.logp_policy-NEW.total)*(s.logp_policy-NEW.total)
    FROM samples s WHERE s.sample_id=NEW.sample_id AND s.logp_policy IS NOT NULL AND reference_rollup.iteration_id=s.iteration_id
    AND reference_rollup.suite=s.suite AND reference_rollup.checkpoint_id=NEW.checkpoint_id;
END;
CREATE TRIGGER reference_logps_frozen BEFORE UPDATE ON reference_logps BEGIN
  SELECT raise(ABORT, 'reference log-probs are never changed: delete the row and insert another');
END;
CREATE TRIGGER reference_logps_removed AFTER DELETE ON reference_logps BEGIN
  UPDATE reference_rollup SET n=n-1, tokens=tokens-s.n_tokens, log_ratio=log_ratio-(s.logp_policy-OLD.total),
    log_ratio_sq=log_ratio_sq-(s.logp_policy-OLD.total)*(s.logp_policy-OLD.total)
    FROM samples s WHERE s.sample_id=OLD.sample_id AND s.logp_policy IS NOT NULL AND reference_rollup.iteration_id=s.iteration_id
    AND reference_rollup.suite=s.suite AND reference_rollup.checkpoint_id=OLD.checkpoint_id;
  DELETE FROM reference_rollup WHERE checkpoint_id=OLD.checkpoint_id AND n=0
    AND (iteration_id, suite)=(SELECT iteration_id, suite FROM samples WHERE sample_id=OLD.sample_id);
END;
