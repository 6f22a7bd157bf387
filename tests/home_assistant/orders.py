"""How an entity is told to be otherwise, and back, whatever it is."""

from __future__ import annotations

from typing import Any

# What it is told: service, more, and the state that it has then.
Order = tuple[str, dict[str, Any], str]


def orders(entity: dict[str, Any]) -> list[Order]:
    """Say how an entity is told to be otherwise, and back; empty if it cannot be."""
    domain = entity["entity_id"].partition(".")[0]
    state, attributes = entity["state"], entity["attributes"]
    found: list[Order] = []
    match domain:
        case "switch" | "light" | "fan" | "siren":
            found = [("turn_off", {}, "off"), ("turn_on", {}, "on")]
            found = found if state == "on" else found[::-1]
        case "cover":
            found = [("open_cover", {}, "open"), ("close_cover", {}, "closed")]
        case "climate":
            modes = [("off", "off"), (state, state)]
            found = [("set_hvac_mode", {"hvac_mode": m}, s) for m, s in modes]
        case "select":
            other = next(one for one in attributes["options"] if one != state)
            found = [("select_option", {"option": o}, o) for o in (other, state)]
        case "number":
            low, high = float(attributes["min"]), float(attributes["max"])
            figures = (high if float(state) == low else low, float(state))
            found = [("set_value", {"value": f}, str(f)) for f in figures]
        case "lock":
            found = [("unlock", {}, "unlocked"), ("lock", {}, "locked")]
        case "text":
            found = [("set_value", {"value": v}, v) for v in ("Good evening", state)]
        case "update" if state == "on":
            found = [("install", {}, "off")]
    return found


def same(state: str, wanted: str) -> bool:
    try:
        return float(state) == float(wanted)
    except ValueError:
        return state == wanted
