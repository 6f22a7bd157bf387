"""The gateway: every device of every system on one MQTT broker."""
