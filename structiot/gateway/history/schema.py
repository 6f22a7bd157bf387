"""How a history's file is built.

Readings are only ever added, at the end of two tables: a commit touches few pages, which
is what memory cards live long by. Each is told from the beginning of its stretch; what
a stretch has is found by its numbers, which lie between its first and the next one's. Once
an hour the stretch is rolled up into `hours`, where each series has its place, five
minutes packed into one value. `meters` has what each counter showed before the stretch that is
open, if it counts on. Two stretches never have a moment in common.
"""

from __future__ import annotations

from typing import Final

__all__ = ["PROGRAM_ID", "SCHEMA", "VERSION"]

PROGRAM_ID: Final = int.from_bytes(b"sHis")
VERSION: Final = 1

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    number INTEGER PRIMARY KEY, system TEXT NOT NULL, device TEXT NOT NULL,
    entity TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL, slug TEXT NOT NULL,
    name TEXT NOT NULL, label TEXT NOT NULL, decimals INTEGER,
    UNIQUE (system, device, entity, kind, unit));
CREATE TABLE IF NOT EXISTS stretches (
    number INTEGER PRIMARY KEY, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL, first_figure INTEGER NOT NULL,
    first_step INTEGER NOT NULL, is_rolled INTEGER NOT NULL, has_raw INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS stretches_until ON stretches (until_ms);
CREATE TABLE IF NOT EXISTS figures (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, after_ms INTEGER NOT NULL,
    value REAL);
CREATE TABLE IF NOT EXISTS steps (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, after_ms INTEGER NOT NULL,
    value);
CREATE TABLE IF NOT EXISTS hours (
    series INTEGER NOT NULL, hour_ms INTEGER NOT NULL, known_ms INTEGER NOT NULL,
    area REAL NOT NULL, low REAL, high REAL, gained REAL NOT NULL,
    resets INTEGER NOT NULL, fives BLOB, PRIMARY KEY (series, hour_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meters (
    series INTEGER PRIMARY KEY, counter REAL NOT NULL, told_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    series INTEGER NOT NULL, from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
    gained REAL NOT NULL, PRIMARY KEY (series, from_ms, until_ms)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS occurrences (
    number INTEGER PRIMARY KEY, series INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    event_type TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS occurrences_of ON occurrences (series, at_ms);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, lines BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
