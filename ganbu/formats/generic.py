"""The generic form of the national civil-servant system (通用格式): people and units as rows of our registers, and back.

A set (A01, A02, …) becomes lines of a register, its codes words of our tables, its digits dates. What a line has and no
field is for stays beside it in `rest`, as typed; a row or set without a place stays in `foreign`: reading and writing
again loses nothing. Every value that was not taken is an issue with table, row and column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ganbu.formats.form import DATE_REMARKS, AppointmentForm, photo_type, read_photo
from ganbu.formats.generic_columns import (
    COLUMNS,
    DATA_VERSION,
    KEY,
    LEVEL,
    NO_PARENT,
    PLACES,
    REGISTERS,
    SETS,
    TYPE,
    Column,
    Unread,
    as_text,
    as_value,
    codes_of,
    titled,
)  # fmt: skip
from ganbu.formats.generic_zip import Attributes, Tables, TableWriter, read_tables
from ganbu.formats.grammars import read_awards
from ganbu.formats.interchange import form_to_rows, rows_to_form
from ganbu.formats.issues import Issue
from ganbu.formats.text import digits, read_date, trim

Row = dict[str, Any]


@dataclass
class Line:
    """A row of a set: the fields it fills, what else it says as typed, and which row of the table it was."""

    values: Row = field(default_factory=dict)
    rest: Attributes = field(default_factory=dict)
    number: int = field(default=0, compare=False)


@dataclass
class GenericPerson:
    """One person of a package (包内一人): lines by register, and the portrait."""

    key: str
    rows: dict[str, list[Line]] = field(default_factory=lambda: {name: [] for name in REGISTERS})
    photo: bytes | None = None
    issues: list[Issue] = field(default_factory=list, compare=False)

    @property
    def line(self) -> Line:
        """The person's own line."""
        return self.rows["person"][0]


@dataclass
class GenericForm:
    """A package (通用格式包): people, units as lines, header values beyond the counted ones, and what has no place."""

    people: list[GenericPerson] = field(default_factory=list)
    units: list[Line] = field(default_factory=list)
    header: Attributes = field(default_factory=dict)
    foreign: dict[str, list[Attributes]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list, compare=False)


# -- what follows from other columns ------------------------------------------------------------------------------


def _open(lines: Iterable[Line]) -> Line | None:
    """The line that holds now: without an end, the one begun last."""
    now = [line for line in lines if not line.values.get("end_date")]
    return max(now, key=lambda line: str(line.values.get("start_date") or ""), default=None)


def _person_derived(person: GenericPerson) -> Attributes:
    """What A01 repeats of the other sets: present level and rank with their dates, and the summaries of a form."""
    rows = {name: [line.values for line in lines] for name, lines in person.rows.items()}
    own = {"assessment": [row for row in rows["assessment"] if "year" in row], "award": rows["award"]}
    form = rows_to_form({**person.line.values, "resume": "-"}, own, {})
    derived = {"A0140": form.party_joining, "A14Z101": form.awards, "A15Z101": form.assessments}
    for register, what, code, since in (
        (LEVEL, "level", "A0221", "A0288"),
        ("rank", "rank", "A0192E", "A0192C"),
    ):
        line = _open(person.rows[register])
        columns = {column.field: column for column in PLACES[register]}
        derived[code] = as_text(columns[what], line.values.get(what)) if line else ""
        derived[since] = as_text(columns["start_date"], line.values.get("start_date")) if line else ""
    return derived


def _derived(register: str, values: Row, at: int, names: Mapping[str, str]) -> Attributes:
    """What a row repeats of itself: the name beside a code, whether it still holds, its place in the order."""
    if register == "appointment":
        ended = bool(values.get("end_date"))
        return {"A0201A": names.get(str(values.get("unit") or ""), ""), "A0255": "0" if ended else "1", "A0281": "false" if ended else "true"}  # fmt: skip
    if register in ("rank", LEVEL):
        return {"A0531": "1" if register == "rank" else "0", "A0524": "0" if values.get("end_date") else "1"}
    if register == "education":
        degree = codes_of("degree").canonical(str(values.get("degree") or ""))
        return {"A0801A": str(values.get("level") or ""), "A0901B": codes_of("degree").code_of(degree or "") or ""}  # fmt: skip
    return {"SORTID": str(at)} if register == "family" else {}


_LENIENT = {"A0281": {"1": "true", "0": "false"}, "A0524": {"true": "1", "false": "0"}, "A0255": {"true": "1", "false": "0"}}  # fmt: skip


