"""Telemetry in ClickHouse: schema, landing, questions."""
