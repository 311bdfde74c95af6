-- The views. Names that begin with v_ belong to plumb: they are dropped and made again whenever this text changes.
-- `iteration` is the number within the run (0 = the initial policy), not iteration_id.

-- Samples with prompt and text; log_ratio = log-prob under the policy minus under the iteration's reference, nats.
CREATE VIEW v_samples AS SELECT s.sample_id, i.run_id, i.idx AS iteration, s.suite, s.prompt_id, s.k, s.n_tokens, s.finish_reason,
    s.logp_policy, s.logp_policy-l.total AS log_ratio, p.dataset, p.category, p.text AS prompt, s.text AS response
  FROM samples s JOIN iterations i USING(iteration_id) JOIN prompts p USING(prompt_id)
  LEFT JOIN reference_logps l ON l.sample_id=s.sample_id AND l.checkpoint_id=i.ref_checkpoint_id;

-- Scores with the module's name. The + keeps the planner from looping over modules outside.
CREATE VIEW v_rewards AS SELECT i.run_id, i.idx AS iteration, s.suite, s.prompt_id, s.sample_id, s.k, m.name AS module, r.module_id,
    r.score, r.raw, r.components, r.error, s.n_tokens
  FROM rewards r JOIN samples s USING(sample_id) JOIN iterations i USING(iteration_id) JOIN reward_modules m ON m.module_id=+r.module_id;

-- One row for each named component of a score.
CREATE VIEW v_reward_components AS SELECT r.sample_id, r.module_id, c.key AS component, c.value AS value
  FROM rewards r JOIN json_each(r.components) c WHERE r.components IS NOT NULL;

-- Mean, spread and failures of every module; sd is that of the population.
CREATE VIEW v_reward_by_iteration AS SELECT i.run_id, i.idx AS iteration, u.suite, m.name AS module, u.module_id, u.n, u.total/u.n AS mean,
    sqrt(max(0.0, u.total_sq/u.n-(u.total/u.n)*(u.total/u.n))) AS sd,
    coalesce(u.lo, (SELECT min(r.score) FROM samples s JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=u.module_id
      WHERE s.iteration_id=u.iteration_id AND s.suite=u.suite)) AS lo,
    coalesce(u.hi, (SELECT max(r.score) FROM samples s JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=u.module_id
      WHERE s.iteration_id=u.iteration_id AND s.suite=u.suite)) AS hi, u.errors
  FROM reward_rollup u JOIN iterations i USING(iteration_id) JOIN reward_modules m USING(module_id);

-- Pearson correlation of score and response length in tokens.
CREATE VIEW v_length_bias AS SELECT i.run_id, i.idx AS iteration, u.suite, m.name AS module, u.module_id, u.n,
    (1.0*u.n*u.tokens_score-1.0*u.tokens*u.total)/nullif(sqrt(max(0.0, 1.0*u.n*u.tokens_sq-1.0*u.tokens*u.tokens))
      *sqrt(max(0.0, u.n*u.total_sq-u.total*u.total)), 0.0) AS pearson
  FROM reward_rollup u JOIN iterations i USING(iteration_id) JOIN reward_modules m USING(module_id);

-- Responses by iteration and suite: length, how they ended, repeats of a prompt's answer, mean log-prob a token.
CREATE VIEW v_sample_statistics AS SELECT i.run_id, i.idx AS iteration, u.suite, u.n, 1.0*u.tokens/u.n AS mean_tokens,
    1.0*u.stops/u.n AS eos_share, 1.0*u.truncated/u.n AS truncated_share, u.errors, 1.0-1.0*u.distinct_texts/u.n AS duplicate_share,
    u.logp_policy/nullif(u.tokens_logp, 0) AS logp_token, u.logp_sampling/nullif(u.tokens_logp, 0) AS logp_sampling_token
  FROM sample_rollup u JOIN iterations i USING(iteration_id);

-- Monte-Carlo KL(policy || checkpoint) over the samples with log-probs under that checkpoint; can be negative on few samples.
CREATE VIEW v_kl AS SELECT i.run_id, i.idx AS iteration, u.suite, u.checkpoint_id AS reference_id,
    u.checkpoint_id IS i.ref_checkpoint_id AS is_loss_reference, u.n, u.log_ratio/u.n AS kl_seq, u.log_ratio/nullif(u.tokens, 0) AS kl_token,
    sqrt(max(0.0, u.log_ratio_sq/u.n-(u.log_ratio/u.n)*(u.log_ratio/u.n))/u.n) AS kl_seq_stderr
  FROM reference_rollup u JOIN iterations i USING(iteration_id);

