"""Connections from clients: doors, HTTP/1.1, HTTP/2, and tunnels whose bytes pass as they are."""