# -- reading ------------------------------------------------------------------------------------------------------


def read_generic(path: Path, name: str = "") -> GenericForm:
    """Read a package (读取通用格式); `name` is what messages call it.

    Raises FormatError when the archive cannot be taken or its header cannot be read; anything less is an issue.
    """
    return _Reading(read_tables(path, name or path.name), name or path.name).form


class _Reading:
    """Tables on their way to people and units."""

    def __init__(self, tables: Tables, name: str) -> None:
        self.tables, self.name = tables, name
        self.form = GenericForm(issues=list(tables.issues))
        self.unplaced: Counter[tuple[str, str]] = Counter()
        self.differing: Counter[tuple[str, str]] = Counter()
        self.names: dict[str, str] = {}
        self.people: dict[str, GenericPerson] = {}
        self._units()
        for number, row in tables.rows.get("A01", ()):
            self._person(number, row)
        for one in tables.rows:
            if one in SETS and one not in ("A01", "B01"):
                self._details(one)
            elif one not in SETS and one != "A57":
                self._foreign(one)
        self._photos()
        for person in self.people.values():
            self._finish(person)
        self._header()
        self._remarks()

    def _file(self, name: str) -> str:
        return f"{self.name}/Table/{name}.xml"

    def _keep(self, name: str, row: Attributes) -> None:
        self.form.foreign.setdefault(name, []).append({key: value for key, value in row.items() if value})

    def _line(self, name: str, register: str, number: int, row: Attributes, issues: list[Issue]) -> Line:
        line = Line(number=number)
        placed = {column.name: column for column in PLACES[register]}
        for key, raw in row.items():
            if key == KEY or not raw.strip():
                continue
            column = placed.get(key)
            text = trim(raw, line_breaks=True)
            if column is None:
                line.rest[key] = raw
                continue
            try:
                value = as_value(column, text)
            except Unread as told:
                line.rest[key] = raw
                issues.append(Issue(self._file(name), column.label, told.code, told.message, raw, severity=told.severity, line=number))  # fmt: skip
                continue
            line.values[column.field] = value
            self._notes(column, raw, text, value, name, number, issues)
        return line

    def _notes(
        self, column: Column, raw: str, text: str, value: Any, name: str, number: int, issues: list[Issue]
    ) -> None:
        """Liberties taken with one value."""
        code = ""
        if text not in (raw, raw.strip(), raw.replace("\r\n", "\n").strip()):
            code, message = "text.repaired", f"{column.label}中的转义或不可见字符已整理"
        elif column.kind == "date" and (remark := read_date(text)[1]):
            issues.append(Issue(self._file(name), column.label, remark, f"{column.label}“{text}”{DATE_REMARKS[remark]}", raw, digits(value), line=number))  # fmt: skip
        elif column.kind == "code":
            codes = codes_of(column.table)
            if text not in codes.values and text != value:
                code, message = "code.normalised", f"“{text}”按“{value}”登记"
        if code:
            issues.append(Issue(self._file(name), column.label, code, message, raw, str(value), "note", number))  # fmt: skip

    def _settle(self, name: str, line: Line, derived: Attributes) -> None:
        """Drop what only repeats; count what is left without a place, or says otherwise."""
        placed = {column.name for register in _registers(name) for column in PLACES[register]}
        for key, raw in list(line.rest.items()):
            text = raw.strip()
            if key in derived:
                if derived[key] and _LENIENT.get(key, {}).get(text.lower(), text) == derived[key]:
                    del line.rest[key]
                else:
                    self.differing[name, key] += 1
            elif key not in placed:
                self.unplaced[name, key] += 1

    # -- units

    def _units(self) -> None:
        for number, row in self.tables.rows.get("B01", ()):
            line = self._line("B01", "unit", number, row, self.form.issues)
            key = line.values.get("unit_id")
            if not key or key in self.names:
                self._problem("B01", "机构编号", "row.repeated", "这一行的 B0111 是空的，或前面已经有了，未采用", number, key or "")  # fmt: skip
                self._keep("B01", row)
                continue
            if line.values.get("parent") == NO_PARENT:
                del line.values["parent"]
            self.names[key] = str(line.values.get("name") or "")
            self.form.units.append(line)
        above = {line.values["unit_id"]: line.values.get("parent") for line in self.form.units}
        for line in self.form.units:
            parent = line.values.get("parent")
            if parent is not None and parent not in above:
                self._problem("B01", "上级机构", "unit.no_parent", "上级机构不在包里，按顶层机构读取", line.number, parent, "warning")  # fmt: skip
            elif _in_circle(line.values["unit_id"], above):
                self._problem("B01", "上级机构", "unit.circle", "上级机构绕成一圈，这一层未采用", line.number, str(parent))  # fmt: skip
            else:
                continue
            line.rest["B0121"] = str(line.values.pop("parent"))
            above[line.values["unit_id"]] = None
        for line in self.form.units:
            self._settle("B01", line, {})

    # -- people

    def _person(self, number: int, row: Attributes) -> None:
        key = row.get(KEY, "").strip()
        if not key or key in self.people:
            self._problem("A01", KEY, "row.repeated", "这一行的 A0000 是空的，或前面已经有了，未采用", number, key)  # fmt: skip
            self._keep("A01", row)
            return
        person = GenericPerson(key)
        line = self._line("A01", "person", number, row, person.issues)
        person.rows["person"].append(line)
        self._unit_of(line, "A01", "statistics_unit", "A0195", person.issues)
        self.people[key] = person
        self.form.people.append(person)

    def _unit_of(self, line: Line, name: str, field: str, column: str, issues: list[Issue]) -> None:
        """A unit that the package does not describe is not one; its key stays beside the line."""
        key = line.values.get(field)
        if key is not None and key not in self.names:
            line.rest[column] = str(line.values.pop(field))
            issues.append(Issue(self._file(name), "机构", "unit.unknown", "机构不在包里的 B01 中，机构留空", str(key), line=line.number))  # fmt: skip

    def _details(self, name: str) -> None:
        for number, row in self.tables.rows[name]:
            person = self.people.get(row.get(KEY, "").strip())
            if person is None:
                self._problem(name, KEY, "row.no_person", "这一行的 A0000 不在 A01 里，未采用", number, row.get(KEY, ""))  # fmt: skip
                self._keep(name, row)
                continue
            register = self._register(name, number, row, person)
            if not register:
                self._keep(name, row)
                continue
            line = self._line(name, register, number, row, person.issues)
            if register == "appointment":
                self._unit_of(line, name, "unit", "A0201B", person.issues)
            lines = person.rows[register]
            lines.append(line)
            if register == "education":
                self._education(line, person.issues)
            self._settle(name, line, _derived(register, line.values, len(lines), self.names))
            if register in ("appointment", "rank", LEVEL) and ended_unknown(register, line):
                person.issues.append(Issue(self._file(name), "免职时间", "appointment.no_end", "已不在任，又没有写何时为止，这一行未登记", severity="error", line=number))  # fmt: skip

    def _register(self, name: str, number: int, row: Attributes, person: GenericPerson) -> str:
        """The register of a row; empty for one that the record does not take from a file."""
        if name == "A05":
            code = row.get("A0501B", "").strip()
            known = {LEVEL: codes_of("post_level").canonical(code), "rank": codes_of("rank").canonical(code)}
            kind = {"0": LEVEL, "1": "rank"}.get(row.get("A0531", "").strip(), "")
            return kind if known.get(kind) else next((one for one, word in known.items() if word), kind or "rank")  # fmt: skip
        if name == "A14":
            codes = codes_of("award_or_sanction")
            told = codes.canonical(row.get("A1404B", "").strip())
            named = row.get("A1404A", "").strip()
            if told in codes.under("惩戒") or any(one.sanction for one in read_awards(named)[0]):
                person.issues.append(Issue(self._file(name), "奖惩名称", "award.sanction", "像是处分，不自动登记，请由监督部门核对录入", named or str(told), line=number))  # fmt: skip
                return ""
        return SETS[name]

    def _education(self, line: Line, issues: list[Issue]) -> None:
        """Where only the name of a level, or only the code of a degree, is given, it stands for both."""
        for one, column, label, table in (("level", "A0801A", "学历", "education_level"), ("degree", "A0901B", "学位", "degree")):  # fmt: skip
            if one in line.values or column not in line.rest:
                continue
            text = line.rest[column].strip()
            word = codes_of(table).canonical(text)
            told = (self._file("A08"), label)
            if word is None:
                issues.append(Issue(*told, "code.unknown", f"“{text}”不在代码表“{codes_of(table).label}”中，未采用", text, line=line.number))  # fmt: skip
                continue
            line.values[one] = word
            del line.rest[column]
            if word != text and text not in codes_of(table).values:
                issues.append(Issue(*told, "code.normalised", f"“{text}”按“{word}”登记", text, word, "note", line.number))  # fmt: skip

    def _foreign(self, name: str) -> None:
        rows = [row for _number, row in self.tables.rows[name] if any(value for value in row.values())]
        if rows:
            self.form.issues.append(Issue(self._file(name), titled(name), "table.no_place", f"{titled(name)} 有 {len(rows)} 行，档案中没有登记处，未采用", severity="note"))  # fmt: skip
            for row in rows:
                self._keep(name, row)

    def _photos(self) -> None:
        left = dict(self.tables.photos)
        for number, row in self.tables.rows.get("A57", ()):
            person = self.people.get(row.get(KEY, "").strip())
            named = row.get("A5714", "").replace("\\", "/").rpartition("/")[2].strip()
            tries = [named, f"{named}.jpg", f"{row.get(KEY, '').strip()}.jpg"]
            found = next((one.lower() for one in tries if one.lower() in left), None)
            if person is None or person.photo is not None or found is None:
                message = "这张照片不在包里" if person is not None and person.photo is None else "A0000 不在 A01 里，或已经有了照片"  # fmt: skip
                self._problem("A57", "照片", "photo.missing", f"{message}，未采用", number, named)
                self._keep("A57", row)
                continue
            person.photo = read_photo(left.pop(found), f"{self.name}/Photos/{found}", person.issues)
            for key, value in row.items():
                if key not in COLUMNS["A57"] and value.strip():
                    self.unplaced["A57", key] += 1
        for one in left:
            self.form.issues.append(Issue(f"{self.name}/Photos/{one}", "照片", "file.ignored", f"{one}：A57 没有提到这张照片，没有读取"))  # fmt: skip

    def _finish(self, person: GenericPerson) -> None:
        """What only A01 tells: present level and rank, the party by its text, grades and awards by their summaries."""
        line = person.line
        where = self._file("A01")
        for key, repeated in _person_derived(person).items():
            if repeated and line.rest.get(key) == repeated:
                del line.rest[key]
        for register, what, code, since in (
            (LEVEL, "level", "A0221", "A0288"),
            ("rank", "rank", "A0192E", "A0192C"),
        ):
            word = codes_of(LEVEL if register == LEVEL else "rank").canonical(line.rest.get(code, "").strip())
            if word is None or person.rows[register]:
                continue
            day = read_date(line.rest.get(since, ""))[0]
            person.rows[register].append(Line({what: word, **({"start_date": day} if day else {})}))
        told = AppointmentForm(name=str(line.values.get("name") or "-"))
        if "party_date" not in line.values:
            told.party_joining = line.rest.get("A0140", "").strip()
        told.assessments = "" if person.rows["assessment"] else trim(line.rest.get("A15Z101", ""), True)
        told.awards = "" if person.rows["award"] else trim(line.rest.get("A14Z101", ""), True)
        if told.party_joining or told.assessments or told.awards:
            rows, issues = form_to_rows(told, where)
            person.issues += issues
            for key in ("party_date", "political_status"):
                if key in rows["person"][0] and told.party_joining:
                    line.values.setdefault(key, rows["person"][0][key])
            for register in ("assessment", "award"):
                for row in rows[register]:
                    plain = {k: v for k, v in row.items() if k not in (f"{register}_id", "person") and v not in (None, "")}  # fmt: skip
                    person.rows[register].append(Line(plain))
        self._settle("A01", line, _person_derived(person))
        if not line.values.get("name"):
            person.issues.append(Issue(where, "姓名", "person.no_name", "这一行没有姓名，未采用", severity="error", line=line.number))  # fmt: skip

    # -- the package

    def _header(self) -> None:
        derived = _header_derived(len(self.form.people), self.form.units)
        for key, value in self.tables.header.items():
            if key == "psncount" and value.strip() not in ("", derived["psncount"]):
                message = f"包的说明写有 {value} 人，A01 里有 {derived['psncount']} 人"
                self.form.issues.append(Issue(self.name, "psncount", "package.count", message, value, derived["psncount"]))  # fmt: skip
            if value and value != derived.get(key):
                self.form.header[key] = value

    def _remarks(self) -> None:
        for (name, key), count in self.unplaced.items():
            self.form.issues.append(Issue(self._file(name), titled(key), "column.no_place", f"档案中没有登记处，“{titled(key)}”这一栏 {count} 行未采用", severity="note"))  # fmt: skip
        for (name, key), count in self.differing.items():
            self.form.issues.append(Issue(self._file(name), titled(key), "column.differs", f"“{titled(key)}”这一栏 {count} 行与从其他各栏得出的不同，按其他各栏采用", severity="note"))  # fmt: skip

    def _problem(
        self, name: str, label: str, code: str, message: str, number: int, raw: str, severity: str = "error"
    ) -> None:
        self.form.issues.append(Issue(self._file(name), label, code, message, raw, severity=severity, line=number))  # fmt: skip


