-- What is known of a trace whatever is kept of its spans: where it lies in time, who took part, and how many spans were seen.
SELECT
    toUnixTimestamp64Nano(min(i.start)) AS start_ns,
    toUnixTimestamp64Nano(max(i.end)) AS end_ns,
    groupUniqArrayArray(i.services) AS services,
    max(i.root_service) AS root_service,
    max(i.root_name) AS root_name,
    sum(i.spans) AS spans,
    sum(i.errors) AS errors
FROM trace_index AS i
PREWHERE i.trace_id = toFixedString(unhex({trace_id:String}), 16)
