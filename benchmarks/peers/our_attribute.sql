-- The newest spans with an attribute that has a column, found as the query API finds their traces; newest first is the order they
-- are stored in, backwards, so that reading stops when there are enough.
SELECT ids, ts, duration_ns
FROM spans
WHERE {column:Identifier} = {value:String} AND ts >= toDateTime({from_s:UInt32}) AND ts < toDateTime({to_s:UInt32})
ORDER BY toStartOfInterval(ts, INTERVAL 10 SECOND) DESC, ts DESC
LIMIT 100
SETTINGS read_in_order_use_buffering = 0, use_skip_indexes_on_data_read = 0
