"""Numbered schema files, applied once and in order."""
