"""The generic form and the record (通用格式与档案): packages as filings for an import, and people of the record as a package.

Posts name their unit by its key in the package. Units are found on record by code, by key and name, or by name under
the same unit above; what is not found is added with its place in the tree.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any

from ganbu.dates import PartialDate
from ganbu.engine.records import Records
from ganbu.errors import FormatError
from ganbu.formats.generic import GenericForm, GenericPerson, GenericWriter, Line, ended_unknown, read_generic
from ganbu.formats.generic_columns import LEVEL, PLACES, REGISTERS
from ganbu.formats.generic_zip import is_generic
from ganbu.formats.issues import Issue
from ganbu.records.books import Filing, lay_units, read_books
from ganbu.records.merging import Merge, fresh_id

Row = dict[str, Any]
Told = tuple[str, Filing | None, list[Issue]]


# -- into the record ----------------------------------------------------------------------------------------------


def read_filings(path: Path) -> tuple[list[Told], list[Row]]:
    """Everybody that the workbooks and packages of a file or folder tell of, and their units (读取成批登记)."""
    people, units = read_books(path)
    for package in packages(path):
        name = str(package.relative_to(path)) if path.is_dir() else package.name
        try:
            form = read_generic(package, name)
        except FormatError as error:
            people.append((name, None, [Issue(name, "文件", "file.unreadable", str(error), severity="error")]))  # fmt: skip
            continue
        more, told = _filings(form, name)
        people += more
        units += told
    return people, units


def packages(path: Path) -> Iterator[Path]:
    """The packages among a file or the files of a folder."""
    files = sorted(path.rglob("*.[zZ][iI][pP]")) if path.is_dir() else [path]
    yield from (f for f in files if f.suffix.lower() == ".zip" and f.is_file() and not f.is_symlink() and is_generic(f))  # fmt: skip


def _filings(form: GenericForm, file: str) -> tuple[list[Told], list[Row]]:
    names = {str(line.values["unit_id"]): str(line.values.get("name") or "") for line in form.units}
    people: list[Told] = []
    for person in form.people:
        filing = _filing(person, names, file)
        people.append((filing.file, filing, filing.issues))
    units = [{**{k: v for k, v in line.values.items() if k not in ("unit_id", "parent")}, "_key": f"{file}|{line.values['unit_id']}", "_above": f"{file}|{line.values.get('parent')}", "_file": file} for line in form.units]  # fmt: skip
    broken = [issue for issue in form.issues if issue.code in ("file.unreadable", "table.missing")]
    told = [issue for issue in form.issues if issue not in broken]
    if people and told:
        people[0][2][:0] = told  # said with the first: a value that is wrong makes no file unreadable
    elif told:
        people.append((file, None, told))
    return people + [(issue.file, None, [issue]) for issue in broken], units


def _filing(person: GenericPerson, names: Mapping[str, str], file: str) -> Filing:
    own = dict(person.line.values)
    if unit := own.pop("statistics_unit", None):
        own |= {"statistics_unit": names[unit], "_unit": f"{file}|{unit}"}
    number = str(own.get("id_number") or "")
    filing = Filing(f"{file} A01 第 {person.line.number} 行", str(own.get("name") or ""), number, issues=list(person.issues), photo=person.photo)  # fmt: skip
    filing.rows["person"].append(own)
    for register in REGISTERS[1:]:
        if register != LEVEL:
            lines = [line for line in person.rows[register] if not ended_unknown(register, line)]
            filing.rows[register] = [_row(register, line, names, file) for line in lines]
    _give_levels(filing, [line for line in person.rows[LEVEL] if not ended_unknown(LEVEL, line)])
    return filing


def _row(register: str, line: Line, names: Mapping[str, str], file: str) -> Row:
    row = dict(line.values)
    if register == "appointment":
        if unit := row.get("unit"):
            row |= {"unit": names[unit], "_unit": f"{file}|{unit}"}
        else:  # a unit by its name only is looked for at the beginning of the post's text
            name, title = line.rest.get("A0201A", "").strip(), str(row.get("title") or "")
            row["unit"] = row["title"] = title if title.startswith(name) else name + title
            row["_unit"] = ""
    return row


def _give_levels(filing: Filing, levels: Sequence[Line]) -> None:
    """The level of each post: of the one level that began with it, else of the one held when it began."""
    used = set()
    for row in filing.rows["appointment"]:
        day = row.get("start_date")
        if day is None:
            continue
        began = [at for at, line in enumerate(levels) if _month(line.values.get("start_date")) == _month(day)]
        held = [at for at, line in enumerate(levels) if _holds(line, day)]
        words = {levels[at].values.get("level") for at in began or held} - {None}
        if len(words) == 1:
            row["level"] = words.pop()
            used |= set(began or held)
    left = [line for at, line in enumerate(levels) if at not in used and line.values.get("level")]
    for line in left:
        told = f"{line.values['level']}（{line.values.get('start_date') or '时间不详'}）"
        filing.issues.append(Issue(filing.file, "职务层次", "level.no_post", f"{told}没有与之相应的一段任职，未登记", str(line.values["level"]), severity="note"))  # fmt: skip


def _month(day: PartialDate | None) -> str:
    return str(day or "")[:7]


def _holds(line: Line, day: PartialDate) -> bool:
    start, end = line.values.get("start_date"), line.values.get("end_date")
    return start is not None and _month(start) <= _month(day) and (end is None or _month(day) < _month(end))


def lay_all_units(merge: Merge, told: list[Row]) -> dict[str, str]:
    """Units of workbooks and packages; of those of packages, which unit of the record each key is (机构并入)."""
    lay_units(merge, [unit for unit in told if "_key" not in unit])
    keyed = {unit["_key"]: unit for unit in told if "_key" in unit}
    placed: dict[str, str] = {}
    for key in keyed:
        _place(merge, key, keyed, placed)
    return placed


def _place(merge: Merge, key: str, keyed: Mapping[str, Row], placed: dict[str, str]) -> None:
    """One unit, those above it first."""
    way = [key]
    while (above := keyed[way[-1]]["_above"]) in keyed and above not in placed:
        way.append(above)
    for one in reversed(way):
        unit = keyed[one]
        plain = {k: v for k, v in unit.items() if not k.startswith("_") and v not in (None, "")}
        if one in placed or not plain.get("name"):
            continue
        register = merge.vocabulary.registers["unit"]
        parent = placed.get(unit["_above"])
        if parent:
            plain["parent"] = parent
        found = _unit_on_record(merge, one.rpartition("|")[2], plain, keyed)
        if found is None:
            way_down = f"{parent or ''}/{plain['name']}"
            found = f"U{uuid.uuid5(uuid.NAMESPACE_OID, way_down).hex[:10]}"
            if found in merge.table("unit"):
                found = fresh_id(f"{found}-", merge.table("unit"))
            merge.add(register, {"unit_id": found, **plain}, unit["_file"])
        else:
            merge.lay(register, found, plain, unit["_file"], unit["_file"])
        placed[one] = found


def _unit_on_record(merge: Merge, key: str, plain: Row, keyed: Mapping[str, Row]) -> str | None:
    table = merge.table("unit")
    name, code, parent = plain["name"], plain.get("code"), plain.get("parent")
    if code:
        same = [k for k, row in table.items() if row.get("code") == code and row.get("name") == name]
        if len(same) == 1:
            return same[0]
    if key in table and table[key].get("name") == name:
        return key
    alike = [k for k, row in table.items() if row.get("name") == name and not (code and row.get("code"))]
    under = [k for k in alike if parent and table[k].get("parent") == parent]
    if len(under) == 1:
        return under[0]
    # A name that stands once on either side is that unit, unless each has its own unit above.
    alone = len(alike) == 1 and sum(unit.get("name") == name for unit in keyed.values()) == 1
    if alone and not (parent and table[alike[0]].get("parent")):
        return alike[0]
    return None


# -- out of the record --------------------------------------------------------------------------------------------

TAKEN = ("person", "appointment", "rank", "education", "award", "assessment", "family")
CHUNK = 200  # portraits in memory at once
Photos = Callable[[list[str]], Mapping[str, bytes]]


def write_package(
    parts: Iterable[tuple[Records, list[str]]], units: Iterable[Row], stream: IO[bytes], made: date,
    photos: Photos | None = None, seen: tuple[bool, bool] = (True, True),
) -> int:  # fmt: skip
    """Write people as a package (导出通用格式); returns how many.

    `parts` are identities with a record that holds their rows, a part at a time; `units` all units; `seen` says whether
    identity numbers and family are in it. Only the units that are spoken of are written, with those above them.
    """
    known = {str(row["unit_id"]): row for row in units if row.get("superseded_at") is None}
    used: set[str] = set()
    with GenericWriter(stream, {key: str(row.get("name") or "") for key, row in known.items()}) as out:
        for records, people in parts:
            rows = _rows_of(records, people, seen[1])
            for at in range(0, len(people), CHUNK):
                part = [key for key in people[at : at + CHUNK] if rows[key]["person"]]
                images = photos(part) if photos else {}
                for key in part:
                    person = _person(key, rows[key], seen[0])
                    person.photo = images.get(key)
                    _only_known(person, known, used)
                    out.add(person)
        count = out.people
        out.finish([_unit_line(row, known) for row in _with_those_above(known, used)], {"time": made.strftime("%Y%m%d")})  # fmt: skip
    return count


def _rows_of(records: Records, people: Iterable[str], family: bool) -> dict[str, dict[str, list[Row]]]:
    """The rows of some people that hold now, by person and register."""
    wanted = set(people)
    rows: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for name in TAKEN if family else [one for one in TAKEN if one != "family"]:
        about = "person_id" if name == "person" else "person"
        for row in records.rows(name):
            if row.get("superseded_at") is None and str(row.get(about)) in wanted:
                rows[str(row[about])][name].append(row)
    return rows


def _person(key: str, rows: Mapping[str, list[Row]], number: bool) -> GenericPerson:
    person = GenericPerson(key)
    for name in TAKEN:
        fields = {column.field for column in PLACES[name]}
        person.rows[name] = [
            Line({k: v for k, v in row.items() if k in fields and v not in (None, "")})
            for row in rows.get(name, ())
        ]
    if not number:
        person.line.values.pop("id_number", None)
    person.rows[LEVEL] = _levels(rows.get("appointment", ()))
    return person


def _levels(appointments: Iterable[Row]) -> list[Line]:
    """The post levels that somebody has had, each from its first post to the last that follows without a break."""
    told = [row for row in appointments if row.get("level") and row.get("start_date")]
    lines: list[Line] = []
    for row in sorted(told, key=lambda row: str(row["start_date"])):
        start, end = row["start_date"], row.get("end_date")
        same = next((line for line in reversed(lines) if line.values["level"] == row["level"]), None)
        if same is not None and (same.values.get("end_date") is None or _month(start) <= _month(same.values["end_date"])):  # fmt: skip
            held = same.values.get("end_date")
            if held is not None and (end is None or str(end) > str(held)):
                same.values.pop("end_date")
                same.values |= {"end_date": end} if end else {}
            continue
        lines.append(Line({"level": row["level"], "start_date": start, **({"end_date": end} if end else {})}))
    return lines


def _only_known(person: GenericPerson, known: Mapping[str, Row], used: set[str]) -> None:
    """A key that no unit has is not written; the others are needed."""
    for field, line in [("statistics_unit", person.line), *(("unit", one) for one in person.rows["appointment"])]:  # fmt: skip
        key = line.values.get(field)
        if key in known:
            used.add(str(key))
        else:
            line.values.pop(field, None)


def _with_those_above(known: Mapping[str, Row], used: set[str]) -> list[Row]:
    wanted: set[str] = set()
    for key in used:
        at = key
        while at in known and at not in wanted:
            wanted.add(at)
            at = str(known[at].get("parent") or "")
    return [row for key, row in known.items() if key in wanted]


def _unit_line(row: Row, known: Mapping[str, Row]) -> Line:
    fields = {column.field for column in PLACES["unit"]}
    values = {k: v for k, v in row.items() if k in fields and v not in (None, "")}
    if values.get("parent") not in known:
        values.pop("parent", None)
    return Line(values)