-- The same for the checkpoint that the iteration's loss is anchored to, with length and truncation of the whole suite.
CREATE VIEW v_kl_by_iteration AS SELECT k.run_id, k.iteration, k.suite, k.n, k.kl_seq, k.kl_token, t.mean_tokens, t.truncated_share
  FROM v_kl k JOIN v_sample_statistics t ON t.run_id=k.run_id AND t.iteration=k.iteration AND t.suite=k.suite WHERE k.is_loss_reference;

-- Equal answers to one prompt.
CREATE VIEW v_duplicates AS SELECT i.run_id, i.idx AS iteration, d.suite, d.prompt_id, d.copies, d.first_sample
  FROM (SELECT iteration_id, suite, prompt_id, text_hash, count(*) AS copies, min(sample_id) AS first_sample FROM samples
    GROUP BY text_hash, iteration_id, suite, prompt_id HAVING count(*)>1) d JOIN iterations i USING(iteration_id);

-- Preference pairs with scores, lengths and texts; `dropped` tells why a pair is not trained on.
CREATE VIEW v_pairs AS SELECT i.run_id, i.idx AS iteration, t.name AS pair_set, q.pair_id, q.prompt_id, t.strategy, q.margin, q.soft_label, q.dropped,
    q.chosen_id, q.rejected_id, a.score AS chosen_score, b.score AS rejected_score, c.n_tokens AS chosen_tokens, r.n_tokens AS rejected_tokens,
    p.text AS prompt, c.text AS chosen, r.text AS rejected
  FROM pairs q JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id) JOIN prompts p ON p.prompt_id=q.prompt_id
  JOIN samples c ON c.sample_id=q.chosen_id JOIN samples r ON r.sample_id=q.rejected_id
  LEFT JOIN rewards a ON a.sample_id=q.chosen_id AND a.module_id=t.module_id LEFT JOIN rewards b ON b.sample_id=q.rejected_id AND b.module_id=t.module_id;

-- What training saw of each pair: visits, loss and margin before the update, at the last visit and on average.
CREATE VIEW v_pair_ledger AS SELECT i.run_id, i.idx AS iteration, t.name AS pair_set, q.pair_id, count(*) AS visits, max(x.step_id) AS last_step_id,
    x.loss AS last_loss, x.margin AS last_margin, avg(x.loss) AS mean_loss, avg(x.margin) AS mean_margin
  FROM step_pairs x JOIN pairs q USING(pair_id) JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id)
  GROUP BY i.run_id, i.idx, t.name, q.pair_id;

-- What early-learning regularisation remembers of each pair after its last visit; suspect = it trusts the label less than its opposite.
CREATE VIEW v_pair_targets AS SELECT i.run_id, i.idx AS iteration, t.name AS pair_set, q.pair_id, max(x.step_id) AS last_step_id, x.visits,
    x.t_right, x.t_wrong, x.t_wrong>x.t_right AS suspect
  FROM pair_targets x JOIN pairs q USING(pair_id) JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id)
  GROUP BY i.run_id, i.idx, t.name, q.pair_id;

-- Agreement of two rankings, by iteration.
CREATE VIEW v_consistency AS SELECT i.run_id, i.idx AS iteration, c.metric, c.ranker_a, c.ranker_b, count(*) AS n, avg(c.value) AS mean, min(c.value) AS lo
  FROM iterations i JOIN consistency c USING(iteration_id) GROUP BY i.run_id, i.idx, c.metric, c.ranker_a, c.ranker_b;

-- A sample's scores by two modules side by side.
CREATE VIEW v_module_disagreement AS SELECT i.run_id, i.idx AS iteration, s.suite, s.prompt_id, a.sample_id, a.module_id AS module_a,
    b.module_id AS module_b, a.score AS score_a, b.score AS score_b
  FROM rewards a JOIN rewards b ON b.sample_id=a.sample_id AND b.module_id>a.module_id JOIN samples s ON s.sample_id=a.sample_id
  JOIN iterations i USING(iteration_id);

-- Training curve: one row for each step and metric.
CREATE VIEW v_step_metrics AS SELECT t.run_id, i.idx AS iteration, t.global_step, t.epoch, t.lr, t.loss, t.grad_norm, x.name, x.value
  FROM steps t JOIN iterations i USING(iteration_id) LEFT JOIN step_metrics x USING(step_id);

-- Evaluations with their 95 % intervals.
CREATE VIEW v_evaluations AS SELECT e.run_id, i.idx AS iteration, e.suite, e.metric, e.value, e.ci_low, e.ci_high, e.n, e.checkpoint_id
  FROM evaluations e JOIN iterations i USING(iteration_id);

