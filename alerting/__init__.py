"""Rules to notifications to webhooks."""
