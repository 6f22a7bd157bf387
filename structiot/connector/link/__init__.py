"""Connections to the platforms."""
