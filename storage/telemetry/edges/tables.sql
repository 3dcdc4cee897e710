-- What edges are found from, kept for as long as the session lasts: ClickHouse would make anew, wherever it is named, what several
-- steps read. In words they would take twice as long to find: services, versions, peers and addresses are numbers (see
-- meshscope_code), 0 is none.

-- The halves of all traces that have one in the minutes that are looked at; the words stand beside their numbers.
CREATE TEMPORARY TABLE settling_halves (
    trace_id FixedString(16),
    link UInt64,
    side Enum8('client' = 0, 'server' = 1),
    other UInt64,
    arrived DateTime,
    ts DateTime,
    hop Enum8('none' = 0, 'app' = 1, 'inbound' = 2, 'outbound' = 3, 'proxy' = 4),
    duration_ns UInt64,
    error Bool,
    resend UInt16,
    service UInt64,
    version UInt64,
    peer UInt64,
    peer_version UInt64,
    cluster UInt64,
    address UInt64,
    service_word LowCardinality(String),
    version_word LowCardinality(String),
    peer_word LowCardinality(String),
    peer_version_word LowCardinality(String),
    cluster_word LowCardinality(String),
    address_word LowCardinality(String)
) ENGINE = Memory;

-- The words behind the numbers.
CREATE TEMPORARY TABLE settling_words (word String, code UInt64) ENGINE = Memory;

-- What has met: a row for each call, from its caller's span and its callee's, or from the one of them that there is.
CREATE TEMPORARY TABLE settling_pairs (
    trace_id FixedString(16),
    link UInt64,
    arrived DateTime,
    client UInt64,
    client_version UInt64,
    client_hop Enum8('none' = 0, 'app' = 1, 'inbound' = 2, 'outbound' = 3, 'proxy' = 4),
    client_parent UInt64,
    client_ns UInt64,
    client_ts DateTime,
    client_error Bool,
    resend UInt16,
    server UInt64,
    server_version UInt64,
    server_hop Enum8('none' = 0, 'app' = 1, 'inbound' = 2, 'outbound' = 3, 'proxy' = 4),
    server_span UInt64,
    server_ns UInt64,
    server_ts DateTime,
    server_error Bool,
    destination UInt64,
    destination_version UInt64,
    -- Took a call from another service, and what it passed on: the two sides of a proxy that stands alone.
    took Bool,
    passed Bool,
    -- The way between an application and the proxy beside it: what the application saw is longer than what its proxy saw.
    beside Bool
) ENGINE = Memory;
