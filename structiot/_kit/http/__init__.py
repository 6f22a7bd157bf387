"""HTTP: a client for clouds, one for devices, a server; each over the network seam."""
