"""Telemetry in: receivers, bus, ClickHouse."""
