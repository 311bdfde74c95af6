-- Stock queries of `plumb sql DB @name`. Each begins with "-- @name summary".
-- Parameters: :run a run, :it iteration number in the run, :suite a suite, :set a pair set, :a and :b reward modules,
-- :prompt, :sample ids, :metric a training metric, :match a full-text expression, :limit rows.

-- @runs the runs in this database
SELECT run_id AS run, name, status, loss, seed, tool_version, started_at, finished_at,
  (SELECT count(*) FROM iterations i WHERE i.run_id=r.run_id) AS iterations FROM runs r ORDER BY run_id;
-- @progress where the run stands: phase, samples, pairs and steps by iteration
SELECT iteration, phase, samples, pairs, last_step, started_at, finished_at FROM v_run_progress WHERE run_id=:run ORDER BY iteration;
-- @iterations one row an iteration: reward with interval, win rate, length, EOS share, copying of the prompt, repetition, KL to the initial policy
SELECT iteration, suite, max(value) FILTER(WHERE metric='reward/mean') AS reward,
  max(ci_low) FILTER(WHERE metric='reward/mean') AS low, max(ci_high) FILTER(WHERE metric='reward/mean') AS high,
  max(value) FILTER(WHERE metric='reward/difference') AS change, max(ci_low) FILTER(WHERE metric='reward/difference') AS change_low,
  max(ci_high) FILTER(WHERE metric='reward/difference') AS change_high, max(value) FILTER(WHERE metric='win_rate') AS win_rate,
  max(value) FILTER(WHERE metric='completions/mean_length') AS tokens, max(value) FILTER(WHERE metric='completions/eos_share') AS eos_share,
  max(value) FILTER(WHERE metric='completions/copy_rate') AS copied, max(value) FILTER(WHERE metric LIKE '%/rp') AS repetition, max(value) FILTER(WHERE metric='objective/kl') AS kl
FROM v_evaluations WHERE run_id=:run GROUP BY suite, iteration ORDER BY suite, iteration;
-- @signature what the methods are known for, one row an evaluation: held-out chosen and rejected log-prob against the start, KL, agreement with the policy before, copying
SELECT e.iteration, e.suite, max(e.value) FILTER(WHERE e.metric IN ('eval_rewards/accuracies', 'eval_logps/accuracy_change')) AS accuracy,
  max(e.value) FILTER(WHERE e.metric='eval_logps/chosen_change') AS chosen, max(e.ci_low) FILTER(WHERE e.metric='eval_logps/chosen_change') AS chosen_low,
  max(e.ci_high) FILTER(WHERE e.metric='eval_logps/chosen_change') AS chosen_high, max(e.value) FILTER(WHERE e.metric='eval_logps/rejected_change') AS rejected,
  max(e.value) FILTER(WHERE e.metric='eval_logps/chosen_change')-max(e.value) FILTER(WHERE e.metric='eval_logps/rejected_change') AS margin,
  max(e.value) FILTER(WHERE e.metric='eval_logps/span_margin') AS span_margin,
  coalesce(max(e.value) FILTER(WHERE e.metric='objective/kl'), (SELECT k.value FROM v_evaluations k
    WHERE k.run_id=e.run_id AND k.iteration=e.iteration AND k.suite='heldout' AND k.metric='objective/kl')) AS kl,
  (SELECT c.mean FROM v_consistency c WHERE c.run_id=e.run_id AND c.iteration=e.iteration AND c.metric='kendall' AND c.ranker_a='cur' AND c.ranker_b='prev') AS agreement,
  max(e.value) FILTER(WHERE e.metric='completions/copy_rate') AS copied, max(e.value) FILTER(WHERE e.metric='completions/mean_length') AS tokens
FROM v_evaluations e WHERE e.run_id=:run GROUP BY e.suite, e.iteration ORDER BY e.suite, e.iteration;
-- @evaluations every evaluated number of the run
SELECT iteration, suite, metric, value, ci_low, ci_high, n FROM v_evaluations WHERE run_id=:run ORDER BY suite, metric, iteration;
-- @samples responses of an iteration, with module :a's score
SELECT s.sample_id AS sample, s.prompt_id AS prompt, s.k, s.n_tokens AS tokens, s.finish_reason AS finish, r.score, s.text AS response
FROM samples s LEFT JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a
WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite ORDER BY s.prompt_id, s.k LIMIT :limit;
-- @best_worst best and worst response of each prompt by module :a, widest gap first
WITH r AS (SELECT s.prompt_id, s.sample_id, r.score FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a
  WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite AND +r.score IS NOT NULL),
