-- Why a trace outlived thinning, if it was judged.
SELECT arrayMap(each -> each.2, arrayFilter(each -> bitTest(groupBitOr(k.why), each.1),
    [(0, 'erred'), (1, 'slow'), (2, 'rule'), (3, 'share')])) AS reasons
FROM kept_traces AS k
WHERE k.trace_id = toFixedString(unhex({trace_id:String}), 16)
    AND k.slice >= fromUnixTimestamp64Nano({start_ns:Int64}) - INTERVAL 1 HOUR AND k.slice <= fromUnixTimestamp64Nano({end_ns:Int64})
