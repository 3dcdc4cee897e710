-- Finds the edges of each of {minutes} (seconds since the epoch) anew and whole.
--
-- An edge is a pair of spans whose services differ: A's application -> A's proxy -> B's proxy -> B's application crosses
-- one such border, so it is one edge however many proxies the call went through. A proxy that stands alone (neither A's
-- nor B's) is folded: the call it passed on belongs to the one who called the proxy.
--
-- Lone halves wait {patience} seconds for their other half. Then a lone caller becomes an edge to the peer that it names,
-- and a lone callee comes from `external`.
INSERT INTO edges_1m
WITH
    -- Traces in which there is something to look through: a proxy that stands alone, or an application beside its proxy.
    proxied AS (
        SELECT trace_id FROM settling_halves
        GROUP BY trace_id HAVING max(hop = 'proxy') OR (max(hop = 'app') AND max(hop IN ('inbound', 'outbound')))
    ),
    -- One row for each of them, to look from a proxy's one side to its other, through any number of proxies (at most 8). It goes to each
    -- of the trace's halves, so that in a trace of more than {widest} such proxied calls nothing is folded: each proxy stays.
    traces AS (
        SELECT
            trace_id,
            countIf(took) <= {widest:UInt32} AS foldable,
            if(foldable, groupArrayIf(server_span, took), []) AS took_spans,
            if(foldable, groupArrayIf((client, client_version, client_hop, client_parent), took), [])
                AS took_from,
            if(foldable, groupUniqArrayIf(client_parent, passed), []) AS passed_spans,
            countIf(beside) <= {widest:UInt32} AS followable,
            if(followable, groupArrayIf((server_span, client_ns), beside), []) AS before,
            if(followable, groupArrayIf((client_parent, server_ns), beside), []) AS behind
        FROM settling_pairs
        WHERE trace_id IN proxied
        GROUP BY trace_id
    ),
    calls AS (
        SELECT
            trace_id, client_parent, resend > 0 AS again, server != 0 AND client != 0 AS paired,
            toStartOfMinute(if(client != 0, client_ts, server_ts)) AS minute,
            if(client != 0, client_ns, server_ns) AS ns,
            if(client != 0, client_error, server_error) AS failed,
            multiIf(client = 0, 0, client_hop = 'app', client_ns, before.2[indexOf(before.1, client_parent)]) AS caller_ns,
            if(client_hop = 'outbound', client_ns, 0) AS out_proxy_ns,
            if(server_hop = 'inbound', server_ns, 0) AS in_proxy_ns,
            multiIf(server = 0, 0, server_hop = 'app', server_ns, behind.2[indexOf(behind.1, server_span)]) AS callee_ns,
            if(passed, arrayFold(
                (at, _) -> if(at.3 = 'proxy' AND has(took_spans, at.4), took_from[indexOf(took_spans, at.4)], at),
                range(8),
                (client, client_version, client_hop, client_parent)
            ), (if(client != 0, client, meshscope_code('external')), client_version, client_hop, client_parent)) AS caller,
            caller.1 AS source, caller.2 AS source_version, destination, destination_version
        FROM settling_pairs
        LEFT JOIN traces USING trace_id
        WHERE toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
          AND destination != 0 AND source != destination
          AND NOT (client = 0 AND server_hop = 'outbound')
          AND NOT (took AND has(passed_spans, server_span))
          AND (paired OR link = 0 OR arrived <= now() - {patience:UInt32})
    ),
    (SELECT groupArray((word, code)) FROM settling_words) AS words,
    words.1 AS texts,
    words.2 AS codes
SELECT
    minute,
    transform(edge.1, codes, texts, '') AS source, transform(edge.2, codes, texts, '') AS destination,
    transform(edge.3, codes, texts, '') AS source_version, transform(edge.4, codes, texts, '') AS destination_version,
    sum(first_attempts) AS calls, sum(lost) AS errors, sum(further_attempts) AS retries, sum(pairs_met) AS paired,
    sum(total_ns) AS duration_ns,
    quantilesDDArrayStateIf(0.01, 0.5, 0.95, 0.99)(durations, notEmpty(durations)) AS latency,
    [sum(at_caller.1), sum(at_out_proxy.1), sum(at_in_proxy.1), sum(at_callee.1)] AS hop_ns,
    [sum(at_caller.2), sum(at_out_proxy.2), sum(at_in_proxy.2), sum(at_callee.2)] AS hop_calls,
    max(slowest) AS slowest_ns,
    argMax(trace_id, slowest) AS slowest_trace,
    max(failed_trace) AS failed_trace,
    now64(3) AS computed
FROM (
    SELECT
        minute, (source, destination, source_version, destination_version) AS edge, trace_id,
        countIf(NOT again) AS first_attempts,
        countIf(again) AS further_attempts,
        -- Each further attempt follows a failed one, so that what remains are the calls whose last attempt failed.
        greatest(0, toInt64(countIf(failed)) - toInt64(further_attempts)) AS lost,
        countIf(paired AND NOT again) AS pairs_met,
        sum(ns) AS total_ns,
        groupArray(ns) AS durations,
        -- Not arrays: a state of each call holds them, and that of an array is several times as large.
        (sum(caller_ns), countIf(caller_ns > 0)) AS at_caller, (sum(out_proxy_ns), countIf(out_proxy_ns > 0)) AS at_out_proxy,
        (sum(in_proxy_ns), countIf(in_proxy_ns > 0)) AS at_in_proxy, (sum(callee_ns), countIf(callee_ns > 0)) AS at_callee,
        max(ns) AS slowest,
        if(lost > 0, trace_id, toFixedString('', 16)) AS failed_trace
    FROM calls
    GROUP BY trace_id, client_parent, minute, edge
    UNION ALL
    -- What an earlier look had found and this one does not is replaced by a row that says zero.
    SELECT DISTINCT minute,
        (meshscope_code(source), meshscope_code(destination), meshscope_code(source_version), meshscope_code(destination_version)),
        toFixedString('', 16), 0, 0, 0, 0, 0, [], (0, 0), (0, 0), (0, 0), (0, 0), 0, toFixedString('', 16)
    FROM edges_1m WHERE toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
)
GROUP BY minute, edge
-- Rows that bear the arrays of their trace are large: few at a time.
SETTINGS max_threads = 1, max_block_size = 4096, max_joined_block_size_rows = 4096, join_algorithm = 'hash',
    max_bytes_before_external_group_by = 536870912