b AS (SELECT prompt_id, max(score) AS best, sample_id AS best_id FROM r GROUP BY prompt_id),
w AS (SELECT prompt_id, min(score) AS worst, sample_id AS worst_id FROM r GROUP BY prompt_id),
g AS (SELECT prompt_id, best, worst, best_id, worst_id FROM b JOIN w USING(prompt_id) ORDER BY best-worst DESC, prompt_id LIMIT :limit)
SELECT g.prompt_id AS prompt, best, worst, p.text AS question, x.text AS best_response, y.text AS worst_response
FROM g JOIN prompts p USING(prompt_id) JOIN samples x ON x.sample_id=best_id JOIN samples y ON y.sample_id=worst_id ORDER BY best-worst DESC, g.prompt_id;
-- @pairs the pairs of an iteration that are trained on, widest margin first
SELECT pair_id, prompt_id, margin, soft_label, chosen_score, rejected_score, chosen_tokens, rejected_tokens, prompt, chosen, rejected
FROM v_pairs WHERE run_id=:run AND iteration=:it AND pair_set=:set AND dropped IS NULL ORDER BY margin DESC, pair_id LIMIT :limit;
-- @skips why prompts gave no pair to train on
SELECT reason, count(*) AS prompts, min(prompt_id) AS example_prompt FROM (
  SELECT x.reason, x.prompt_id FROM pair_skips x JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id)
    WHERE i.run_id=:run AND i.idx=:it AND t.name=:set
  UNION ALL SELECT q.dropped, q.prompt_id FROM pairs q JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id)
    WHERE i.run_id=:run AND i.idx=:it AND t.name=:set AND q.dropped IS NOT NULL) GROUP BY reason ORDER BY prompts DESC, reason;
-- @filter prompts without signal: how many the filter dropped, why, and between which scores theirs lie
SELECT i.idx AS iteration, t.name AS pair_set, coalesce(f.reason, 'kept') AS decision, count(*) AS prompts, sum(f.n) AS responses,
  avg(f.best) AS mean_best, avg(f.best-f.worst) AS mean_spread, min(f.prompt_id) AS example_prompt
FROM prompt_filter f JOIN pair_sets t USING(pair_set_id) JOIN iterations i USING(iteration_id) WHERE i.run_id=:run
GROUP BY i.idx, t.name, decision ORDER BY i.idx, t.name, prompts DESC, decision;
-- @ties prompts whose responses the deciding module scored alike
SELECT prompt_id, chosen_score AS score, prompt, chosen AS one_response, rejected AS other_response
FROM v_pairs WHERE run_id=:run AND iteration=:it AND pair_set=:set AND dropped='tie' ORDER BY prompt_id LIMIT :limit;
-- @longer_wins is "chosen" just the longer one?
SELECT i.idx AS iteration, t.name AS pair_set, t.strategy, count(*) AS n, avg(c.n_tokens>r.n_tokens) AS longer_wins, avg(c.n_tokens-r.n_tokens) AS gap
FROM iterations i JOIN pair_sets t USING(iteration_id) JOIN pairs q USING(pair_set_id) JOIN samples c ON c.sample_id=q.chosen_id
JOIN samples r ON r.sample_id=q.rejected_id WHERE i.run_id=:run AND i.idx=:it AND q.dropped IS NULL GROUP BY t.pair_set_id ORDER BY t.pair_set_id;
-- @margins histogram of pair margins
SELECT bin, n, replace(hex(zeroblob(CAST(1+60*n/max(n) OVER () AS INTEGER))), '00', '#') AS bar FROM (
  SELECT round(round(q.margin/w.width)*w.width, 9) AS bin, count(*) AS n FROM (
    SELECT pow(10, floor(log10(max(max(x.margin), 1e-9)))-1)*2 AS width, x.pair_set_id FROM pairs x WHERE x.dropped IS NULL
      AND x.pair_set_id=(SELECT pair_set_id FROM pair_sets JOIN iterations i USING(iteration_id) WHERE i.run_id=:run AND i.idx=:it AND name=:set)) w
  JOIN pairs q ON q.pair_set_id=w.pair_set_id AND q.dropped IS NULL GROUP BY bin) ORDER BY bin;
