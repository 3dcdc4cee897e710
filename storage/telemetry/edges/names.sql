-- What complete pairs show of the names of clusters.
INSERT INTO cluster_names
WITH
    (SELECT groupArray((word, code)) FROM settling_words) AS words,
    words.1 AS texts,
    words.2 AS codes
SELECT
    transform(client, codes, texts, ''), transform(cluster, codes, texts, ''),
    transform(any(server), codes, texts, ''), transform(any(server_version), codes, texts, ''), now()
FROM (
    SELECT maxIf(service, side = 'client') AS client, maxIf(halves.cluster, side = 'client') AS cluster,
           maxIf(service, side = 'server') AS server, maxIf(version, side = 'server') AS server_version
    FROM settling_halves AS halves
    GROUP BY trace_id, link
)
WHERE client != 0 AND server != 0 AND cluster != 0
GROUP BY client, cluster
SETTINGS max_threads = 1
