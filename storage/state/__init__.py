"""Small state in SQL: alert states and their deliveries."""
