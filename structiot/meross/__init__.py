"""Meross devices, through the cloud and in the local network."""
