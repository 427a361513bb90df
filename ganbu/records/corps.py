"""The whole corps ready for the engine (队伍快照): read once after every change, shared by queries, findings and reasons."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ganbu.engine.policy import Pack
from ganbu.engine.run import Run, Store, evaluate
from ganbu.engine.select import NAME, select
from ganbu.engine.source import Mapping, Text
from ganbu.errors import Place
from ganbu.records.local import adopted, vocabulary
from ganbu.records.models import Change
from ganbu.records.snapshot import snapshot

_lock = threading.Lock()
_held: dict[str, Any] = {}


def store() -> Store:
    """The record as it is now, prepared; made anew when something was recorded since."""
    last = Change.objects.order_by("-id").values_list("id", flat=True).first() or 0
    key = (last, adopted())
    with _lock:
        if _held.get("key") != key:
            _held["store"] = Store(snapshot(vocabulary=vocabulary()))
            _held["key"] = key
        found: Store = _held["store"]
        return found


def people_where(condition: str, day: date) -> list[str]:
    """The people for whom a condition of the rule language is true on a day. Raises PackError."""
    return select(store(), condition, day)


def facts_of(expressions: Sequence[str], condition: str, day: date) -> list[dict[str, Any]]:
    """Values of expressions for everybody for whom a condition is true (取值): rows with 对象, 名称 and `#0`, `#1`…"""
    place = Place("<条件>", 1, 1)
    body = Mapping(place)
    body.update({"policy": NAME, "kind": "eligibility", "require": Mapping(place), "facts": Mapping(place)})
    body["require"]["条件"] = Text(condition or "人员编号 is not missing", place)
    names = []
    for at, text in enumerate(expressions):
        body["facts"][f"栏{at}"] = Text(text, place)
        names.append(f"栏{at}")
    body["show"] = names
    pack = Pack(NAME, NAME, Path(NAME), Mapping(place), own={NAME: body})
    run: Run = evaluate(pack, store(), day, [NAME])
    return [row for row in run.rows(NAME) if row["结果"] == "符合"]
