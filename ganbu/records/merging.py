"""Laying rows over the record (并入档案): what is new is added, what differs is reported, and nothing is overwritten.

A row that changes is closed (`superseded_at`) and a new one with the same identity begins (`recorded_at`), so that the
record as it was known before the import can still be replayed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ganbu.engine.records import Records
from ganbu.formats.issues import Issue
from ganbu.formats.text import name_key
from ganbu.vocabulary import Register

Row = dict[str, Any]
META = ("recorded_at", "superseded_at", "source", "evidence")


def meta_of(register: Register) -> tuple[str, ...]:
    """What a row has beside the fields of its register; some registers have a field 来源 or 佐证 of their own."""
    return tuple(name for name in META if name not in register.fields)


# Texts of a form that tell of now: the latest form is right by definition.
LATEST = ("resume", "current_post_text", "proposed_post_text", "removed_post_text")


@dataclass(frozen=True)
class Difference:
    """A field that a file tells otherwise than the record (不同之处); `taken` when the file's value was registered."""

    file: str
    register: str
    identity: str
    field: str
    old: Any
    new: Any
    taken: bool

    @property
    def key(self) -> str:
        """Which difference it is, for a choice."""
        return f"{self.register}|{self.identity}|{self.field}"


@dataclass
class Merge:
    """The record with an import laid over it; `chosen` are the keys of differences where the file is right."""

    records: Records
    moment: datetime
    prefer_new: bool = False
    chosen: frozenset[str] = frozenset()
    differences: list[Difference] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    touched: set[str] = field(default_factory=set)
    issues: list[Issue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vocabulary = self.records.vocabulary
        self.current: dict[str, dict[str, Row]] = {}
        self.closed: dict[str, list[Row]] = defaultdict(list)
        for name in self.records.tables:
            identity = self.vocabulary.registers[name].id_field
            table = self.current.setdefault(name, {})
            for row in self.records.rows(name):
                if row.get("superseded_at") is not None:
                    self.closed[name].append(row)
                else:
                    table[str(row[identity])] = row
        self._of_person: dict[str, dict[str, list[str]]] = {}

    def table(self, name: str) -> dict[str, Row]:
        """The rows of a register that hold now, by identity."""
        return self.current.setdefault(name, {})

    def of_person(self, name: str, person: str) -> list[Row]:
        """The rows of a register about one person."""
        if name not in self._of_person:
            index: dict[str, list[str]] = defaultdict(list)
            for key, row in self.table(name).items():
                index[str(row.get("person"))].append(key)
            self._of_person[name] = index
        return [self.table(name)[key] for key in self._of_person[name].get(person, ())]

    def add(self, register: Register, row: Row, source: str) -> None:
        """Add a row; it is known from this moment on."""
        key = str(row[register.id_field])
        self.table(register.name)[key] = {**row, **self._known(register, source)}
        if register.name in self._of_person:
            self._of_person[register.name].setdefault(str(row.get("person")), []).append(key)
        self.rows[register.name] += 1
        self.touched.add(register.name)

    def change(self, register: Register, key: str, changes: Row, source: str) -> None:
        """Close a row and begin its successor."""
        old = self.table(register.name)[key]
        left_out = meta_of(register)
        fresh = {k: v for k, v in {**old, **changes}.items() if k not in left_out}
        if old.get("recorded_at") != self.moment:
            self.closed[register.name].append({**old, "superseded_at": self.moment})
        self.table(register.name)[key] = {**fresh, **self._known(register, source)}
        self.touched.add(register.name)

    def _known(self, register: Register, source: str) -> Row:
        """Since when a row is known, and from where."""
        since: Row = {"recorded_at": self.moment}
        return since if "source" in register.fields else {**since, "source": source}

    def lay(self, register: Register, key: str, row: Row, file: str, source: str) -> bool:
        """Lay a row over the one of the same identity: gaps are filled, differences reported; whether it changed."""
        old = self.table(register.name)[key]
        changes: Row = {}
        left_out = (register.id_field, *meta_of(register))
        for name, value in row.items():
            if name in left_out or value in (None, "") or same(old.get(name), value):
                continue
            if _only_spelt_otherwise(register.name, name, old.get(name), value):
                continue
            if old.get(name) in (None, "") or name in LATEST:
                changes[name] = value
                continue
            label = register.fields[name].label
            if (element := register.fields[name].element) and element in self.determined(key):
                self.issues.append(Issue(file, label, "person.determined", f"档案已认定{label}为 {old[name]}，文件所填不予登记", str(value), str(old[name])))  # fmt: skip
                continue
            wins = self.prefer_new or f"{register.name}|{key}|{name}" in self.chosen
            self.differences.append(Difference(file, register.name, key, name, old[name], value, wins))
            taken = "已按新值登记，原值存于历史" if wins else "保留原值"
            self.issues.append(
                Issue(file, label, f"{register.name}.differs", f"{register.label} {key} 与原记录不同：原为“{old[name]}”，{taken}", str(old[name]), str(value))
            )  # fmt: skip
            if wins:
                changes[name] = value
        if changes:
            self.change(register, key, changes, source)
        return bool(changes)

    def determined(self, person: str) -> frozenset[str]:
        """The elements that the file of a person has settled (已认定): no import changes their fields."""
        rows = self.of_person("file_element", person)
        return frozenset(str(row.get("element")) for row in rows if row.get("result") == "已认定")

    def tables(self) -> Records:
        """The tables that changed, history included."""
        found = {
            name: [*self.closed.get(name, []), *self.table(name).values()] for name in sorted(self.touched)
        }
        return Records.from_rows(found, self.vocabulary)


def same(old: Any, new: Any) -> bool:
    """Whether a value says nothing else than the one on record; a month says nothing against a day in it."""
    if old is None:
        return False
    one, two = str(old), str(new)
    return one == two or (hasattr(new, "precision") and one.startswith(two))


def _only_spelt_otherwise(register: str, field: str, old: Any, new: Any) -> bool:
    """A name with blanks in it, or a school with the major behind it as forms write it, differs in nothing."""
    if field == "name":
        return name_key(str(old or "")) == name_key(str(new))
    return (register, field) == ("education", "school") and bool(old) and str(new).startswith(str(old))


def fresh_id(stem: str, taken: Container[str]) -> str:
    """The first numbered identity that is free."""
    number = 1
    while f"{stem}{number}" in taken:
        number += 1
    return f"{stem}{number}"


# -- what a form tells of a person beside themselves -----------------------------------------------------------


def _start(row: Row) -> str:
    return str(row.get("start_date") or "")[:7]


KEYS: dict[str, Callable[[Row], str]] = {
    "appointment": _start,
    "rank": lambda row: str(row.get("rank")),
    "education": lambda row: f"{row.get('mode')}|{row.get('level')}",
    "assessment": lambda row: str(row.get("year")),
    "award": lambda row: f"{str(row.get('date') or '')[:7]}|{_letters(row.get('name'))}",
    "family": lambda row: name_key(str(row.get("name") or "")) or str(row.get("relation")),
}


def _letters(value: Any) -> str:
    return "".join(str(value or "").split()).removeprefix("记")


# What tells two rows of one key apart that a file has both of.
ALIKE = {"appointment": ("unit", "title"), "education": ("school", "degree")}


def _agree(held: Row, item: Row, fields: Iterable[str]) -> bool:
    return all(held.get(name) == item.get(name) for name in fields)


def _closest_first(
    table: dict[str, Row], items: Iterable[Row], known: dict[str, list[str]], told: Callable[[Row], str], alike: Iterable[str]
) -> list[Row]:  # fmt: skip
    """The rows of a file, those that the record has as they stand before the others."""
    return sorted(items, key=lambda item: not any(_agree(table[key], item, alike) for key in known.get(told(item), ()))) if alike else list(items)  # fmt: skip


def merge_details(merge: Merge, key: str, rows: dict[str, list[Row]], file: str) -> bool:
    """The posts, studies, grades, awards and family of a form, laid over those on record; whether anything changed.

    Posts are told apart by the month they began, grades by year, relatives by name: what the record has, with more than
    a form can hold, stays; what it lacks is added.
    """
    changed = False
    for name, told in KEYS.items():
        register = merge.vocabulary.registers[name]
        held = merge.of_person(name, key)
        # A month that only the year is known of could be any post of that year: it stays with what is there.
        known: dict[str, list[str]] = defaultdict(list)
        for row in held:
            known[told(row)].append(str(row[register.id_field]))
        had = bool(held)
        alike = ALIKE.get(name, ())
        taken: set[str] = set()
        for item in _closest_first(merge.table(name), rows.get(name, ()), known, told, alike):
            fits = known.get(told(item), [])
            if alike:
                # Two posts of one month, two degrees of one level: no row of a file is laid over another of it.
                same_one = [one for one in fits if _agree(merge.table(name)[one], item, alike)]
                fits = same_one[:1] or [one for one in fits if one not in taken]
            if len(fits) == 1:
                taken.add(fits[0])
                only = {k: v for k, v in item.items() if k not in ("unit", "title", "main", "nature")}
                changed |= merge.lay(register, fits[0], only if name == "appointment" else item, file, file)
            elif not fits:
                item = dict(item)
                stem = f"{key}-{name[0].upper()}"
                item[register.id_field] = fresh_id(stem, merge.table(name))
                merge.add(register, item, file)
                known[told(item)].append(item[register.id_field])
                taken.add(item[register.id_field])
                changed = True
                if had and name in ("appointment", "education", "family"):
                    what = "，".join(
                        f"{register.fields[k].label} {v}"
                        for k, v in item.items()
                        if k in ("start_date", "title", "mode", "level", "relation")
                        and not register.fields[k].sealed
                    )
                    merge.issues.append(Issue(file, register.label, f"{name}.added", f"原记录没有，已补入：{what}", severity="note"))  # fmt: skip
    return changed
