"""Several processes that are one manager, by way of an MQTT broker."""
