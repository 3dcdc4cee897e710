"""Shared words: clock, faults (pure, no third party)."""
