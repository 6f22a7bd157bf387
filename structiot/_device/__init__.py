"""What every device has in common, however it is spoken to.

`device` keeps what a device said last and tells who listens what is new, `changes`
compares its readings, `commands` checks what it is told. `polled` is the device that is
asked, with the `poller` that asks it and finds out whether it is there, by the
`schedule`, which is pure.
"""
