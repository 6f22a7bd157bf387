"""What is joined to what: links between entities, and topics of others on the broker.

`GatewayLinks` carries out the links of the configuration that go from an entity to another
one or to a topic; `RunningLink` is one of them. `ForeignTopics` is the way to topics of
others over the gateway's own connection. What is offered to the platform is the affair of
`drivers/connector`, and devices that are made of topics that of `drivers/topics`.
"""
