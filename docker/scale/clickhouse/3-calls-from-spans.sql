-- From spans to calls, as they are inserted. Both dialects of the GenAI conventions are read.
--
-- An error in here would refuse the exporter's INSERT, so nothing may raise: what cannot be
-- read as a number is NULL.

CREATE MATERIALIZED VIEW IF NOT EXISTS tokenproxy.calls_from_spans TO tokenproxy.calls AS
WITH
    SpanAttributes AS a,
    toDecimal128OrNull(a['tokenproxy.cost.provider_usd'], 18) AS stated_usd,
    -- The parts that were charged for; of several models, or none.
    arrayFilter(
        (part, name) -> name = 'tokenproxy.usage.part'
            AND part['tokenproxy.part.billable'] != 'false',
        Events.Attributes, Events.Name
    ) AS parts,
    multiIf(
        a['gen_ai.response.model'] != '', a['gen_ai.response.model'],
        a['gen_ai.request.model']
    ) AS served,
    arrayMap(
        part -> if(part['gen_ai.response.model'] != '', part['gen_ai.response.model'], served),
        parts
    ) AS part_models,
    arrayMap(part -> toDecimal128OrNull(part['tokenproxy.cost.usd'], 18), parts) AS part_costs,
    -- What a provider states for all is divided as our own costs are; where those are not
    -- known the first part takes all.
    if(
        arrayExists(cost -> isNull(cost), part_costs),
        0.,
        toFloat64(arraySum(arrayMap(cost -> ifNull(cost, toDecimal128(0, 18)), part_costs)))
    ) AS computed_usd,
    arrayMap(
        (cost, number) -> multiIf(
            isNull(stated_usd), cost,
            computed_usd > 0, toDecimal128OrNull(
                toString(toFloat64(stated_usd) * toFloat64(cost) / computed_usd), 18
            ),
            number = 1, stated_usd,
            toDecimal128(0, 18)
        ),
        part_costs, arrayEnumerate(part_costs)
    ) AS part_spent,
    arrayDistinct(part_models) AS models
