-- What complete pairs that arrived since {since} show of the names of clusters.
INSERT INTO cluster_names
SELECT client, cluster, any(server), any(server_version), now()
FROM (
    SELECT max(half_edges.client) AS client, max(half_edges.cluster) AS cluster,
           max(half_edges.server) AS server, max(half_edges.server_version) AS server_version
    FROM half_edges
    WHERE trace_id IN (SELECT trace_id FROM half_edges WHERE arrived >= {since:DateTime})
    GROUP BY trace_id, link
)
WHERE client != '' AND server != '' AND cluster != ''
GROUP BY client, cluster
