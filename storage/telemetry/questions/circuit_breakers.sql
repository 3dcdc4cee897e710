-- The states of every circuit breaker over a window, as intervals. Each proxy (instance) of the source has a breaker of its
-- own: an edge is open while one of them is, else half open while one of them is. Before the first event known of, closed.
WITH
    fromUnixTimestamp64Nano({start_ns:Int64}) AS window_start,
    fromUnixTimestamp64Nano({end_ns:Int64}) AS window_end,
    known AS (
        SELECT source, destination, target, instance, ts, multiIf(action = 'opened', 2, action = 'half_opened', 1, 0) AS level
        FROM mesh_events
        WHERE type = 'circuit_breaker' AND enforced AND action IN ('opened', 'half_opened', 'closed')
            AND ts >= fromUnixTimestamp64Nano({believed_from_ns:Int64}) AND ts < window_end
    ),
    -- What happened before the window is moved to its start.
    moves AS (
        SELECT source, destination, target, instance, window_start AS at, argMax(level, ts) AS level
        FROM known WHERE ts < window_start
        GROUP BY source, destination, target, instance
        UNION ALL
        SELECT DISTINCT source, destination, target, '' AS instance, window_start AS at, 0 AS level FROM known
        UNION ALL
        SELECT source, destination, target, instance, ts AS at, level FROM known WHERE ts >= window_start
    ),
    steps AS (
        SELECT
            source, destination, target, at, level,
            lagInFrame(level, 1, 0) OVER (
                PARTITION BY source, destination, target, instance ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
        FROM moves
    ),
    -- Everything that happened at one moment is one step.
    counted AS (
        SELECT
            source, destination, target, at,
            sum(toInt64(level = 2) - toInt64(before = 2)) AS opened,
            sum(toInt64(level = 1) - toInt64(before = 1)) AS half_opened
        FROM steps
        GROUP BY source, destination, target, at
    ),
    states AS (
        SELECT
            source, destination, target, at,
            multiIf(
                sum(opened) OVER edge > 0, 'open',
                sum(half_opened) OVER edge > 0, 'half_open',
                'closed') AS state
        FROM counted
        WINDOW edge AS (PARTITION BY source, destination, target ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    changes AS (
        SELECT source, destination, target, at, state
        FROM (
            SELECT
                source, destination, target, at, state,
                lagInFrame(state, 1, '') OVER (
                    PARTITION BY source, destination, target ORDER BY at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS state_before
            FROM states
        )
        WHERE state != state_before
    )
SELECT
    toString(c.source) AS source,
    toString(c.destination) AS destination,
    toString(c.target) AS target,
    argMax(c.state, c.at) AS state,
    arraySort(groupArray((c.at, c.until, c.state))) AS intervals
FROM (
    SELECT
        source, destination, target, at, state,
        leadInFrame(at, 1, window_end) OVER (
            PARTITION BY source, destination, target ORDER BY at ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS until
    FROM changes
) AS c
GROUP BY c.source, c.destination, c.target
ORDER BY source, destination, target
LIMIT {limit:UInt32}
