-- The slices that ended before {until} and hold spans, the oldest first, with what is known of each.
SELECT
    toUnixTimestamp(held.slice) AS start,
    held.spans AS spans,
    known.spans_judged AS judged,
    known.swept AS swept,
    known.spans_seen AS spans_seen,
    known.traces_seen AS traces_seen,
    known.spans_kept AS spans_kept,
    known.traces_kept AS traces_kept
FROM (
    SELECT toDateTime(intDiv(toUnixTimestamp(ts), {length:UInt32}) * {length:UInt32}) AS slice, count() AS spans
    FROM spans
    WHERE ts < toDateTime64({until:UInt32}, 9)
    GROUP BY slice
) AS held
LEFT JOIN (SELECT * FROM thinned_slices FINAL) AS known ON held.slice = known.slice
ORDER BY start
