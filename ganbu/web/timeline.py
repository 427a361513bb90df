"""The timeline of a person (经历图): posts, studies and what happened, drawn as one picture on the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils.translation import gettext as _

from ganbu.dates import PartialDate
from ganbu.records.queries import Held

WIDTH, LEFT, LINE = 720, 8, 34


@dataclass(frozen=True)
class Bar:
    """A bar: from `x`, `width` wide, with its text above it."""

    x: float
    y: float
    width: float
    kind: str
    text: str
    title: str
    text_x: float
    anchor: str


@dataclass(frozen=True)
class Drawing:
    """All of it: its size, years with their place, bars, points."""

    width: int
    height: int
    years: list[tuple[float, int]]
    bars: list[Bar]
    points: list[tuple[float, float, str, str]]


def timeline(rows: Mapping[str, list[Held]], day: date, units: Mapping[str, str]) -> Drawing | None:
    """The drawing of a life until `day`; None where nothing is dated."""
    spans: list[tuple[PartialDate, PartialDate | None, str, str]] = []
    for row in rows.get("education", ()):
        start, end = row.day("start_date"), row.day("end_date")
        if start or end:
            text = f"{row.values.get('school') or ''}{row.values.get('level') or ''}"
            spans.append((start or end, end, "k5", text))  # type: ignore[arg-type]
    for row in rows.get("appointment", ()):
        start = row.day("start_date")
        if start:
            text = f"{units.get(str(row.values.get('unit')), '')}{row.values.get('title') or ''}"
            spans.append((start, row.day("end_date"), "k1", text))
    for row in rows.get("secondment", ()):
        start = row.day("start_date")
        if start:
            spans.append((start, row.day("end_date"), "k4", f"{row.values.get('kind') or _('挂职')}"))
    if not spans:
        return None
    spans.sort(key=lambda s: (s[0], s[1] or PartialDate(9999)))
    first, last = spans[0][0].year, day.year + 1
    scale = (WIDTH - 2 * LEFT) / max(last - first, 1)

    def at(when: Any) -> float:
        moment = when.first() if isinstance(when, PartialDate) else when
        return round(LEFT + (moment.year - first + (moment.month - 1) / 12) * scale, 1)

    bars: list[Bar] = []
    for number, (start, end, kind, text) in enumerate(spans):
        x = at(start)
        stop = at(end) if end else at(day)
        y = 24 + number * LINE
        title = f"{start.iso()}—{end.iso() if end else ''} {text}"
        bars.append(Bar(x, y, max(stop - x, 4), kind + ("" if end else " open"), f"{start.iso()[:7]} {text}", title,
                        max(stop, x + 4) if x > WIDTH / 2 else x, "end" if x > WIDTH / 2 else "start"))  # fmt: skip
    bottom = 24 + len(spans) * LINE + 10
    points: list[tuple[float, float, str, str]] = []
    for name, field, kind in (
        ("award", "date", "k4"),
        ("assessment", "year", "k3"),
        ("sanction", "date", "k2"),
    ):
        for row in rows.get(name, ()):
            value = row.values.get(field)
            if name == "assessment":
                if row.values.get("grade") != "优秀" or not isinstance(value, int) or value < first:
                    continue
                points.append(
                    (at(date(value, 12, 1)), bottom + 8, kind, _("%(year)s 年度考核优秀") % {"year": value})
                )
            elif isinstance(value, PartialDate) and value.year >= first:
                text = row.values.get("name") or row.values.get("kind") or ""
                points.append(
                    (at(value), bottom + (26 if name == "award" else 44), kind, f"{value.iso()} {text}")
                )
    step = 5 if last - first > 14 else 2 if last - first > 6 else 1
    years = [
        (at(date(year, 1, 1)), year)
        for year in range(first - first % step + (step if first % step else 0), last + 1, step)
    ]
    return Drawing(WIDTH, bottom + 56, years, bars, points)
