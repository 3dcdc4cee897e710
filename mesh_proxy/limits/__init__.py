"""How many requests may pass: by rate, by success, by latency."""
