-- A small run with which every view and stock query has rows. No random(): the numbers are the same everywhere.
INSERT INTO runs(run_id, uuid, name, seed, tool_version, config) VALUES
  (1, '00000000-0000-4000-8000-000000000001', 'demo', 42, '0.1.0', '{"loss":{"name":"dpo"},"dpo":{"beta":"0.1"}}');
INSERT INTO checkpoints(checkpoint_id, run_id, role, path, sha256, global_step, parent_checkpoint_id) VALUES
  (1, 1, 'base', 'models/base', 'aa00', 0, NULL), (2, 1, 'policy', 'policy/iter-01', 'bb11', 30, 1), (3, 1, 'policy', 'policy/iter-02', 'cc22', 60, 2);
INSERT INTO iterations(iteration_id, run_id, idx, phase, policy_checkpoint_id, ref_checkpoint_id, result_checkpoint_id) VALUES
  (1, 1, 0, 'done', 1, NULL, 1), (2, 1, 1, 'done', 1, 1, 2), (3, 1, 2, 'done', 2, 2, 3), (4, 1, 3, 'score', 3, 3, NULL);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<60)
INSERT INTO prompts(prompt_id, sha256, dataset, split, external_id, category, n_tokens, messages, text, ids)
  SELECT i, CAST(printf('%032d', i) AS BLOB), 'demo.jsonl', iif(i>45, 'heldout', 'train'), i, iif(i%3, 'open', 'constrained'), 2,
    json_array(json_object('role', 'user', 'content', 'question '||i)), 'question '||i, x'0100000002000000' FROM n;
INSERT INTO run_prompts SELECT 1, 'train', value, prompt_id-1, prompt_id FROM prompts, json_each('[1,2,3]') WHERE split='train';
INSERT INTO run_prompts SELECT 1, 'heldout', 0, prompt_id-46, prompt_id FROM prompts WHERE split='heldout';
INSERT INTO rejected_rows(run_id, file, line, reason) VALUES(1, 'demo.jsonl', 61, 'too_long: prompt of 900 tokens'), (1, 'demo.jsonl', 62, 'duplicate');

-- Iterations 1 to 3 train on prompts 1..45, all iterations but the last evaluate on 46..60; four responses each.
INSERT INTO samples(iteration_id, suite, prompt_id, k, seed, finish_reason, checkpoint_id, n_tokens, n_chars, logp_policy, logp_sampling, text_hash, text)
  SELECT it, suite, p, k, 42, iif((p+k)%11=0, 'length', 'stop'), it-(it>1), 10+(p*7+k*13+it*5)%90, 100, -20.0-(p*3+k)%17, -19.0-(p*3+k)%17,
    iif((p+k/2)%9=0, 777, it*1000003+p*97+k), iif((p+k/2)%9=0, 'Sorry, I cannot say.', 'answer '||p||'.'||k||iif(k=1, ' the sun', ' the moon'))
  FROM (SELECT iteration_id AS it FROM iterations), (SELECT prompt_id AS p, split AS suite FROM prompts), (SELECT value AS k FROM json_each('[0,1,2,3]'))
  WHERE (suite='train' AND it>1) OR (suite='heldout' AND it<4) ORDER BY it, p, k;
INSERT INTO sample_tokens SELECT sample_id, zeroblob(4*n_tokens), NULL, NULL FROM samples WHERE sample_id<>61;
-- Sample 61 is the first of iteration 1: ids 1, 504, -1; policy -0.5, -1.25, -2; sampling -0.25, -1, -1.5
INSERT INTO sample_tokens VALUES(61, x'01000000F8010000FFFFFFFF', x'000000BF0000A0BF000000C0', x'000080BE000080BF0000C0BF');
INSERT INTO reference_logps(sample_id, checkpoint_id, total, vals)
  SELECT s.sample_id, 1, -21.0-(s.prompt_id*5+s.k*2+s.iteration_id)%19, zeroblob(4*s.n_tokens) FROM samples s WHERE s.sample_id<>61;
