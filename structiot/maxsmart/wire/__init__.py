"""The MaxSmart wire: discovery datagrams, HTTP commands, V3 frames; pure, both roles.

`messages` says what travels, `codec`, `codec_data` and `codec_discovery` turn it into
bytes and back, `protocol` decides (when to poll, who is away, what is verified),
`capabilities` knows which firmware can what.
`encode_*` of a request and `decode_*` of a reply are the client's half, the others
the device's, which the simulator uses.
"""
