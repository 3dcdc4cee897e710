"""Doors for telemetry: each turns a protocol's bytes into OTLP request bytes on the bus."""
