"""Exporting from the record (导出)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganbu.engine.records import Records
from ganbu.formats.interchange import rows_to_form
from ganbu.formats.lrmx import write_lrmx

DETAILS = ("appointment", "education", "assessment", "award", "family")


def export_lrmx(records: Records, people: Iterable[str] | None, out: Path) -> int:
    """Write one `.lrmx` file per person (导出 lrmx); `people` are identities, None for all. Returns how many."""
    wanted = set(people) if people is not None else None
    units = {str(row["unit_id"]): str(row.get("name") or "") for row in records.rows("unit")}
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in DETAILS:
        for row in records.rows(name):
            if row.get("superseded_at") is None:
                grouped.setdefault(str(row.get("person")), {}).setdefault(name, []).append(row)
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for person in records.rows("person"):
        key = str(person["person_id"])
        if person.get("superseded_at") is not None or (wanted is not None and key not in wanted):
            continue
        form = rows_to_form(person, grouped.get(key, {}), units)
        safe = "".join(c if c.isalnum() or c in "·-" else "_" for c in f"{person.get('name') or ''}-{key}")
        (out / f"{safe}.lrmx").write_bytes(write_lrmx(form))
        count += 1
    return count
