"""Connections to endpoints: pools, HTTP/1.1 and HTTP/2."""
