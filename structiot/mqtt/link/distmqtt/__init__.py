"""What stands between our session and the package distmqtt.

The package is imported by `engine` alone; the others know it by the types of `package`.
"""
