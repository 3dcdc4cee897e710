"""Where things are kept: telemetry in ClickHouse, state in SQL."""
