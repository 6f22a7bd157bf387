"""What comes out when there is no broker: one plain exception that says where.

Run:
    python examples/02_nobody_there.py

Prints:
    nobody at 127.0.0.1:1 after 1 attempt
"""

from __future__ import annotations

import anyio

from structiot import ConnectFailed, open_mqttclient


async def main() -> None:
    """Try one port where nothing listens, once."""
    try:
        async with open_mqttclient(
            "mqtt://127.0.0.1:1/", config={"reconnect_retries": 0}
        ):
            print("somebody is there")
    except ConnectFailed as error:
        print(f"nobody at {error.host}:{error.port} after {error.attempts} attempt")


anyio.run(main)
