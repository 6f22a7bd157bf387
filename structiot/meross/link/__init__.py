"""The ways to devices: the cloud, its brokers, the local network."""