SELECT
    a['tokenproxy.call.id'] AS call_id,
    -- Who saw a call's end knows more than who found it open after a crash.
    transform(a['tokenproxy.completeness'], ['final', 'partial', 'none'], [6, 4, 2], 0)
        + (a['tokenproxy.outcome'] != 'lost') AS fullness,

    toDateTime64(Timestamp, 3, 'UTC') AS started,
    intDiv(Duration + 500, 1000) / 1000 AS latency_ms,
    -- Seconds with the noise of a division; the ledger has whole microseconds.
    round(toFloat64OrNull(a['gen_ai.response.time_to_first_chunk']) * 1e6) / 1000 AS ttft_ms,
    TraceId AS trace_id,
    SpanId AS span_id,

    a['tokenproxy.run.id'] AS run_id,
    a['tokenproxy.story.id'] AS story_id,
    ifNull(toInt64OrNull(a['tokenproxy.iteration']), 0) AS iteration,
    if(ResourceAttributes['team.id'] != '', ResourceAttributes['team.id'],
        a['tokenproxy.label.team']) AS team,
    if(mapContains(a, 'tokenproxy.project'), a['tokenproxy.project'], NULL) AS project,
    mapApply(
        (name, value) -> (substring(name, length('tokenproxy.label.') + 1), value),
        mapFilter((name, value) -> startsWith(name, 'tokenproxy.label.'), a)
    ) AS labels,
    if(mapContains(a, 'tokenproxy.client'), a['tokenproxy.client'], NULL) AS client,
    if(mapContains(a, 'gen_ai.conversation.id'), a['gen_ai.conversation.id'], NULL) AS session_id,
    if(mapContains(a, 'tokenproxy.turn.id'), a['tokenproxy.turn.id'], NULL) AS turn_id,
    if(mapContains(a, 'tokenproxy.agent.id'), a['tokenproxy.agent.id'], NULL) AS agent_id,
    if(mapContains(a, 'tokenproxy.agent.parent_id'), a['tokenproxy.agent.parent_id'], NULL)
        AS parent_agent_id,
    if(mapContains(a, 'tokenproxy.agent.type'), a['tokenproxy.agent.type'], NULL) AS agent_type,
    if(mapContains(a, 'tokenproxy.request_class'), a['tokenproxy.request_class'], NULL)
        AS request_class,

    -- The ledger's name where OpenTelemetry has another.
    transform(a['gen_ai.provider.name'], ['gcp.gemini'], ['google'], a['gen_ai.provider.name'])
        AS provider,
    served AS model,
    if(mapContains(a, 'gen_ai.request.model'), a['gen_ai.request.model'], NULL) AS requested_model,
    a['tokenproxy.operation'] AS operation,
    a['tokenproxy.outcome'] AS outcome,
    a['tokenproxy.completeness'] AS completeness,
    NOT mapContains(a, 'error.type') AS success,
    if(mapContains(a, 'error.type'), a['error.type'], NULL) AS error,
    toUInt16OrNull(a['http.response.status_code']) AS status_code,
    a['tokenproxy.fallback_used'] = 'true' AS fallback_used,
    toUInt32OrNull(a['tokenproxy.attempt']) AS attempt,
    if(mapContains(a, 'tokenproxy.retry_of'), a['tokenproxy.retry_of'], NULL) AS retry_of,
    if(mapContains(a, 'tokenproxy.service_tier'), a['tokenproxy.service_tier'], NULL)
        AS service_tier,
    if(mapContains(a, 'tokenproxy.speed'), a['tokenproxy.speed'], NULL) AS speed,
    if(mapContains(a, 'tokenproxy.inference_geo'), a['tokenproxy.inference_geo'], NULL)
        AS inference_geo,

    toUInt64OrNull(a['gen_ai.usage.input_tokens']) AS input_tokens,
    toUInt64OrNull(a['tokenproxy.usage.uncached_input_tokens']) AS uncached_input_tokens,
    toUInt64OrNull(a['gen_ai.usage.cache_read.input_tokens']) AS cache_read_input_tokens,
    coalesce(
        toUInt64OrNull(a['gen_ai.usage.cache_creation.input_tokens']),
        toUInt64OrNull(a['gen_ai.usage.cache_write.input_tokens'])
    ) AS cache_creation_input_tokens,
    toUInt64OrNull(a['tokenproxy.usage.cache_creation_5m_input_tokens'])
        AS cache_creation_5m_input_tokens,
    toUInt64OrNull(a['tokenproxy.usage.cache_creation_1h_input_tokens'])
        AS cache_creation_1h_input_tokens,
    toUInt64OrNull(a['tokenproxy.usage.cache_creation_30m_input_tokens'])
        AS cache_creation_30m_input_tokens,
    toUInt64OrNull(a['tokenproxy.usage.cache_creation_12h_input_tokens'])
        AS cache_creation_12h_input_tokens,
    -- Of a response that was cut the span states a lower bound, by a name of ours.
    coalesce(
        toUInt64OrNull(a['gen_ai.usage.output_tokens']),
        toUInt64OrNull(a['tokenproxy.usage.output_tokens_at_least'])
    ) AS output_tokens,
    coalesce(
        toUInt64OrNull(a['gen_ai.usage.reasoning.output_tokens']),
        toUInt64OrNull(a['tokenproxy.usage.reasoning_output_tokens_at_least'])
    ) AS reasoning_output_tokens,
    mapApply(
        (name, value) -> (
            substring(name, length('tokenproxy.usage.server_tool.') + 1), toUInt64OrZero(value)
        ),
        mapFilter((name, value) -> startsWith(name, 'tokenproxy.usage.server_tool.'), a)
    ) AS server_tool_use,

    toInt64OrNull(a['tokenproxy.cost.usd_nanos']) AS spent_nanos,
    toDecimal128OrNull(a['tokenproxy.cost.usd'], 18) AS cost_usd,
    stated_usd AS provider_cost_usd,
    if(mapContains(a, 'tokenproxy.price_version'), a['tokenproxy.price_version'], NULL)
        AS price_version,

    models AS `shares.model`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        toUInt64OrNull(part['gen_ai.usage.input_tokens']), NULL),
        parts, part_models)), models) AS `shares.input_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        toUInt64OrNull(part['tokenproxy.usage.uncached_input_tokens']), NULL),
        parts, part_models)), models) AS `shares.uncached_input_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        toUInt64OrNull(part['gen_ai.usage.cache_read.input_tokens']), NULL),
        parts, part_models)), models) AS `shares.cache_read_input_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        coalesce(
            toUInt64OrNull(part['gen_ai.usage.cache_creation.input_tokens']),
            toUInt64OrNull(part['gen_ai.usage.cache_write.input_tokens'])
        ), NULL),
        parts, part_models)), models) AS `shares.cache_creation_input_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        toUInt64OrNull(part['gen_ai.usage.output_tokens']), NULL),
        parts, part_models)), models) AS `shares.output_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((part, name) -> if(name = one,
        toUInt64OrNull(part['gen_ai.usage.reasoning.output_tokens']), NULL),
        parts, part_models)), models) AS `shares.reasoning_output_tokens`,
    arrayMap(one -> arrayReduce('sumOrNull', arrayMap((cost, name) -> if(name = one, cost, NULL),
        part_spent, part_models)), models) AS `shares.spent_usd`,
    arrayMap(one -> a['tokenproxy.completeness'] != 'none' AND arrayExists(
        (cost, name) -> name = one AND isNull(cost), part_spent, part_models), models)
        AS `shares.unpriced`
FROM tokenproxy.otel_traces
WHERE ScopeName = 'tokenproxy'
    AND a['tokenproxy.span.role'] = 'call'
    AND a['tokenproxy.call.id'] != ''
    -- Absent from what leaves no row in the ledger either (token counting).
    AND mapContains(a, 'tokenproxy.completeness');
