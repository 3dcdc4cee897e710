"""Notifications: who is told what, kept in an outbox, sent to webhooks."""
