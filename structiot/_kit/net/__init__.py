"""The network seam, sockets, TLS, proxies, and what the machine knows of its networks."""
