"""How the gateway and its devices fare, in figures, as Prometheus reads them.

Names and units are described in `docs/how_to/watch_with_prometheus.md`. A value that was
not heard within its time, or of a device that cannot be reached, is left out: Prometheus
keeps no figure that nobody stands for. No text of a device is in it, and no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import anyio.lowlevel
import anyio.to_thread
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from structiot.dashboard.measures import Measure, measure_of
from structiot.gateway import Gateway, status_of
from structiot.gateway.drivers import ServedDevice
from structiot.gateway.entities.commands import takes_commands
from structiot.gateway.entities.flows import flow_of
from structiot.gateway.gateway import VERSION
from structiot.gateway.status import GatewayStatus, StoreStatus, TaskStatus
from structiot.gateway.values import values_of
from structiot.model import BinarySensor, Fan, Light, Sensor, Siren, Switch

__all__ = ["CONTENT_TYPE", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4"
_DEVICES_A_TURN = 10
_ON_OFF = (BinarySensor, Fan, Light, Siren, Switch)
_POWER = "structiot_power_watts"
_STATES: Mapping[object, float] = {"ON": 1.0, "OFF": 0.0}


class _Families:
    """Metrics by name; each has the same labels once, or Prometheus would take none."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._families: dict[str, Metric] = {}

    def add(
        self,
        name: str,
        about: str,
        value: float,
        labels: Mapping[str, str] | None = None,
        *,
        is_counter: bool = False,
    ) -> None:
        # A counter of one device may be no counter of another.
        key = f"{name}_total" if is_counter else name
        if key not in self._families:
            kind = CounterMetricFamily if is_counter else GaugeMetricFamily
            self._families[key] = kind(name, about, labels=list(labels or ()))
            self._values[key] = {}
        self._values[key][tuple((labels or {}).values())] = value

    def collect(self) -> Iterator[Metric]:
        for key, family in self._families.items():
            for labels, value in self._values[key].items():
                family.add_metric(labels, value)  # type: ignore[attr-defined]
            yield family


async def metrics_text(gateway: Gateway) -> str:
    """Write all of it; in portions, the text in a worker thread."""
    families = _Families()
    _add_status(families, status_of(gateway))
    _add_traffic(families, gateway)
    now_utc = gateway.environment.now_utc()
    for number, (slug, device) in enumerate(gateway.devices.items()):
        if number % _DEVICES_A_TURN == 0:
            await anyio.lowlevel.checkpoint()
        _add_device(families, slug, device, now_utc)
    return await anyio.to_thread.run_sync(_written, families)


