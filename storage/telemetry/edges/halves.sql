-- The halves of every trace that has one in {minutes} (seconds since the epoch).
INSERT INTO settling_halves
SELECT
    trace_id, link, side, other, arrived, ts, hop, duration_ns, error, resend,
    meshscope_code(service), meshscope_code(version), meshscope_code(peer), meshscope_code(peer_version), meshscope_code(cluster),
    meshscope_code(address),
    service, version, peer, peer_version, cluster, address
FROM half_edges
WHERE trace_id IN (SELECT DISTINCT trace_id FROM half_edges WHERE toUnixTimestamp(toStartOfMinute(ts)) IN {minutes:Array(UInt32)})
SETTINGS max_threads = 1
