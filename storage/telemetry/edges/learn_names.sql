-- What complete pairs of {minutes} (seconds since the epoch) show of the names of clusters.
INSERT INTO cluster_names
SELECT client, cluster, any(server), any(server_version), now()
FROM (
    SELECT maxIf(service, side = 'client') AS client, maxIf(half_edges.cluster, side = 'client') AS cluster,
           maxIf(service, side = 'server') AS server, maxIf(version, side = 'server') AS server_version
    FROM half_edges
    WHERE trace_id IN (SELECT trace_id FROM half_edges WHERE toUnixTimestamp(toStartOfMinute(ts)) IN {minutes:Array(UInt32)})
    GROUP BY trace_id, link
)
WHERE client != '' AND server != '' AND cluster != ''
GROUP BY client, cluster
