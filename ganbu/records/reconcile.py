"""The résumé text beside the registered posts (简历核对): where they differ, and making either follow the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ganbu.dates import PartialDate
from ganbu.formats.resume import Resume, ResumeEntry, parse_resume
from ganbu.formats.resume_writer import entry_head, write_resume
from ganbu.records.writing import Writing
from ganbu.vocabulary import Register

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Pair:
    """A line of the résumé and the post it tells of; one of them may be missing (对应的一段)."""

    entry: ResumeEntry | None
    row: Row | None
    state: str  # same | dates | text | only_text | only_row
    key: str
    row_text: str

    @property
    def text(self) -> str:
        """The line as written."""
        return entry_head(self.entry).rstrip() + "  " + self.entry.text if self.entry else ""


def _month(day: Any) -> tuple[int, int]:
    if day is None:
        return (0, 0)
    return (day.year, day.month or 0)


def _row_entry(row: Row, units: Mapping[str, str]) -> ResumeEntry | None:
    start, end = row.get("start_date"), row.get("end_date")
    if start is None:
        return None
    unit, title = units.get(str(row.get("unit") or ""), ""), str(row.get("title") or "")
    text = title if title.startswith(unit) else unit + title
    return ResumeEntry(
        PartialDate(*_known(start)), PartialDate(*_known(end)) if end else None, text, open=end is None
    )


def _known(day: Any) -> tuple[int, int | None]:
    return (day.year, day.month or None)


def pairs(resume: str, rows: Sequence[Row], units: Mapping[str, str]) -> list[Pair]:
    """Lines and posts side by side, in the order of their dates: same start and text first, then same start."""
    read = parse_resume(resume)
    entries = [entry for entry in read.entries if entry.kind == "post"]
    told = [(row, _row_entry(row, units)) for row in rows]
    open_rows = {at: made for at, (_row, made) in enumerate(told) if made is not None}
    found: list[Pair] = []
    left: list[ResumeEntry] = []
    for entry in entries:
        same = [at for at, made in open_rows.items() if _month(made.start) == _month(entry.start) and _alike(made.text, entry.text)]  # fmt: skip
        if same:
            found.append(_pair(entry, told[same[0]][0], open_rows.pop(same[0])))
        else:
            left.append(entry)
    for entry in left:
        near = [at for at, made in open_rows.items() if _month(made.start) == _month(entry.start) or made.text == entry.text]  # fmt: skip
        found.append(
            _pair(entry, told[near[0]][0], open_rows.pop(near[0])) if near else _pair(entry, None, None)
        )
    found += [_pair(None, told[at][0], made) for at, made in open_rows.items()]
    return sorted(
        found, key=lambda p: _month(p.entry.start if p.entry else p.row.get("start_date") if p.row else None)
    )


def _alike(one: str, other: str) -> bool:
    plain = [text.replace(" ", "").replace("、", "").replace("，", "") for text in (one, other)]
    return plain[0] == plain[1]


def _pair(entry: ResumeEntry | None, row: Row | None, made: ResumeEntry | None) -> Pair:
    text = entry_head(made).rstrip() + "  " + made.text if made else ""
    if entry is None or made is None or row is None:
        state = "only_text" if row is None else "only_row"
        identity = str(row["appointment_id"]) if row else f"{entry.start.iso()}-{entry.line}" if entry else ""
        return Pair(entry, row, state, f"pick-{identity}", text)
    dates = _month(entry.start) == _month(made.start) and _month(entry.end) == _month(made.end)
    state = "dates" if not dates else "same" if _alike(entry.text, made.text) else "text"
    return Pair(entry, row, state, f"pick-{row['appointment_id']}", text)


def settle(
    act: Writing, appointment: Register, person: Register, key: str, resume: str, found: list[Pair], picks: Mapping[str, str],
    place: Any,
) -> int:  # fmt: skip
    """Do what was picked: `text` makes the post follow the line, `row` the line the post. Returns how many.

    `place` tells the unit and title of a post text, as the importer does.
    """
    changed = 0
    lines = {id(pair.entry): pair.entry for pair in found if pair.entry}
    extra: list[ResumeEntry] = []
    touched = False
    for pair in found:
        pick = picks.get(pair.key, "")
        if pick == "text" and pair.entry is not None:
            unit, title = place(pair.entry.text)
            values = {
                "start_date": pair.entry.start,
                "end_date": pair.entry.end,
                "title": title,
                "unit": unit,
            }
            if pair.row is None:
                fresh = f"{key}-A-{pair.entry.start.iso()}-{pair.entry.line}-{act.change.pk}"
                act.add(
                    appointment,
                    [{"appointment_id": fresh, "person": key, "nature": "任职", "main": True, **values}],
                )
            else:
                act.correct(appointment, str(pair.row["appointment_id"]), _sharper(pair.row, values))
            changed += 1
        elif pick == "row" and pair.row is not None:
            made = parse_resume(pair.row_text).entries[0]
            if pair.entry is not None:
                lines[id(pair.entry)] = replace(made, inner=pair.entry.inner)
            else:
                extra.append(made)
            touched, changed = True, changed + 1
    if touched:
        read = parse_resume(resume)
        place_of = {pair.entry.line: lines[id(pair.entry)] for pair in found if pair.entry}
        entries = [place_of.get(entry.line, entry) for entry in read.entries] + extra
        entries.sort(key=lambda entry: (entry.start.first(), entry.open))
        text = write_resume(Resume(tuple(entries), read.studies, read.tail, read.prologue))
        act.correct(person, key, {"resume": text.replace("\r\n", "\n").strip("\n")})
    return changed


def _sharper(row: Row, values: dict[str, Any]) -> dict[str, Any]:
    """A date of the post stays where it says the same month more precisely; an unknown unit does not erase a known one."""
    kept = dict(values)
    for name in ("start_date", "end_date"):
        if values[name] is not None and _month(row.get(name)) == _month(values[name]):
            kept.pop(name)
    if not values["unit"]:
        kept.pop("unit")
    return kept
