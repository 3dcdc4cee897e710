-- How many verdicts a sweep has to hold in memory.
SELECT count() AS verdicts
FROM kept_traces
WHERE slice >= toDateTime({slice:UInt32} - {reach:UInt32}) AND slice <= toDateTime({slice:UInt32} + {reach:UInt32})
