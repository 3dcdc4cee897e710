-- Writes down how a slice stands; the newest note counts.
INSERT INTO thinned_slices
SELECT
    toDateTime({start:UInt32}), {judged:UInt64}, {swept:Bool}, {spans_seen:UInt64}, {traces_seen:UInt64}, {spans_kept:UInt64},
    {traces_kept:UInt64}, now64(6)
