-- A proxy may report one span for a request instead of two (Envoy and Istio do so by default). Then a callee's parent is the
-- proxy's SERVER span, which stands for the CLIENT span that is missing; and an application's CLIENT span has the CLIENT span of
-- its own proxy for a child, and the call is the proxy's.
INSERT INTO settling_pairs
WITH
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
        FROM settling_halves AS halves
        GROUP BY trace_id, link
    ),
    callees AS (
        SELECT
            trace_id, other AS span,
            any(halves.service) AS service, any(halves.version) AS version, any(halves.hop) AS hop
        FROM settling_halves AS halves WHERE side = 'server'
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
            SELECT trace_id, other, service FROM settling_halves AS halves WHERE side = 'client' AND hop != 'app'
        ))
    )
SELECT
    trace_id, link, arrived, client, client_version, client_hop, client_parent, client_ns, client_ts, client_error, resend,
    pairs.server AS server, server_version, server_hop, server_span, server_ns, server_ts, server_error,
    multiIf(server != 0, server, peer != 0, peer, names.server != 0, names.server, cluster != 0, cluster, address) AS destination,
    multiIf(server_version != 0, server_version, peer_version != 0, peer_version, server = 0, names.version, 0) AS destination_version,
    server_hop = 'proxy' AND client != 0 AND client != server AS took,
    client_hop = 'proxy' AND (server != 0 OR peer != 0 OR names.server != 0) AND destination != client AS passed,
    client != 0 AND client = server AS beside
FROM pairs
LEFT JOIN (
    SELECT meshscope_code(known.client) AS client, meshscope_code(known.cluster) AS cluster,
           meshscope_code(known.server) AS server, meshscope_code(known.version) AS version
    FROM cluster_names AS known FINAL
) AS names ON pairs.client = names.client AND pairs.cluster = names.cluster
-- One thread: what comes in has the others. What a busy minute needs beyond half a gigabyte goes through the disk.
SETTINGS max_threads = 1, max_bytes_before_external_group_by = 536870912, join_algorithm = 'hash'
