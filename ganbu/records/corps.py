"""The whole corps ready for the engine (队伍快照): a register is read when first asked for and again once a change touched it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from ganbu.engine.kernel.shelf import Shelf
from ganbu.engine.mapped import worthwhile
from ganbu.engine.records import Records
from ganbu.engine.run import Store
from ganbu.engine.select import select
from ganbu.errors import RecordsError
from ganbu.records.kept import Kept, columns_folder, keep, kept
from ganbu.records.local import adopted, vocabulary
from ganbu.records.models import Change
from ganbu.records.snapshot import numbered, opened, since, snapshot
from ganbu.vocabulary import Register, Vocabulary

_lock = threading.RLock()
Told = Mapping[int, tuple[str, Mapping[str, int]]]
FEW = 50  # changes that a file may be behind before it is written again
_WINDOW = 200  # changes looked at again: one with a lower number may be committed later


class Tables(MutableMapping[str, Any]):
    """The tables of the record by register, each read when first asked for; those without a row are not there.

    Of a table that was read before, by this process or by another that left it on disk, only what changed since is
    read (增量快照). `told` are the last changes: their digests, and how many rows of which registers they wrote.
    """

    def __init__(self, words: Vocabulary, history: bool = False, told: Told | None = None) -> None:
        self.words, self.history, self.told = words, history, told or {}
        self.read: dict[str, Any] = {}  # None: read, and without a row
        self.numbers: dict[str, Any] = {}
        self.marks: dict[str, str] = {}  # of large tables: what they were made of
        self.stale: dict[str, Kept] = {}

    def go_on(self, before: Tables, touched: Mapping[str, list[int]]) -> None:
        """Take over what another has read; of what changes touched, as it was with these changes to be read."""
        self.read = {name: table for name, table in before.read.items() if name not in touched}
        self.numbers = {name: numbers for name, numbers in before.numbers.items() if name in self.read}
        self.marks = {name: mark for name, mark in before.marks.items() if name in self.read}
        for name, stale in before.stale.items():
            self.stale[name] = replace(stale, changes=[*stale.changes, *touched.get(name, ())])
        for name in touched.keys() & before.numbers.keys():
            mark = before.marks.get(name, "")
            self.stale[name] = Kept(before.read[name], before.numbers[name], mark, touched[name])
        self.stale = {name: stale for name, stale in self.stale.items() if len(stale.changes) <= _WINDOW}

    def _table(self, name: str) -> Any:
        register = self.words.registers[name]
        if register.local or self.history:
            return snapshot((name,), None, self.history, self.words, sealed=False).tables.get(name)
        stale = self.stale.pop(name, None)
        outside = kept(register, self.told) if stale is None else None
        stale = stale or outside
        table, numbers = numbered(register) if stale is None else _brought_up(register, stale)
        seen = {pk: digest for pk, (digest, _rows) in self.told.items()}
        settled = all(seen.values())  # else a change is being written, and may yet be given up
        mark = self._mark_after(stale) if stale is not None and settled else ""
        if settled and (stale is None or (outside is not None and len(outside.changes) > FEW)):
            mark = keep(register, table, numbers, seen)
        self.numbers[name], self.marks[name] = numbers, mark
        return table if table.num_rows else None

    def _mark_after(self, stale: Kept) -> str:
        """The mark of a table after the changes that it has not seen yet; empty where it has none."""
        if not stale.mark or not stale.changes:
            return stale.mark
        if not self.told.keys() >= set(stale.changes):
            return ""
        mark = stale.mark
        for pk in sorted(stale.changes):  # one by one, as they come to others too
            mark = hashlib.blake2b(f"{mark} {self.told[pk][0]}".encode()).hexdigest()
        return mark

    def mark(self, name: str) -> str:
        """What tells the rows of a register from any others it may have; empty where nothing does."""
        if self.history:
            return ""
        table = self.get(name)
        if table is None:
            return "-"
        told = hashlib.blake2b(self.words.registers[name].shape.encode())
        if self.marks.get(name):
            told.update(self.marks[name].encode())
            told.update(np.ascontiguousarray(self.numbers[name]).data)
        elif not worthwhile(table.num_rows):
            written = pa.BufferOutputStream()
            with pa.ipc.new_stream(written, table.schema) as writer:
                writer.write_table(table)
            told.update(written.getvalue())
        else:
            return ""
        return told.hexdigest()

    def __getitem__(self, name: str) -> Any:
        if name not in self.words.registers:
            raise KeyError(name)
        if name not in self.read:
            self.read[name] = self._table(name)
        if self.read[name] is None:
            raise KeyError(name)
        return self.read[name]

    def __setitem__(self, name: str, table: Any) -> None:
        self.read[name] = table

    def __delitem__(self, name: str) -> None:
        self.read[name] = None

    def __iter__(self) -> Iterator[str]:
        return (name for name in self.words.registers if name in self)

    def __len__(self) -> int:
        return sum(1 for _name in self)

    def opened(self, register: str, field: str) -> Any:
        """A sealed column of a table, opened. Raises RecordsError when the record has changed since it was read."""
        ids, column = opened(self.words.registers[register], field)
        if not ids.equals(self[register][self.words.registers[register].id_field].combine_chunks()):
            raise RecordsError("档案刚有变更，请重试")
        return column


def _brought_up(register: Register, stale: Kept) -> tuple[Any, Any]:
    """A table with what changes did to it since, in the order of the record."""
    if not stale.changes:
        return stale.table, stale.numbers
    table, numbers, ended = since(register, stale.changes)
    if stale.table is None:
        return table, numbers
    still = ~np.isin(stale.numbers, np.concatenate([numbers, ended]))
    before = stale.table if still.all() else stale.table.filter(pa.array(still))
    if not len(numbers):
        return before, stale.numbers[still]
    both = pa.concat_tables([before, table], promote_options="default").combine_chunks()
    told = np.concatenate([stale.numbers[still], numbers])
    if len(told) > len(numbers) and numbers.min() < stale.numbers[still].max():
        order = np.argsort(told, kind="stable")
        return both.take(pa.array(order)), told[order]
    return both, told


@dataclass
class _Held:
    """What this process holds of the record: which changes it has seen, and the tables and columns made so far."""

    adopted: tuple[str, ...]
    seen: dict[int, str]  # the last changes, by number, with their digests
    store: Store


_held: list[_Held] = []


@contextmanager
def reading() -> Iterator[Store]:
    """The record as it is now, read and prepared as far as it is asked for; kept where no change has touched it.

    One thread at a time: what a run prepares is kept for the next.
    """
    with _lock:
        yield _store()


def _store() -> Store:
    names = tuple(adopted())
    held = _held[0] if _held and _held[0].adopted == names else None
    recent = Change.objects.order_by("-pk").values_list("pk", "digest", "rows")[:_WINDOW]
    told = {pk: (digest, rows) for pk, digest, rows in recent}
    fresh = [pk for pk, (digest, _rows) in told.items() if held is None or held.seen.get(pk) != digest]
    gone = [pk for pk in held.seen if pk not in told and pk > min(told, default=0)] if held else []
    if held is not None and not fresh and not gone:
        return held.store
    # What was seen of a change that was given up, or of a record that was put back, is seen no more.
    other = held is not None and any(held.seen.get(pk) not in (None, told[pk][0]) for pk in fresh)
    if len(fresh) == len(told) or gone or other:
        held = None  # nothing to go on with
    touched: dict[str, list[int]] = {}
    for pk in fresh:
        for name in {name.rstrip("-") for name in told[pk][1]}:
            touched.setdefault(name, []).append(pk)
    words = vocabulary()
    tables = Tables(words, told=told)
    made = Store(Records(tables, words, later=tables.opened), Shelf(columns_folder(), cache(tables.mark)))
    if held is not None:
        before = held.store.records.tables
        assert isinstance(before, Tables)
        tables.go_on(before, touched)
        made.prepared.keep(held.store.prepared, touched)
    _held[:] = [_Held(names, {pk: digest for pk, (digest, _rows) in told.items()}, made)]
    return made


def people_where(condition: str, day: date, moment: datetime | None = None) -> list[str]:
    """The people for whom a condition of the rule language is true on a day, by what was known at a moment. Raises PackError.

    What is known now is kept ready; what was known before is read anew, as far as the condition asks for it.
    """
    if moment is not None:
        words = vocabulary()
        return select(
            Store(Records(Tables(words, history=True), words)), condition, day, words, moment.isoformat(" ")
        )
    with reading() as store:
        return select(store, condition, day, vocabulary())
