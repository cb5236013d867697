-- One row a model call, whatever number of times its span arrives: the ledger at scale.
--
-- Collectors deliver at least once, and `tokenproxy ledger ship` may tell of a call again by
-- another span. The key is therefore tokenproxy.call.id, and nothing else that two tellings
-- could differ in: the partition and the order follow from the id too. An id is a UUIDv7,
-- which begins with its time, so rows still lie in the order of time. What is no UUIDv7 (a
-- batch's results) is in a partition of its own, 197001.
--
-- Of several tellings the fullest stays, as in the ledger: final, else partial, else none.
-- Merges take out the rest some time; FINAL does it in every query, so a sum never sees two.
--
-- Unknown is NULL, never 0.

CREATE TABLE IF NOT EXISTS tokenproxy.calls (
    call_id String CODEC(ZSTD(1)),
    made DateTime('UTC') MATERIALIZED toDateTime(UUIDv7ToDateTime(toUUIDOrZero(call_id)), 'UTC')
        CODEC(Delta, ZSTD(1)),
    fullness UInt8,
    received DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1)),

    started DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    latency_ms Nullable(Float64) CODEC(ZSTD(1)),
    ttft_ms Nullable(Float64) CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),

    run_id String CODEC(ZSTD(1)),
    story_id LowCardinality(String) CODEC(ZSTD(1)),
    iteration Int64 CODEC(T64, ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    labels Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    client LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    session_id Nullable(String) CODEC(ZSTD(1)),
    turn_id Nullable(String) CODEC(ZSTD(1)),
    agent_id Nullable(String) CODEC(ZSTD(1)),
    parent_agent_id Nullable(String) CODEC(ZSTD(1)),
    agent_type LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    request_class LowCardinality(Nullable(String)) CODEC(ZSTD(1)),

    provider LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    requested_model LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    operation LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    completeness LowCardinality(String) CODEC(ZSTD(1)),
    success Bool CODEC(ZSTD(1)),
    error LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    status_code Nullable(UInt16) CODEC(ZSTD(1)),
    fallback_used Bool CODEC(ZSTD(1)),
    attempt Nullable(UInt32) CODEC(ZSTD(1)),
    retry_of Nullable(String) CODEC(ZSTD(1)),
    service_tier LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    speed LowCardinality(Nullable(String)) CODEC(ZSTD(1)),
    inference_geo LowCardinality(Nullable(String)) CODEC(ZSTD(1)),

    input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    uncached_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_read_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_5m_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_1h_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_30m_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_12h_input_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    reasoning_output_tokens Nullable(UInt64) CODEC(T64, ZSTD(1)),
    server_tool_use Map(LowCardinality(String), UInt64) CODEC(ZSTD(1)),

    -- Money twice: in whole nano-dollars, the unit of tokenproxy's measurements, and as the
    -- ledger states it. Both add up the same in any order; a float would not.
    spent_nanos Nullable(Int64) CODEC(T64, ZSTD(1)),
    cost_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    provider_cost_usd Nullable(Decimal(38, 18)) CODEC(ZSTD(1)),
    price_version LowCardinality(Nullable(String)) CODEC(ZSTD(1)),

    -- Only of a call that billed several models: what each was billed for, once a model.
    shares Nested (
        model String,
        input_tokens Nullable(UInt64),
        uncached_input_tokens Nullable(UInt64),
        cache_read_input_tokens Nullable(UInt64),
        cache_creation_input_tokens Nullable(UInt64),
        output_tokens Nullable(UInt64),
        reasoning_output_tokens Nullable(UInt64),
        spent_usd Nullable(Decimal(38, 18)),
        unpriced Bool
    ) CODEC(ZSTD(1)),

    INDEX started started TYPE minmax GRANULARITY 1,
    INDEX received received TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(fullness)
PARTITION BY toYYYYMM(made)
ORDER BY (made, call_id)
TTL started + INTERVAL 25 MONTH
SETTINGS ttl_only_drop_parts = 1;