INSERT INTO reference_logps(sample_id, checkpoint_id, total, vals) VALUES(61, 1, -1.125, x'000080BF000000BE00000080');  -- -1, -0.125, -0
INSERT INTO reference_logps(sample_id, checkpoint_id, total, vals)
  SELECT s.sample_id, 2, s.logp_policy-0.25, zeroblob(4*s.n_tokens) FROM samples s WHERE s.iteration_id=3 AND s.suite='train';

INSERT INTO reward_modules(module_id, name, kind, version, config, config_sha) VALUES(1, 'r3', 'r3', '1', '{}', 'a'), (2, 'genarm', 'genarm', '1', '{}', 'b');
INSERT INTO rewards(sample_id, module_id, score, raw, components, latency_us)
  SELECT sample_id, 1, iif(prompt_id=13, 0.5, n_tokens/100.0+(sample_id%5)*.1+sample_id*1e-6), n_tokens/100.0, json_object('li', n_tokens/100.0, 'rp', 1.0), 50
  FROM samples WHERE NOT (iteration_id=4 AND prompt_id>30);
INSERT INTO rewards(sample_id, module_id, score, error)
  SELECT sample_id, 2, iif(sample_id%50=0, NULL, -0.02*n_tokens+(sample_id%7)*.3), iif(sample_id%50=0, 'timeout', NULL) FROM samples WHERE iteration_id<4;
INSERT INTO token_rewards(sample_id, module_id, n, total, vmin, vmax, vals) VALUES(61, 2, 3, -3.75, -2.0, -0.5, x'000000BF0000A0BF000000C0');
INSERT INTO rankings SELECT s.iteration_id, s.prompt_id, 'cur', s.sample_id, row_number() OVER (PARTITION BY s.iteration_id, s.prompt_id ORDER BY r.score DESC, s.k), r.score
  FROM samples s JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=1 WHERE s.suite='train';
INSERT INTO consistency SELECT iteration_id, prompt_id, 'kendall', 'cur', 'prev', (prompt_id%11)/10.0 FROM (SELECT DISTINCT iteration_id, prompt_id FROM samples WHERE suite='train');

INSERT INTO pair_sets(pair_set_id, iteration_id, name, strategy, module_id) VALUES(1, 2, 'train', 'max_min', 1), (2, 3, 'train', 'max_min', 1), (3, 3, 'random', 'random', 1);
INSERT INTO pairs(pair_set_id, prompt_id, chosen_id, rejected_id, margin, soft_label, dropped)
  SELECT t.pair_set_id, prompt_id, max(iif(up=1, sample_id, 0)), max(iif(down=1, sample_id, 0)), max(score)-min(score), .8, iif(max(score)=min(score), 'tie', NULL)
  FROM (SELECT s.iteration_id, s.prompt_id, s.sample_id, r.score, row_number() OVER (PARTITION BY s.iteration_id, s.prompt_id ORDER BY r.score DESC, s.k) AS up,
    row_number() OVER (PARTITION BY s.iteration_id, s.prompt_id ORDER BY r.score, s.k DESC) AS down
    FROM samples s JOIN rewards r ON r.sample_id=s.sample_id AND r.module_id=1 WHERE s.suite='train' AND s.prompt_id NOT IN (7, 8)) w
  JOIN pair_sets t ON t.iteration_id=w.iteration_id GROUP BY t.pair_set_id, prompt_id;
INSERT INTO pair_skips VALUES(1, 7, 'duplicates'), (2, 7, 'duplicates'), (2, 8, 'too_few_responses');
INSERT INTO prompt_filter VALUES(2, 1, 4, .9, .2, NULL), (2, 7, 4, .3, .3, 'flat'), (2, 8, 1, .5, .5, 'too_few');
INSERT INTO pair_spans VALUES(1, 0, 1, 3, 1, 4), (1, 1, 5, 5, 6, 8), (2, 0, 1, 3, 1, 4), (2, 1, 5, 5, 6, 8);
-- Pair 2's spans: chosen 0.5, 0.5; rejected -0.5, 0, 0.5 and 0.5, 0.5. The first pair of iteration 2 has none: chosen 0.5, rejected -0.5 throughout.
INSERT INTO token_rewards(sample_id, module_id, n, total, vmin, vmax, vals)
  SELECT chosen_id, 1, 5, 0, -0.5, 0.5, x'000000BF0000003F0000003F000000BF000000BF' FROM pairs WHERE pair_id=2
  UNION ALL SELECT rejected_id, 1, 8, 0, -0.5, 0.5, x'000000BF000000BF000000000000003F000000BF000000BF0000003F0000003F' FROM pairs WHERE pair_id=2;
