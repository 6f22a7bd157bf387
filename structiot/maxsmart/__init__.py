"""MaxSmart and Revogi power strips and plugs on the local network."""

from __future__ import annotations
