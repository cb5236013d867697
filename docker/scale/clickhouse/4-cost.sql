-- What was spent, by day, team, project, story, provider and model.

-- Every call once, a row for each model that it billed.
CREATE VIEW IF NOT EXISTS tokenproxy.calls_by_model AS
SELECT
    call_id, made, received, started, latency_ms, ttft_ms, run_id, story_id, iteration, team,
    project, labels, client, session_id, agent_id, agent_type, request_class, provider, outcome,
    completeness, success, status_code,
    length(shares.model) > 0 AS divided,
    if(divided, share_model, toString(calls.model)) AS model,
    if(divided, share_input, calls.input_tokens) AS input_tokens,
    if(divided, share_uncached, calls.uncached_input_tokens) AS uncached_input_tokens,
    if(divided, share_read, calls.cache_read_input_tokens) AS cache_read_input_tokens,
    if(divided, share_written, calls.cache_creation_input_tokens) AS cache_creation_input_tokens,
    if(divided, share_output, calls.output_tokens) AS output_tokens,
    if(divided, share_reasoning, calls.reasoning_output_tokens) AS reasoning_output_tokens,
    if(divided, share_spent, coalesce(provider_cost_usd, cost_usd)) AS spent_usd,
    if(divided, share_unpriced, completeness != 'none' AND spent_usd IS NULL) AS unpriced
FROM tokenproxy.calls FINAL
LEFT ARRAY JOIN
    shares.model AS share_model,
    shares.input_tokens AS share_input,
    shares.uncached_input_tokens AS share_uncached,
    shares.cache_read_input_tokens AS share_read,
    shares.cache_creation_input_tokens AS share_written,
    shares.output_tokens AS share_output,
    shares.reasoning_output_tokens AS share_reasoning,
    shares.spent_usd AS share_spent,
    shares.unpriced AS share_unpriced;

-- A day's sums, made anew as a whole whenever calls of that day have come in. A view that
-- adds up what each INSERT brings would count what is delivered twice, twice; and could not
-- take back a partial count that a final one replaces.
CREATE TABLE IF NOT EXISTS tokenproxy.cost_days (
    day Date,
    computed DateTime64(3, 'UTC'),
    team LowCardinality(String),
    project LowCardinality(String),
    story_id LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String),
    calls UInt64,
    failed UInt64,
    unpriced UInt64,
    incomplete UInt64,
    input_tokens UInt64,
    cache_read_input_tokens UInt64,
    cache_creation_input_tokens UInt64,
    output_tokens UInt64,
    spent_usd Decimal(38, 18)
)
ENGINE = ReplacingMergeTree(computed)
PARTITION BY toYYYYMM(day)
ORDER BY (day, team, project, story_id, provider, model);

-- Looks back an hour every ten minutes: five refreshes may fail before a day is missed.
CREATE MATERIALIZED VIEW IF NOT EXISTS tokenproxy.cost_days_refresh
REFRESH EVERY 10 MINUTE APPEND TO tokenproxy.cost_days AS
SELECT
    toDate(started, 'UTC') AS day,
    now64(3, 'UTC') AS computed,
    team,
    ifNull(project, '') AS project,
    story_id,
    provider,
    model,
    count() AS calls,
    countIf(NOT success) AS failed,
    countIf(unpriced) AS unpriced,
    countIf(
        completeness = 'partial' OR (completeness = 'none'
            AND (ifNull(status_code, 999) < 400 OR outcome IN ('aborted', 'truncated', 'lost')))
    ) AS incomplete,
    sum(ifNull(input_tokens, 0)) AS input_tokens,
    sum(ifNull(cache_read_input_tokens, 0)) AS cache_read_input_tokens,
    sum(ifNull(cache_creation_input_tokens, 0)) AS cache_creation_input_tokens,
    sum(ifNull(output_tokens, 0)) AS output_tokens,
    sum(ifNull(spent_usd, 0)) AS spent_usd
FROM tokenproxy.calls_by_model
WHERE toDate(started, 'UTC') IN (
    SELECT DISTINCT toDate(started, 'UTC')
    FROM tokenproxy.calls
    WHERE received >= now() - INTERVAL 1 HOUR
)
GROUP BY day, team, project, story_id, provider, model;

-- The newest sums of each day. For dashboards; at most ten minutes behind.
CREATE VIEW IF NOT EXISTS tokenproxy.cost_by_day AS
SELECT * FROM tokenproxy.cost_days FINAL
WHERE (day, computed) IN (SELECT day, max(computed) FROM tokenproxy.cost_days GROUP BY day);
