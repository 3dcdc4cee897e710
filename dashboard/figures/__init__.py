"""Figures: pure functions from answers to pictures."""
