"""The companion proxy: requests between services."""
