"""What stands between our session and the package distmqtt.

The package itself is imported by `structiot.mqtt.engine_distmqtt` alone; what is here
knows it by the protocols of `package`.
"""
