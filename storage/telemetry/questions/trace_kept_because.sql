-- Why a trace outlived thinning, as bits (see kept_traces); 0 when it was not judged.
SELECT groupBitOr(why) AS why
FROM kept_traces
PREWHERE trace_id = toFixedString(unhex({trace_id:String}), 16)
    AND slice >= toDateTime({from_s:UInt32}) AND slice <= toDateTime({to_s:UInt32})
