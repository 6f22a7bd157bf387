"""QoS 1 and 2 in both directions, the same for client and server."""