-- Where a run stands.
CREATE VIEW v_run_progress AS SELECT r.run_id, r.name, r.status, i.idx AS iteration, i.phase,
    (SELECT sum(u.n) FROM sample_rollup u WHERE u.iteration_id=i.iteration_id) AS samples,
    (SELECT count(*) FROM pair_sets t JOIN pairs q USING(pair_set_id) WHERE t.iteration_id=i.iteration_id AND q.dropped IS NULL) AS pairs,
    (SELECT max(global_step) FROM steps t WHERE t.iteration_id=i.iteration_id) AS last_step, i.started_at, i.finished_at
  FROM runs r LEFT JOIN iterations i USING(run_id);

-- Checkpoints, what they were made from, and the iteration that made them.
CREATE VIEW v_lineage AS SELECT c.run_id, c.checkpoint_id, c.role, c.global_step, i.idx AS made_by_iteration, c.path, c.sha256, c.bytes,
    c.parent_checkpoint_id AS parent_id, p.sha256 AS parent_sha256, c.created_at
  FROM checkpoints c LEFT JOIN checkpoints p ON p.checkpoint_id=c.parent_checkpoint_id
  LEFT JOIN iterations i ON i.run_id=c.run_id AND i.result_checkpoint_id=c.checkpoint_id AND c.role='policy';

-- A response token by token: ids and log-probs of the packed columns; logp_ref is under the iteration's reference. Always filter by sample_id.
CREATE VIEW v_tokens AS WITH nib(c, s) AS (VALUES(1,4),(2,0),(3,12),(4,8),(5,20),(6,16),(7,28),(8,24)),
h AS (SELECT t.sample_id, j.key AS pos, hex(substr(t.ids, 4*j.key+1, 4)) AS hi, hex(substr(t.logp_policy, 4*j.key+1, 4)) AS hp,
    hex(substr(t.logp_sampling, 4*j.key+1, 4)) AS hs, hex(substr(l.vals, 4*j.key+1, 4)) AS hr
  FROM sample_tokens t JOIN samples s USING(sample_id) JOIN iterations i USING(iteration_id)
  LEFT JOIN reference_logps l ON l.sample_id=t.sample_id AND l.checkpoint_id=i.ref_checkpoint_id,
  json_each('['||substr(replace(hex(zeroblob(length(t.ids)/4)), '00', ',0'), 2)||']') j),
u AS (SELECT sample_id, pos, hp, hs, hr, (SELECT sum(instr('123456789ABCDEF', substr(hi, c, 1))<<s) FROM nib) AS id,
    (SELECT sum(instr('123456789ABCDEF', substr(hp, c, 1))<<s) FROM nib) AS bp,
    (SELECT sum(instr('123456789ABCDEF', substr(hs, c, 1))<<s) FROM nib) AS bs,
    (SELECT sum(instr('123456789ABCDEF', substr(hr, c, 1))<<s) FROM nib) AS br FROM h)
SELECT sample_id, pos, CASE WHEN id>=2147483648 THEN id-4294967296 ELSE id END AS id,
  CASE WHEN hp<>'' THEN CASE (bp>>23)&255 WHEN 255 THEN NULL WHEN 0 THEN (bp&8388607)*pow(2,-149)
    ELSE (1+(bp&8388607)/8388608.0)*pow(2,((bp>>23)&255)-127) END*(1-2*(bp>>31)) END AS logp_policy,
  CASE WHEN hs<>'' THEN CASE (bs>>23)&255 WHEN 255 THEN NULL WHEN 0 THEN (bs&8388607)*pow(2,-149)
    ELSE (1+(bs&8388607)/8388608.0)*pow(2,((bs>>23)&255)-127) END*(1-2*(bs>>31)) END AS logp_sampling,
  CASE WHEN hr<>'' THEN CASE (br>>23)&255 WHEN 255 THEN NULL WHEN 0 THEN (br&8388607)*pow(2,-149)
    ELSE (1+(br&8388607)/8388608.0)*pow(2,((br>>23)&255)-127) END*(1-2*(br>>31)) END AS logp_ref FROM u;

-- Per-token rewards. Always filter by sample_id.
CREATE VIEW v_token_rewards AS WITH nib(c, s) AS (VALUES(1,4),(2,0),(3,12),(4,8),(5,20),(6,16),(7,28),(8,24)),
h AS (SELECT t.sample_id, t.module_id, j.key AS pos, hex(substr(t.vals, 4*j.key+1, 4)) AS hv
  FROM token_rewards t, json_each('['||substr(replace(hex(zeroblob(t.n)), '00', ',0'), 2)||']') j),
u AS (SELECT sample_id, module_id, pos, (SELECT sum(instr('123456789ABCDEF', substr(hv, c, 1))<<s) FROM nib) AS b FROM h)
SELECT sample_id, module_id, pos, CASE (b>>23)&255 WHEN 255 THEN NULL WHEN 0 THEN (b&8388607)*pow(2,-149)
  ELSE (1+(b&8388607)/8388608.0)*pow(2,((b>>23)&255)-127) END*(1-2*(b>>31)) AS value FROM u;
