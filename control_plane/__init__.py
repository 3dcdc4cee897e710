"""The App Mesh API, xDS for Envoy, certificates (to come; see docs/ARCHITECTURE.md)."""