INSERT INTO token_rewards(sample_id, module_id, n, total, vmin, vmax, vals)
  SELECT chosen_id, 1, 2, 1.0, 0.5, 0.5, x'0000003F0000003F' FROM pairs WHERE pair_id=(SELECT min(pair_id) FROM pairs WHERE pair_set_id=2)
  UNION ALL SELECT rejected_id, 1, 1, -0.5, -0.5, -0.5, x'000000BF' FROM pairs WHERE pair_id=(SELECT min(pair_id) FROM pairs WHERE pair_set_id=2);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<60)
INSERT INTO steps(step_id, run_id, iteration_id, global_step, epoch, lr, loss, grad_norm, tokens, wall_ms, rss_bytes)
  SELECT i, 1, iif(i>30, 3, 2), i, i%31/30.0, 1e-6, .69-.001*i, 1.0, 512, 100, 1048576 FROM n;
INSERT INTO step_metrics SELECT step_id, 'rewards/margins', .01*step_id FROM steps;
INSERT INTO step_pairs SELECT t.step_id, row_number() OVER (PARTITION BY t.step_id ORDER BY q.pair_id)-1, q.pair_id, .7-.01*q.pair_id, .02*q.pair_id, -30.0, -32.0
  FROM steps t JOIN pair_sets x ON x.iteration_id=t.iteration_id AND x.name='train' JOIN pairs q ON q.pair_set_id=x.pair_set_id AND q.dropped IS NULL AND q.pair_id%30=t.step_id%30;
INSERT INTO pair_targets SELECT step_id, pair_id, .3+.1*(pair_id%5), .7-.1*(pair_id%5), 1 FROM step_pairs;
INSERT INTO evaluations(run_id, iteration_id, checkpoint_id, suite, metric, value, ci_low, ci_high, n) VALUES
  (1, 1, 1, 'heldout', 'reward/mean', .45, .40, .50, 15), (1, 2, 2, 'heldout', 'reward/mean', .50, .45, .55, 15), (1, 3, 3, 'heldout', 'reward/mean', .56, .51, .61, 15),
  (1, 2, 2, 'heldout', 'reward/difference', .05, .01, .09, 15), (1, 3, 3, 'heldout', 'reward/difference', .11, .06, .16, 15),
  (1, 2, 2, 'heldout', 'win_rate', .6, .4, .8, 15), (1, 3, 3, 'heldout', 'win_rate', .8, .6, .9, 15),
  (1, 3, 3, 'heldout', 'completions/mean_length', 52.5, NULL, NULL, 60), (1, 3, 3, 'heldout', 'completions/eos_share', .9, NULL, NULL, 60), (1, 3, 3, 'heldout', 'completions/copy_rate', .03, NULL, NULL, 60),
  (1, 3, 3, 'heldout', 'eval_logps/chosen_change', -1.5, -2.0, -1.0, 15), (1, 3, 3, 'heldout', 'eval_logps/rejected_change', -4.0, -5.0, -3.0, 15),
  (1, 3, 3, 'heldout', 'eval_rewards/accuracies', .7, .5, .9, 15), (1, 3, 3, 'heldout-pairs', 'eval_logps/accuracy_change', .6, .4, .8, 40), (1, 3, 3, 'heldout-pairs', 'eval_logps/span_margin', 1.25, 1, 1.5, 40),
  (1, 3, 3, 'heldout', 'r3/rp', .98, NULL, NULL, 60), (1, 3, 3, 'heldout', 'objective/kl', 3.1, NULL, NULL, 60);
INSERT INTO events(run_id, iteration_id, kind, message) VALUES(1, NULL, 'start', 'run demo begun'), (1, 2, 'sampler_gap', 'sampler and trainer agree');
