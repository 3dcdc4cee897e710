-- All the words there may be behind the numbers.
INSERT INTO settling_words
SELECT DISTINCT arrayJoin(told) AS word, meshscope_code(word)
FROM (
    SELECT arrayConcat(
        groupUniqArray(toString(service_word)), groupUniqArray(toString(version_word)), groupUniqArray(toString(peer_word)),
        groupUniqArray(toString(peer_version_word)), groupUniqArray(toString(cluster_word)),
        groupUniqArray(toString(address_word))) AS told
    FROM settling_halves
    UNION ALL SELECT ['external']
    UNION ALL SELECT [server, version] FROM cluster_names
    UNION ALL SELECT [source, destination, source_version, destination_version] FROM edges_1m
    WHERE toUnixTimestamp(minute) IN {minutes:Array(UInt32)}
)
SETTINGS max_threads = 1
