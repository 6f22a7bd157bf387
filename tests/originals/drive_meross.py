"""Drives the original `meross-iot` package; runs in an environment that has only that.

Called with the API's base URL, e-mail, password, the broker's host and port and a file of
certificates to trust. It signs in, lists the devices, switches the plug and reads its
meter, sets the lamp's colour, says that it is `ready`, waits until somebody presses the
plug's button, logs out and prints what it saw as one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from meross_iot.controller.mixins.electricity import ElectricityMixin
from meross_iot.controller.mixins.light import LightMixin
from meross_iot.http_api import MerossHttpClient
from meross_iot.manager import MerossManager


async def main(*words):
    url, email, password, host, port, authority = words
    seen = {}
    client = await MerossHttpClient.async_from_user_password(
        api_base_url=url, email=email, password=password
    )
    credentials = client.cloud_credentials
    seen["user_id"], seen["domain"] = credentials.user_id, credentials.domain
    seen["listed"] = sorted(one.dev_name for one in await client.async_list_devices())
    manager = MerossManager(
        http_client=client,
        mqtt_override_server=(host, int(port)),
        mqtt_ssl_context=ssl.create_default_context(cafile=authority),
    )
    await manager.async_init()
    await manager.async_device_discovery()
    (plug,) = manager.find_devices(device_class=ElectricityMixin)
    (lamp,) = manager.find_devices(device_class=LightMixin)
    seen["found"] = [
        [one.name, one.type, one.online_status.name] for one in (plug, lamp)
    ]
    await plug.async_update()
    seen["was_on"] = plug.is_on(channel=0)
    await plug.async_turn_off(channel=0)
    seen["is_off"] = not plug.is_on(channel=0)
    await plug.async_turn_on(channel=0)
    seen["is_on"] = plug.is_on(channel=0)
    seen["power_w"] = (await plug.async_get_instant_metrics()).power
    await lamp.async_update()
    await lamp.async_set_light_color(rgb=(255, 0, 128), luminance=40)
    seen["rgb"], seen["luminance"] = lamp.get_rgb_color(), lamp.get_luminance()

    pressed = asyncio.Event()

    async def told(notification, devices, _):
        if plug in devices and notification.namespace.value.endswith("ToggleX"):
            pressed.set()

    manager.register_push_notification_handler_coroutine(told)
    print("ready", flush=True)
    await asyncio.wait_for(pressed.wait(), 20)
    seen["is_on_after_press"] = plug.is_on(channel=0)
    manager.close()
    await client.async_logout()
    print(json.dumps(seen))


asyncio.run(main(*sys.argv[1:]))