-- @ledger the pairs that training finds hardest: highest loss at the last visit
SELECT l.pair_id AS pair, l.visits, l.last_loss, l.last_margin, l.mean_margin, q.margin AS reward_margin, p.text AS prompt, c.text AS chosen, r.text AS rejected
FROM (SELECT * FROM v_pair_ledger WHERE run_id=:run AND iteration=:it AND pair_set=:set ORDER BY last_loss DESC, pair_id LIMIT :limit) l
JOIN pairs q ON q.pair_id=l.pair_id JOIN prompts p USING(prompt_id) JOIN samples c ON c.sample_id=q.chosen_id
JOIN samples r ON r.sample_id=q.rejected_id ORDER BY l.last_loss DESC, l.pair_id;
-- @suspects pairs whose label early-learning regularisation (loss.modifier = elr) trusts least
SELECT l.pair_id AS pair, l.visits, l.suspect, round(l.t_right, 4) AS t_right, round(l.t_wrong, 4) AS t_wrong, q.margin AS reward_margin,
  p.text AS prompt, c.text AS chosen, r.text AS rejected
FROM (SELECT * FROM v_pair_targets WHERE run_id=:run AND iteration=:it AND pair_set=:set ORDER BY t_right-t_wrong, pair_id LIMIT :limit) l
JOIN pairs q ON q.pair_id=l.pair_id JOIN prompts p USING(prompt_id) JOIN samples c ON c.sample_id=q.chosen_id
JOIN samples r ON r.sample_id=q.rejected_id ORDER BY l.t_right-l.t_wrong, l.pair_id;
-- @metric a training metric by step, with its mean over the last 25 steps
SELECT t.global_step AS step, x.value, avg(x.value) OVER (ORDER BY t.global_step ROWS BETWEEN 24 PRECEDING AND CURRENT ROW) AS smooth
FROM step_metrics x JOIN steps t USING(step_id) WHERE x.name=:metric AND t.run_id=:run ORDER BY step;
-- @steps the last optimizer steps
SELECT i.idx AS iteration, t.global_step AS step, t.epoch, t.lr, t.loss, t.grad_norm, t.tokens, t.wall_ms, round(t.rss_bytes/1048576.0, 1) AS rss_mib
FROM steps t JOIN iterations i USING(iteration_id) WHERE t.run_id=:run ORDER BY step DESC LIMIT :limit;
-- @drift mean reward of each module by iteration and its change against the one before
SELECT iteration, suite, module, n, mean, sd, mean-lag(mean) OVER (PARTITION BY suite, module_id ORDER BY iteration) AS change, lo, hi, errors
FROM v_reward_by_iteration WHERE run_id=:run ORDER BY suite, module, iteration;
-- @headroom what picking the best of a prompt's responses by module :a would gain
SELECT :it AS iteration, count(*) AS prompts, avg(best) AS best_of_n, avg(average) AS mean, avg(best-average) AS headroom
FROM (SELECT max(r.score) AS best, avg(r.score) AS average FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a
  WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite GROUP BY s.prompt_id);
-- @length_bias correlation of score and length, strongest first
SELECT iteration, suite, module, n, pearson FROM v_length_bias WHERE run_id=:run ORDER BY abs(pearson) DESC LIMIT :limit;
-- @deciles mean score of module :a by length decile
SELECT decile, min(n_tokens) AS shortest, max(n_tokens) AS longest, count(*) AS n, avg(score) AS score FROM (
  SELECT s.n_tokens, r.score, ntile(10) OVER (ORDER BY s.n_tokens) AS decile FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a
  WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite AND +r.score IS NOT NULL) GROUP BY decile;
-- @reward_hacks suspects: in the top 1 % of module :a and in the lower half of module :b
WITH z AS (SELECT s.sample_id, x.score AS a, y.score AS b, percent_rank() OVER (ORDER BY x.score) AS rank_a, percent_rank() OVER (ORDER BY y.score) AS rank_b
  FROM samples s CROSS JOIN rewards x ON x.sample_id=s.sample_id AND x.module_id=:a CROSS JOIN rewards y ON y.sample_id=s.sample_id AND y.module_id=:b
  WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite AND +x.score IS NOT NULL AND +y.score IS NOT NULL)
SELECT z.sample_id AS sample, z.a, z.b, z.rank_a, z.rank_b, s.n_tokens AS tokens, s.text AS response
FROM z JOIN samples s USING(sample_id) WHERE z.rank_a>=0.99 AND z.rank_b<=0.5 ORDER BY z.rank_a-z.rank_b DESC, z.sample_id LIMIT :limit;
-- @disagreement share of a prompt's response pairs that modules :a and :b order differently
SELECT (SELECT name FROM reward_modules WHERE module_id=:a) AS a, (SELECT name FROM reward_modules WHERE module_id=:b) AS b,
  count(*) AS response_pairs, avg((xs.score-xt.score)*(ys.score-yt.score)<0) AS disagree
