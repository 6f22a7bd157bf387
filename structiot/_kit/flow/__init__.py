"""Mailboxes, replies by token, waiting times, reconnecting, and task groups."""
