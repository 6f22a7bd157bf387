"""For the authors of drivers: a gateway in pieces, and the tests that drivers pass.

`registry` is the gateway as a driver sees it, without a broker; `bench` a whole gateway
with one driver; `conformance` runs both, on a network that can have an `outage`.
"""