def ended_unknown(register: str, line: Line) -> bool:
    """Whether a line says that it holds no more, and not since when: it would count as holding today."""
    state = line.rest.get("A0255" if register == "appointment" else "A0524", "").strip().lower()
    return state in ("0", "false") and not line.values.get("end_date")


def _in_circle(key: str, above: Mapping[str, Any]) -> bool:
    at, seen = above.get(key), set()
    while at is not None and at not in seen:
        if at == key:
            return True
        seen.add(at)
        at = above.get(at)
    return False


def _registers(name: str) -> tuple[str, ...]:
    return ("rank", LEVEL) if name == "A05" else (SETS[name],) if name in SETS else ()


def _header_derived(people: int, units: Sequence[Line]) -> Attributes:
    """What the header repeats: kind and version of the form, how many people, and the unit above all others."""
    top = [line for line in units if not line.values.get("parent") and not line.rest.get("B0121")]
    columns = {column.name: column for column in PLACES["unit"]}
    about = {key: as_text(columns[key], top[0].values.get(columns[key].field)) if len(top) == 1 else "" for key in ("B0101", "B0111", "B0114")}  # fmt: skip
    nature = top[0].rest.get("B0194", "") if len(top) == 1 else ""
    return {"type": TYPE, "dataversion": DATA_VERSION, "psncount": str(people), **about, "B0194": nature}