FROM samples s CROSS JOIN rewards xs ON xs.sample_id=s.sample_id AND xs.module_id=:a CROSS JOIN rewards ys ON ys.sample_id=s.sample_id AND ys.module_id=:b
CROSS JOIN samples t ON t.iteration_id=s.iteration_id AND t.suite=s.suite AND t.prompt_id=s.prompt_id AND t.k>s.k
CROSS JOIN rewards xt ON xt.sample_id=t.sample_id AND xt.module_id=:a CROSS JOIN rewards yt ON yt.sample_id=t.sample_id AND yt.module_id=:b
WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND s.suite=:suite
  AND +xs.score IS NOT NULL AND +ys.score IS NOT NULL AND +xt.score IS NOT NULL AND +yt.score IS NOT NULL;
-- @duplicates share of responses that repeat another one to the same prompt
SELECT iteration, suite, n, duplicate_share FROM v_sample_statistics WHERE run_id=:run ORDER BY suite, iteration;
-- @recurring answers given to several prompts
SELECT d.n, d.prompts, s.text AS response FROM (SELECT text_hash, count(*) AS n, count(DISTINCT prompt_id) AS prompts, min(sample_id) AS first_id
  FROM samples GROUP BY text_hash HAVING prompts>1 ORDER BY prompts DESC, n DESC LIMIT :limit) d JOIN samples s ON s.sample_id=d.first_id ORDER BY d.prompts DESC, d.n DESC;
-- @truncated how often responses were cut off at the length limit
SELECT iteration, suite, n, mean_tokens, eos_share, truncated_share, errors FROM v_sample_statistics WHERE run_id=:run ORDER BY suite, iteration;
-- @kl distance of the policy from every checkpoint with stored log-probs, nats
SELECT iteration, suite, reference_id, is_loss_reference, n, kl_seq, kl_seq_stderr, kl_token FROM v_kl WHERE run_id=:run ORDER BY suite, iteration, reference_id;
-- @kl_reward over-optimisation: KL to the loss's reference beside the mean reward
SELECT k.iteration, k.suite, k.kl_seq, k.kl_token, k.mean_tokens, k.truncated_share, b.module, b.mean FROM v_kl_by_iteration k
JOIN v_reward_by_iteration b ON b.run_id=k.run_id AND b.iteration=k.iteration AND b.suite=k.suite WHERE k.run_id=:run ORDER BY k.suite, b.module, k.iteration;
-- @consistency agreement of two rankings of the responses, by iteration
SELECT iteration, metric, ranker_a, ranker_b, n, mean, lo FROM v_consistency WHERE run_id=:run ORDER BY metric, ranker_a, ranker_b, iteration;
-- @inconsistent prompts on whose ranking the rankers agree least
SELECT c.prompt_id AS prompt, c.value AS kendall, c.ranker_a, c.ranker_b, p.text AS question FROM consistency c JOIN prompts p USING(prompt_id)
WHERE c.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND c.metric='kendall' ORDER BY c.value, c.prompt_id LIMIT :limit;
-- @prompt one prompt through the run: best and mean score of module :a
SELECT i.idx AS iteration, s.suite, count(*) AS n, max(r.score) AS best, avg(r.score) AS mean, avg(s.n_tokens) AS tokens
FROM samples s JOIN iterations i USING(iteration_id) JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a
WHERE s.prompt_id=:prompt AND i.run_id=:run GROUP BY i.idx, s.suite ORDER BY s.suite, i.idx;
-- @search full text over responses, with module :a's score
SELECT s.sample_id AS sample, i.idx AS iteration, s.suite, r.score, snippet(samples_fts, 0, '[', ']', '...', 12) AS hit
FROM samples_fts JOIN samples s ON s.sample_id=samples_fts.rowid JOIN iterations i USING(iteration_id)
LEFT JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=:a WHERE samples_fts MATCH :match ORDER BY samples_fts.rank LIMIT :limit;
-- @tokens a response token by token, largest log-prob difference to the reference first
SELECT pos, id, logp_policy, logp_sampling, logp_ref, logp_policy-logp_ref AS difference FROM v_tokens
WHERE sample_id=:sample ORDER BY abs(logp_policy-logp_ref) DESC, pos LIMIT :limit;
-- @token_rewards a response's per-token rewards by module
SELECT t.module_id, m.name AS module, t.pos, k.id, t.value FROM v_token_rewards t JOIN reward_modules m USING(module_id)
JOIN v_tokens k ON k.sample_id=t.sample_id AND k.pos=t.pos WHERE t.sample_id=:sample AND k.sample_id=:sample ORDER BY t.module_id, t.pos;
-- @span_rewards token rewards in the key spans of the pairs (in whole responses where a pair has none), one mean a side and pair; a fair coin's shares stay below `coin`
WITH x AS (SELECT q.pair_id, q.chosen_id, q.rejected_id, p.span, p.chosen_begin, p.chosen_end, p.rejected_begin, p.rejected_end
  FROM pairs q LEFT JOIN pair_spans p USING(pair_id) WHERE q.dropped IS NULL
    AND q.pair_set_id=(SELECT pair_set_id FROM pair_sets JOIN iterations i USING(iteration_id) WHERE i.run_id=:run AND i.idx=:it AND name=:set)),
