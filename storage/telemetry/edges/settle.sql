-- Finds the edges of each of {minutes} (seconds since the epoch) anew and whole.
--
-- An edge is a pair of spans whose services differ: A's application -> A's proxy -> B's proxy -> B's application crosses
-- one such border, so it is one edge however many proxies the call went through. A proxy that stands alone (neither A's
-- nor B's) is folded: the call it passed on belongs to the one who called the proxy.
--
-- A proxy may report one span for a request instead of two (Envoy and Istio do so by default). Then a callee's parent is the
-- proxy's SERVER span, which stands for the CLIENT span that is missing; and an application's CLIENT span has the CLIENT span of
-- its own proxy for a child, and the call is the proxy's.
--
-- Lone halves wait {patience} seconds for their other half. Then a lone caller becomes an edge to the peer that it names,
-- and a lone callee comes from `external`.
INSERT INTO edges_1m
WITH
    touched AS (SELECT DISTINCT trace_id FROM half_edges WHERE toUnixTimestamp(toStartOfMinute(ts)) IN {minutes:Array(UInt32)}),
    -- Services, versions, peers and addresses are numbers from here on; 0 is none.
    halves AS (
        SELECT
            trace_id, link, side, other, arrived, ts, hop, duration_ns, error, resend,
            meshscope_code(half_edges.service) AS service, meshscope_code(half_edges.version) AS version,
            meshscope_code(half_edges.peer) AS peer, meshscope_code(half_edges.peer_version) AS peer_version,
            meshscope_code(half_edges.cluster) AS cluster, meshscope_code(half_edges.address) AS address
        FROM half_edges WHERE trace_id IN touched
    ),
    met AS (
        SELECT
            trace_id, link,
            max(halves.arrived) AS arrived,
            maxIf(service, side = 'client') AS client, maxIf(version, side = 'client') AS client_version,
            maxIf(hop, side = 'client') AS client_hop, maxIf(other, side = 'client') AS client_parent,
            maxIf(duration_ns, side = 'client') AS client_ns, maxIf(ts, side = 'client') AS client_ts,
            maxIf(error, side = 'client') AS client_error,
            max(halves.resend) AS resend, maxIf(halves.peer, side = 'client') AS peer,
            maxIf(halves.peer_version, side = 'client') AS peer_version,
            maxIf(halves.cluster, side = 'client') AS cluster, maxIf(halves.address, side = 'client') AS address,
            maxIf(service, side = 'server') AS server, maxIf(version, side = 'server') AS server_version,
            maxIf(hop, side = 'server') AS server_hop, maxIf(other, side = 'server') AS server_span,
            maxIf(duration_ns, side = 'server') AS server_ns, maxIf(ts, side = 'server') AS server_ts,
            maxIf(error, side = 'server') AS server_error
        FROM halves
        GROUP BY trace_id, link
    ),
    callees AS (
        SELECT
            trace_id, other AS span,
            any(halves.service) AS service, any(halves.version) AS version, any(halves.hop) AS hop
        FROM halves WHERE side = 'server'
        GROUP BY trace_id, span
    ),
    pairs AS (
        SELECT
            met.trace_id AS trace_id, met.link AS link, met.arrived AS arrived,
            met.client = 0 AND callees.service != 0 AS adopted,
            if(adopted, callees.service, met.client) AS client,
            if(adopted, callees.version, met.client_version) AS client_version,
            if(adopted, callees.hop, met.client_hop) AS client_hop,
            if(adopted, met.link, met.client_parent) AS client_parent,
            if(adopted, met.server_ns, met.client_ns) AS client_ns,
            if(adopted, met.server_ts, met.client_ts) AS client_ts,
            if(adopted, met.server_error, met.client_error) AS client_error,
            met.resend AS resend, met.peer AS peer, met.peer_version AS peer_version, met.cluster AS cluster, met.address AS address,
            met.server AS server, met.server_version AS server_version, met.server_hop AS server_hop,
            met.server_span AS server_span, met.server_ns AS server_ns, met.server_ts AS server_ts, met.server_error AS server_error
        FROM met
        LEFT JOIN callees ON met.trace_id = callees.trace_id AND met.link = callees.span
        WHERE NOT (met.server = 0 AND met.client_hop = 'app' AND (met.trace_id, met.link, met.client) IN (
            SELECT trace_id, other, service FROM halves WHERE side = 'client' AND hop != 'app'
        ))
    ),
    named AS (
        SELECT
            pairs.*,
            server != 0 OR peer != 0 OR names.server != 0 AS sure,
            multiIf(server != 0, server, peer != 0, peer, names.server != 0, names.server, cluster != 0, cluster, address) AS destination,
            multiIf(server_version != 0, server_version, peer_version != 0, peer_version, server = 0, names.version, 0) AS destination_version,
            -- Took a call from another service, and what it passed on: the two sides of a proxy that stands alone.
            server_hop = 'proxy' AND client != 0 AND client != server AS took,
            client_hop = 'proxy' AND sure AND destination != client AS passed,
            -- The way between an application and the proxy beside it: what the application saw is longer than what its proxy saw.
            client != 0 AND client = server AS beside
        FROM pairs
        LEFT JOIN (
            SELECT meshscope_code(known.client) AS client, meshscope_code(known.cluster) AS cluster,
                   meshscope_code(known.server) AS server, meshscope_code(known.version) AS version
            FROM cluster_names AS known FINAL
        ) AS names ON pairs.client = names.client AND pairs.cluster = names.cluster
    ),
    -- Traces in which there is something to look through: a proxy that stands alone, or an application beside its proxy.
    proxied AS (
        SELECT trace_id FROM half_edges WHERE trace_id IN touched
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
        FROM named
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
        FROM named
        LEFT JOIN traces USING trace_id
        WHERE toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
          AND destination != 0 AND source != destination
          AND NOT (client = 0 AND server_hop = 'outbound')
          AND NOT (took AND has(passed_spans, server_span))
          AND (paired OR link = 0 OR arrived <= now() - {patience:UInt32})
    ),
    -- All the words there may be behind the numbers.
    words AS (
        SELECT groupUniqArrayArray(told) AS list
        FROM (
            SELECT arrayConcat(
                groupUniqArray(toString(service)), groupUniqArray(toString(version)), groupUniqArray(toString(peer)),
                groupUniqArray(toString(peer_version)), groupUniqArray(toString(cluster)), groupUniqArray(toString(address))) AS told
            FROM half_edges WHERE trace_id IN touched
            UNION ALL SELECT ['external']
            UNION ALL SELECT [server, version] FROM cluster_names
            UNION ALL SELECT [source, destination, source_version, destination_version] FROM edges_1m WHERE toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
        )
    ),
    (SELECT list FROM words) AS texts,
    arrayMap(word -> meshscope_code(word), texts) AS codes
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
-- Rows that bear the arrays of their trace are large: few at a time. One thread: what comes in has the others. What a busy minute
-- needs beyond some hundred megabytes goes through the disk.
SETTINGS max_threads = 1, max_joined_block_size_rows = 4096, max_block_size = 4096, max_bytes_before_external_group_by = 134217728,
    join_algorithm = 'grace_hash', max_bytes_in_join = 67108864
