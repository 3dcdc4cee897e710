-- Where a trace lies in time, and which services took part.
SELECT
    min(i.start) AS started,
    toUnixTimestamp64Nano(min(i.start)) AS start_ns,
    toUnixTimestamp64Nano(max(i.end)) AS end_ns,
    arraySort(groupUniqArrayArray(i.services)) AS services,
    sum(i.spans) AS spans
FROM trace_index AS i
WHERE i.trace_id = toFixedString(unhex({trace_id:String}), 16)
HAVING spans > 0