s AS (SELECT pair_id, 1 AS is_chosen, chosen_id AS sample_id, coalesce(chosen_begin, 0) AS first, coalesce(chosen_end, 1e9) AS past FROM x
  UNION ALL SELECT pair_id, 0, rejected_id, coalesce(rejected_begin, 0), coalesce(rejected_end, 1e9) FROM x),
m AS (SELECT t.module_id, s.pair_id, count(*) AS tokens, avg(t.value) FILTER(WHERE s.is_chosen) AS chosen, avg(t.value) FILTER(WHERE NOT s.is_chosen) AS rejected
  FROM s CROSS JOIN v_token_rewards t ON t.sample_id=s.sample_id AND t.pos>=s.first AND t.pos<s.past GROUP BY t.module_id, s.pair_id)
SELECT r.name AS module, count(*) AS pairs, sum(m.tokens) AS tokens, avg(m.chosen) AS chosen, avg(m.rejected) AS rejected, avg(m.chosen>0) AS chosen_positive,
  avg(m.rejected<0) AS rejected_negative, avg(m.chosen>m.rejected) AS chosen_above, 0.5+0.98/sqrt(count(*)) AS coin
FROM m JOIN reward_modules r USING(module_id) GROUP BY m.module_id ORDER BY m.module_id;
-- @modules the reward modules and what they scored
SELECT m.module_id AS module, m.name, m.kind, m.version, sum(u.n) AS scored, sum(u.errors) AS errors, m.config
FROM reward_modules m LEFT JOIN reward_rollup u USING(module_id) GROUP BY m.module_id ORDER BY m.module_id;
-- @unscored responses that a module has not scored, or failed on
SELECT i.idx AS iteration, t.suite, m.name AS module, t.n AS responses, coalesce(u.n, 0) AS scored, coalesce(u.errors, 0) AS errors,
  t.n-coalesce(u.n, 0) AS unscored FROM iterations i JOIN sample_rollup t USING(iteration_id)
JOIN (SELECT DISTINCT module_id FROM reward_rollup JOIN iterations x USING(iteration_id) WHERE x.run_id=:run) w JOIN reward_modules m USING(module_id)
LEFT JOIN reward_rollup u ON u.iteration_id=i.iteration_id AND u.suite=t.suite AND u.module_id=m.module_id
WHERE i.run_id=:run AND t.n>coalesce(u.n, 0) ORDER BY i.idx, t.suite, m.module_id;
-- @errors the reasons for which modules gave no score
SELECT m.name AS module, r.error, count(*) AS n, min(s.sample_id) AS example_sample FROM samples s CROSS JOIN rewards r ON r.sample_id=s.sample_id
JOIN reward_modules m ON m.module_id=+r.module_id WHERE s.iteration_id=(SELECT iteration_id FROM iterations WHERE run_id=:run AND idx=:it) AND r.error IS NOT NULL
GROUP BY m.module_id, r.error ORDER BY n DESC LIMIT :limit;
-- @lineage checkpoints, their hashes and what they were trained from
SELECT checkpoint_id AS checkpoint, role, made_by_iteration, global_step, path, sha256, parent_id, parent_sha256 FROM v_lineage
WHERE run_id=:run ORDER BY checkpoint_id;
-- @config every effective option of the run
SELECT s.key AS section, o.key AS name, o.value AS value FROM runs r, json_each(r.config) s, json_each(s.value) o WHERE r.run_id=:run ORDER BY section, name;
-- @rejected input rows that were not used, and why
SELECT file, line, reason FROM rejected_rows WHERE run_id=:run ORDER BY file, line LIMIT :limit;
-- @events what happened, newest first
SELECT e.ts, i.idx AS iteration, e.level, e.kind, e.message FROM events e LEFT JOIN iterations i USING(iteration_id)
WHERE e.run_id=:run ORDER BY e.event_id DESC LIMIT :limit;
