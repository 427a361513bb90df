"""What would be (沙盘): hypothetical appointments, departures, parameters, and how the findings would differ.

A sandbox evaluates a pack once; each question after that computes only what follows from the rows laid over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganbu.engine.evaluator import Evaluator, Judged
from ganbu.engine.kernel.computed import KernelComputed
from ganbu.engine.kernel.delta import Delta, read_widely
from ganbu.engine.kernel.overlay import Overlaid, Patch
from ganbu.engine.kernel.seats import union
from ganbu.engine.policy import Pack
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate
from ganbu.engine.simulate import keyed
from ganbu.engine.source import read_file
from ganbu.engine.tree import Node
from ganbu.errors import RecordsError, nearest
from ganbu.vocabulary import Register, Vocabulary

Rows = Mapping[str, Any]
COMPOSITIONS = ("composition", "quota", "index", "coverage")


@dataclass(frozen=True)
class Overlay:
    """Hypothetical rows by register (假设): rows to add, fields to change by identity, identities to leave out, parameters by policy."""

    add: Mapping[str, list[Rows]] = field(default_factory=dict)
    change: Mapping[str, Mapping[str, Rows]] = field(default_factory=dict)
    drop: Mapping[str, Iterable[str]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Overlay:
        """An overlay as written in a file: `add`, `change`, `drop`, `parameters`. Raises RecordsError and PackError."""
        parts = read_file(path)
        if len(parts) != 1 or set(parts[0]) - set(cls.__dataclass_fields__):
            raise RecordsError(f"{path}：假设里只能有 {'、'.join(cls.__dataclass_fields__)}")
        return cls(**parts[0])


class Difference(NamedTuple):
    """A finding that would be another (变化): what it is, and what it would be; None where there is none."""

    policy: str
    kind: str
    key: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def subject(self) -> str:
        """Whom or what it is about."""
        return str((self.after or self.before or {})["对象"])

    @property
    def name(self) -> str:
        """What that is called."""
        return str((self.after or self.before or {})["名称"])


@dataclass(frozen=True)
class Answer:
    """What would be (推演结果): every finding that differs, in the order of the policies."""

    differences: list[Difference]
    run: Run

    @property
    def compositions(self) -> list[Difference]:
        """Those about the make-up of teams, units and groups (结构变化)."""
        return [one for one in self.differences if one.kind in COMPOSITIONS]

    def of(self, subject: str) -> list[Difference]:
        """Those about one subject."""
        return [one for one in self.differences if one.subject == subject]


class Sandbox:
    """A pack evaluated over records (沙盘), ready for any number of hypothetical questions."""

    def __init__(
        self,
        pack: Pack,
        records: Records | Store,
        as_of: date,
        policies: Iterable[str] | None = None,
        known_at: str = "",
    ) -> None:
        self.pack, self.store, self.as_of, self.known_at = pack, records if isinstance(records, Store) else Store(records), as_of, known_at  # fmt: skip
        self.run = evaluate(pack, self.store, as_of, policies, known_at)
        assert isinstance(self.run.computed, KernelComputed)
        self.computed = self.run.computed
        self.kernel = self.computed.kernel
        self._seats: dict[str, Any] = {}

    def ask(self, overlay: Overlay, near: bool = False) -> Answer:
        """How the findings would differ. Raises RecordsError for rows that cannot be, PackError for parameters.

        With `near` only the findings about those are told whom the hypothetical rows are about, and the units and teams
        they name; the places of everybody else may have moved too. Other parameters make other rules, which are
        evaluated for everybody.
        """
        patches = self._patches(overlay)
        if overlay.parameters:
            for policy, values in _mapped("parameters", overlay.parameters).items():
                _mapped("parameters", values)
                if policy not in self.pack.reach:
                    raise RecordsError(f"假设：没有规则“{policy}”。{nearest(str(policy), self.pack.reach)}")
            store = Store(self.store.records)
            store.prepared = Overlaid.over(self.store.prepared, patches)
            other = evaluate(self.pack, store, self.as_of, self.run.names, self.known_at, overlay.parameters)
            return Answer(self._compared(other, None), other)
        delta = Delta(self.kernel, Overlaid.over(self.store.prepared, patches), self._wide if near else None)
        computed = KernelComputed.of(delta, self.computed.wanted)
        other = Run(self.store, self.run.evaluator, self.run.names, computed, self.as_of, self.known_at)
        return Answer(self._compared(other, delta), other)

    @cached_property
    def _wide(self) -> frozenset[tuple[str, Node]]:
        """The facts that are read beyond the row they are about; groups and effects are told of as wholes."""
        parts: tuple[list[tuple[str, Node]], list[tuple[str, Node]]] = ([], [])
        for policy in self.run.names:
            judged = self.run.evaluator.judge(policy)
            whole = judged.lowered.layout != "subject"
            parts[whole].extend((judged.shown_register, node) for node in self.run.evaluator.columns(judged).values())  # fmt: skip
        return read_widely(self.kernel.program, self.kernel.virtual, *parts)

    def _compared(self, other: Run, delta: Delta | None) -> list[Difference]:
        found = []
        for policy in self.run.names:
            judged = self.run.evaluator.judge(policy)
            if delta is not None and self.run.evaluator.reads(policy).isdisjoint(delta.overlaid.patches):
                continue
            here, past = (None, None) if delta is None else _touched(delta, self.run.evaluator, judged)
            if here is not None and past is not None and not len(here) and not len(past):
                continue
            layout = judged.lowered.layout
            before, after = keyed(self.run.rows(policy, past), layout), keyed(other.rows(policy, here), layout)  # fmt: skip
            for key in dict.fromkeys([*before, *after]):
                was, now = before.get(key), after.get(key)
                if was != now:
                    found.append(Difference(policy, judged.policy.kind, key, was, now))
        return found

    # -- rows --------------------------------------------------------------------------------------------------

    def _patches(self, overlay: Overlay) -> dict[str, Patch]:
        words, found = self.store.records.vocabulary, {}
        add, change, drop = (
            _checked(words, part, getattr(overlay, part)) for part in ("add", "change", "drop")
        )
        for name in dict.fromkeys([*change, *add, *drop]):
            register = words.registers[name]
            changes, added = change.get(name, {}), self._added(register, add.get(name, []))
            fields: dict[str, list[int]] = {}
            for at, (identity, values) in enumerate(changes.items()):
                if register.id_field in values:
                    raise RecordsError(
                        f"假设：{register.label} {identity} 的编号不能改，请写成 drop 一行、add 一行"
                    )
                for item in values:
                    fields.setdefault(item, []).append(at)
            plain = [{register.id_field: key, **values} for key, values in changes.items()] + added
            table = Records.from_rows({name: plain}, words, "假设").tables[name]
            found[name] = Patch(
                table, self._rows(register, list(changes)), {item: np.array(at, np.int64) for item, at in fields.items()},
                self._rows(register, drop.get(name, [])),
            )  # fmt: skip
        return found

    def _added(self, register: Register, rows: list[Rows]) -> list[dict[str, Any]]:
        """Rows to add, each with an identity that no other row has."""
        found = [{register.id_field: f"假设{at}", **row} for at, row in enumerate(rows, 1)]
        seen: set[str] = set()
        for row in found:
            identity = str(row[register.id_field])
            if identity in seen or self._where(register, identity) is not None:
                raise RecordsError(
                    f"假设：{register.label}里已有编号为“{identity}”的记录，改它请写在 change 里"
                )
            seen.add(identity)
        return found

    def _rows(self, register: Register, identities: list[str]) -> Any:
        """The rows of some identities, of those that are known. Raises RecordsError for one that is not there."""
        found = np.zeros(len(identities), np.int64)
        for at, identity in enumerate(identities):
            row = self._where(register, identity)
            if row is None:
                raise RecordsError(f"假设：{register.label}里没有编号为“{identity}”的记录")
            found[at] = row
        return found

    def _where(self, register: Register, identity: str) -> int | None:
        """The known row with an identity."""
        prepared = self.kernel.prepared
        if register.name not in self._seats:
            ids, seen = prepared.column(register, register.id_field), prepared.recorded(register, self.kernel.known_at)  # fmt: skip
            rows = np.flatnonzero(ids.known & (np.ones(len(ids.v), bool) if seen is None else seen))
            seats = self._seats[register.name] = np.full(len(prepared.pool.texts), -1, np.int32)
            seats[ids.v[rows]] = rows
        seats, number = self._seats[register.name], prepared.pool.known(str(identity))
        row = int(seats[number]) if number is not None and number < len(seats) else -1
        return row if row >= 0 else None


# How each part of an overlay is written.
SHAPES = {
    "add": "登记表: [{字段: 值}]", "change": "登记表: {编号: {字段: 值}}", "drop": "登记表: [编号]", "parameters": "规则: {参数: 值}",
}  # fmt: skip


def _checked(words: Vocabulary, part: str, told: Any) -> dict[str, Any]:
    """A part of an overlay by the names of registers and fields. Raises RecordsError that says how it is written."""
    found: dict[str, Any] = {}
    for name, rows in _mapped(part, told).items():
        register = words.find(str(name))
        if register is None:
            raise RecordsError(f"假设：没有登记表“{name}”。{nearest(str(name), words.registers)}")
        if part == "change":
            found[register.name] = {str(key): _named(register, part, row) for key, row in _mapped(part, rows).items()}  # fmt: skip
        elif isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
            raise _miswritten(part)
        else:
            found[register.name] = [_named(register, part, row) if part == "add" else str(row) for row in rows]  # fmt: skip
    return found


def _mapped(part: str, told: Any) -> Mapping[Any, Any]:
    if not isinstance(told, Mapping):
        raise _miswritten(part)
    return told


def _named(register: Register, part: str, row: Any) -> dict[str, Any]:
    """A row by the names of its fields; one that is not a field stays, and is told of with those there are."""
    names = {item.label: item.name for item in register.fields.values()}
    return {names.get(str(key), str(key)): value for key, value in _mapped(part, row).items()}


def _miswritten(part: str) -> RecordsError:
    return RecordsError(f"假设：{part} 应写作 {SHAPES[part]}")


def _touched(delta: Delta, evaluator: Evaluator, judged: Judged) -> tuple[Any, Any]:
    """The rows, now and in the base, of which a policy may say another thing; of groups, whole ones."""
    register, nodes = judged.shown_register, evaluator.columns(judged)
    if judged.lowered.layout == "subject":
        return delta.told_otherwise(register, (*nodes.values(), judged.inside))
    rows = union(*(delta.node_changed(register, node) for node in nodes.values()))
    if judged.lowered.layout == "groups":
        if not len(rows) and not len(delta.gone(register)):
            return rows, rows
        return delta.members(register, tuple(node for _label, node in judged.lowered.groups), rows)
    past = union(delta.before(register, rows), delta.gone(register))
    return _of_the_same(delta, register, rows, past)


def _of_the_same(delta: Delta, register: str, rows: Any, past: Any) -> tuple[Any, Any]:
    """All effects, now and in the base, on those whom some effects are on."""
    columns = [kernel.view(register).column("对象") for kernel in (delta, delta.base)]
    now, old = (np.where(column.known, column.v, -1) for column in columns)
    whom = np.concatenate([now[rows], old[past]])
    return np.flatnonzero(np.isin(now, whom)), np.flatnonzero(np.isin(old, whom))


__all__ = ["Answer", "Difference", "Overlay", "Sandbox"]
