"""Mailboxes, replies by token, waiting times, rates, and task groups."""