class _Collected:
    """What is asked for by a registry of its own: nobody else's is in it."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _written(families: _Families) -> str:
    registry = CollectorRegistry(auto_describe=False)
    info = InfoMetricFamily("structiot_build", "What runs.", {"version": VERSION})
    registry.register(_Collected([info, *families.collect()]))
    ProcessCollector(registry=registry)
    return generate_latest(registry).decode()


# ---------------------------------------------------------------- devices


def _add_device(
    families: _Families, slug: str, device: ServedDevice, now_utc: datetime
) -> None:
    of_device = {"device": slug, "system": device.system}
    about = "Whether the device can be reached."
    is_up = float(device.is_available)
    families.add("structiot_device_available", about, is_up, of_device)
    heard, watts = None, {}
    for entity, value in values_of(device, now_utc):
        if value.at_utc is not None:
            heard = max(heard or value.at_utc, value.at_utc)
        if value.state != "live":
            continue
        labels = {"device": slug, "entity": entity.key, "system": device.system}
        if isinstance(entity, _ON_OFF):
            if value.value in _STATES:
                about = "Whether it is on: 1, or 0."
                families.add("structiot_on", about, _STATES[value.value], labels)
        elif isinstance(value.value, int | float):
            measure, unit = measure_of(entity)
            _add_figure(families, measure, unit, value.value, labels)
            if measure.name == _POWER:
                watts[entity.key] = measure.value(value.value)
    _add_flow(families, device, watts, of_device)
    if heard is not None:
        about = "When something was heard of the device last."
        name = "structiot_device_heard_timestamp_seconds"
        families.add(name, about, heard.timestamp(), of_device)


def _add_flow(
    families: _Families,
    device: ServedDevice,
    watts: dict[str, float],
    of_device: dict[str, str],
) -> None:
    entities = device.entities.values()
    names = {
        one.key: one.name or ""
        for one in entities
        if isinstance(one, Sensor) and measure_of(one)[0].name == _POWER
    }
    flow = flow_of(
        {key: watt for key, watt in watts.items() if key in names},
        names,
        is_switched=any(map(takes_commands, entities)),
    )
    if flow is not None:
        labels = {**of_device, "meters": "circuits" if flow.is_circuits else "itself"}
        about = "What the device draws in all."
        families.add("structiot_device_drawn_watts", about, flow.drawn_w, labels)
        about = "What the device produces in all."
        families.add("structiot_device_produced_watts", about, flow.produced_w, labels)


def _add_figure(
    families: _Families,
    measure: Measure,
    unit: str,
    value: float,
    labels: dict[str, str],
) -> None:
    if measure.name == "structiot_value":
        labels = {**labels, "unit": unit}
    families.add(
        measure.name,
        measure.about,
        measure.value(value),
        labels,
        is_counter=measure.is_counter,
    )


# ---------------------------------------------------------------- the gateway


def _add_status(families: _Families, status: GatewayStatus) -> None:
    add = families.add
    about = "When the gateway was opened."
    add("structiot_started_timestamp_seconds", about, status.started_utc.timestamp())
    for task in status.tasks:
        _add_tasks(families, task)
    for link in status.links:
        about = "Whether the connection stands."
        add("structiot_link_up", about, float(link.is_up), {"link": link.name})
    for budget in status.budgets:
        labels = {"budget": budget.name, "unit": budget.unit}
        about = "How much is left of what is limited."
        add("structiot_budget_left", about, budget.left, labels)
        about = "How much there may be of what is limited."
        add("structiot_budget_limit", about, budget.most, labels)
    for box in status.mailboxes:
        labels = {"mailbox": box.name}
        add("structiot_mailbox_waiting", "How much waits.", box.waiting, labels)
        about = "How much was lost, as too much waited."
        name = "structiot_mailbox_dropped"
        add(name, about, box.dropped, labels, is_counter=True)
    if status.store is not None:
        _add_store(families, status.store)


def _add_tasks(families: _Families, root: TaskStatus) -> None:
    """Tell of what runs in the gateway; each device is told of by itself."""
    for task in root.children:
        labels = {"task": task.name}
        about = "Whether the part of the gateway runs."
        families.add("structiot_task_up", about, task.state == "running", labels)
        about = "How often it was started again."
        name = "structiot_task_restarts"
        families.add(name, about, task.restarts, labels, is_counter=True)


def _add_traffic(families: _Families, gateway: Gateway) -> None:
    publisher, service = gateway.publisher, gateway.broker_service
    for name, about, count in (
        ("published", "Messages that the broker has taken.", publisher.published),
        ("refused", "Messages that it has not.", publisher.refused),
        ("received", "Messages that were for the gateway.", service.received),
        ("connections", "How often a broker has accepted it.", service.connections),
        (
            "response_topics_passed_over",
            "Messages that ask for an answer where the gateway gives none.",
            service.response_topics_passed_over,
        ),
    ):
        families.add(f"structiot_mqtt_{name}", about, count, is_counter=True)


def _add_store(families: _Families, store: StoreStatus) -> None:
    add = families.add
    about = "Whether the history is written."
    add("structiot_history_writing", about, float(store.is_writing))
    add("structiot_history_size_bytes", "Size of its file.", store.size_bytes)
    add("structiot_history_readings", "Raw readings in it.", store.rows)
    about = "Readings that wait to be written."
    add("structiot_history_waiting", about, store.waiting)
    about = "Readings that could not be written."
    add("structiot_history_lost", about, store.lost, is_counter=True)
    if store.committed_utc is not None:
        name, about = "structiot_history_commit_timestamp_seconds", "The last commit."
        add(name, about, store.committed_utc.timestamp())
