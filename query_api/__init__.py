"""Questions over HTTP: what the telemetry store and the alerts know, as JSON under /api/v1."""