# -- writing ------------------------------------------------------------------------------------------------------


def write_generic(form: GenericForm, stream: IO[bytes]) -> None:
    """Write a package (写出通用格式); the same content gives the same bytes."""
    names = {str(line.values["unit_id"]): str(line.values.get("name") or "") for line in form.units}
    with GenericWriter(stream, names) as out:
        for person in form.people:
            out.add(person)
        out.finish(form.units, form.header, form.foreign)


class GenericWriter:
    """Writes a package person by person (逐人写出), so that a large one need never be whole in memory.

    `names` are those of the units, by key. Use as a context manager; the package is complete after `finish`.
    """

    def __init__(self, stream: IO[bytes], names: Mapping[str, str]) -> None:
        self._out, self._names, self.people = TableWriter(stream), names, 0

    def __enter__(self) -> GenericWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._out.__exit__(*error)

    def add(self, person: GenericPerson) -> None:
        """One person."""
        self.people += 1
        self._write("A01", "person", person.key, person.line, _person_derived(person))
        for register in REGISTERS[1:]:
            name = "A05" if register == LEVEL else next(one for one, of in SETS.items() if of == register)
            for at, line in enumerate(person.rows[register], 1):
                self._write(
                    name, register, person.key, line, _derived(register, line.values, at, self._names)
                )
        if person.photo:
            suffix = {"png": "png", "bmp": "bmp"}.get(photo_type(person.photo), "jpg")
            photo = self._out.photo(person.key, suffix, person.photo)
            self._out.row("A57", {KEY: person.key, "A5714": photo})

    def _write(self, name: str, register: str, key: str, line: Line, derived: Attributes) -> None:
        row = dict.fromkeys(COLUMNS[name], "")
        if key:
            row[KEY] = key
        row |= derived
        row |= {column.name: as_text(column, line.values.get(column.field)) for column in PLACES[register]}
        if register == "unit" and not line.values.get("parent"):
            row["B0121"] = NO_PARENT
        self._out.row(name, row | line.rest)

    def finish(
        self, units: Sequence[Line], header: Attributes | None = None, foreign: Mapping[str, Iterable[Attributes]] | None = None
    ) -> None:  # fmt: skip
        """The units, what has no place with us, and the header."""
        for line in units:
            self._write("B01", "unit", "", line, {})
        for name, rows in (foreign or {}).items():
            for row in rows:
                self._out.row(name, {**dict.fromkeys(COLUMNS.get(name, ()), ""), **row})
        told = {"type": TYPE, "time": "", **_header_derived(self.people, units), "contact": "", "tel": "", "notes": ""}  # fmt: skip
        self._out.finish({**told, **(header or {})}, COLUMNS)
