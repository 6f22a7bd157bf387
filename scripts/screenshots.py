"""Make the documentation's pictures of the dashboard, from simulated devices of all systems.

    python scripts/screenshots.py [FOLDER] [--devices N] [--every]

It lets the house of `structiot demo` live through a day, in an hour of virtual time, and
keeps its history. Then it opens a gateway with that house and that history, and looks at
its pages with the Chromium that is installed. Pictures are PNG with a palette. With
`--every` each page is taken whole, in both themes and at three widths, to be looked at.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

import anyio
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from structiot._kit.environment import Environment
from structiot.cli.demo.house import USUAL_DEVICES, House
from structiot.cli.demo.systems import simulated_systems
from structiot.dashboard import open_dashboard
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.config import DashboardSection
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_backend

Scheme: TypeAlias = Literal["light", "dark"]
Picture: TypeAlias = tuple[str, str, Scheme, Mapping[str, Any]]

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = os.environ.get("STRUCTIOT_CHROMIUM", "/usr/bin/chromium")
MOST_BYTES = 150_000
DAY_S = 3600.0
WARM_UP_S = 40.0
SEED = 14
# A strip has all that a chart may be of.
DEVICE = "kitchen_counter"
DESK: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 860}}
TALL: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 1080}}
TABLET: Mapping[str, Any] = {"viewport": {"width": 768, "height": 1024}}
PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 1.5,
    "is_mobile": True,
    "has_touch": True,
}


@asynccontextmanager
async def living(
    house: House, environment: Environment, history: Path
) -> AsyncIterator[Gateway]:
    """Open a gateway with all devices of a house."""
    async with AsyncExitStack() as stack:
        sections = await stack.enter_async_context(
            simulated_systems(house, environment)
        )
        broker = {"listen": ["mqtt://127.0.0.1:0"]}
        config = load_config({**house.sections(sections), "broker": broker})
        opened = open_gateway(config, environment=environment, history_file=history)
        yield await stack.enter_async_context(opened)


async def live_through(house: House, history: Path) -> None:
    """Let a day of the house pass, in virtual time, up to when that is over."""
    begin = datetime.now(UTC) - timedelta(seconds=house.day_s)
    begun = anyio.current_time()

    def clock() -> datetime:
        return begin + timedelta(seconds=anyio.current_time() - begun)

    network = MemoryNetwork("127.0.0.1")
    environment = Environment(network=network, clock=clock, random=Random(SEED))
    async with living(house, environment, history):
        # Meanwhile it gets later: less each time.
        for _ in range(4):
            left_s = (datetime.now(UTC) - clock()).total_seconds()
            await anyio.sleep(max(0.0, left_s))


async def look(
    house: House, history: Path, pictures: Iterator[Picture], folder: Path
) -> None:
    """Take pictures of the pages."""
    async with AsyncExitStack() as stack:
        environment = Environment(random=Random(SEED))
        gateway = await stack.enter_async_context(living(house, environment, history))
        section = DashboardSection(listen=("http://127.0.0.1:0",))
        dashboard = await stack.enter_async_context(open_dashboard(gateway, section))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        stack.push_async_callback(browser.close)
        await anyio.sleep(WARM_UP_S)
        for picture in pictures:
            await take(browser, dashboard.urls[0], picture, folder)


def for_the_documentation() -> Iterator[Picture]:
    """Name the pictures in the documentation."""
    device = f"device/{DEVICE}?range=hour"
    yield "devices", "", "light", TALL
    yield "devices_phone", "", "dark", PHONE
    yield "device", device, "dark", TALL
    yield "device_phone", f"{device}#r-history", "light", PHONE
    yield "gateway", "gateway", "light", DESK


def of_everything() -> Iterator[Picture]:
    """Name each page in each theme at each width."""
    pages = {
        "devices": "",
        "device": f"device/{DEVICE}?range=hour",
        "gateway": "gateway",
    }
    schemes: tuple[Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        for width, options in (("desk", DESK), ("tablet", TABLET), ("phone", PHONE)):
            for name, path in pages.items():
                yield f"every_{name}_{width}_{scheme}", path, scheme, options


async def take(browser: Browser, url: str, picture: Picture, folder: Path) -> None:
    """Take one picture, when all of the page is there."""
    name, path, scheme, options = picture
    context = await browser.new_context(color_scheme=scheme, **options)
    page = await context.new_page()
    await page.goto(f"{url}{path}")
    await page.wait_for_selector('body[data-connection="live"]')
    await anyio.sleep(1)
    data = await small(page, is_whole=name.startswith("every_"))
    await anyio.Path(folder / f"{name}.png").write_bytes(data)
    print(f"{name}.png: {len(data)} bytes")
    await context.close()


async def small(page: Page, *, is_whole: bool) -> bytes:
    """Take a picture with as many colours as fit."""
    taken = await page.screenshot(full_page=is_whole)
    if is_whole:
        return taken
    shot = Image.open(io.BytesIO(taken)).convert("RGB")
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        shot.quantize(colours, dither=Image.Dither.NONE).save(
            file, "PNG", optimize=True
        )
        if len(file.getvalue()) < MOST_BYTES:
            return file.getvalue()
    raise SystemExit(f"{page.url} is no picture of less than {MOST_BYTES} bytes")


def main() -> None:
    """Let a day pass, then take the pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--devices", type=int, default=USUAL_DEVICES)
    parser.add_argument("--every", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    house = House(devices=given.devices, day_s=DAY_S)
    pictures = of_everything() if given.every else for_the_documentation()
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder) / "history.sqlite"
        with virtual_backend("trio") as (backend, options):
            anyio.run(
                live_through, house, history, backend=backend, backend_options=options
            )
        anyio.run(look, house, history, pictures, given.folder)


if __name__ == "__main__":
    main()
