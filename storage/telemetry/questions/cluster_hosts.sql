-- The replicas of a cluster's shards as the server knows them, and whether it has a Keeper for them.
SELECT
    shard_num AS shard,
    host_name AS host,
    (SELECT count() > 0 FROM system.tables WHERE database = 'system' AND name = 'zookeeper') AS keeper
FROM system.clusters
WHERE cluster = {cluster:String}
ORDER BY shard_num, replica_num
