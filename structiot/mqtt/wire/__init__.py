"""The MQTT wire layer: pure, without sockets, clocks or tasks.

`messages` says what travels, `codec` turns it into bytes and back.
"""

from __future__ import annotations
