"""The prepared snapshot (预备快照): each register as numpy columns, references as row numbers, made when first needed.

Rows stand by the row they are about, those of one subject as they were entered, so that what is summed for somebody
lies side by side; row numbers are those of this order. Preparation is kept for all runs over the same records; what
depends on the day stands in `View`.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ganbu.engine.kernel.columns import Array, Col, integers, narrow
from ganbu.engine.kernel.pool import NUMBER, Pool
from ganbu.engine.kernel.shelf import Shelf, plain
from ganbu.engine.mapped import worthwhile
from ganbu.engine.records import PRECISION, Records
from ganbu.vocabulary import Field, Register

NOWHERE, MONTHLY = -1, 1


def _array(column: Any) -> Any:
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column


def _places(order: Array) -> Array:
    """For each row of the record its place in an order; one more at the end, so that -1 leads to -1."""
    found = np.full(len(order) + 1, NOWHERE, NUMBER)
    found[order] = np.arange(len(order))
    return found


@dataclass
class Prepared:
    """Records as columns, prepared piece by piece; with `as_entered` rows keep the order of the record."""

    records: Records
    pool: Pool = field(default_factory=Pool)
    as_entered: bool = False
    shelf: Shelf | None = None
    _columns: dict[tuple[str, str], Col] = field(default_factory=dict)
    _links: dict[tuple[str, str, str], Array] = field(default_factory=dict)
    _orders: dict[str, Array] = field(default_factory=dict)
    _owners: dict[tuple[str, str, str], Array] = field(default_factory=dict)
    _standings: dict[str, tuple[Array | None, bytes]] = field(default_factory=dict)
    # References that were followed for a standing, until they are asked for.
    _named: dict[tuple[str, str, str], Array] = field(default_factory=dict)

    def keep(self, other: Prepared, touched: Container[str]) -> None:
        """Take over what another has prepared of registers that are as they were."""
        self.pool = other.pool
        self._columns |= {k: v for k, v in other._columns.items() if k[0] not in touched}
        self._links |= {k: v for k, v in other._links.items() if k[0] not in touched and k[2] not in touched}
        self._owners |= {
            k: v for k, v in other._owners.items() if k[0] not in touched and k[2] not in touched
        }
        self._orders |= {k: v for k, v in other._orders.items() if k not in touched}
        self._standings |= {k: v for k, v in other._standings.items() if k not in touched}

    def loaded(self, register: str) -> bool:
        """Whether a register was handed in at all."""
        return register in self.records.tables

    def standing(self, register: Register) -> Array | None:
        """For each row its row in the record; None when they stand as they were entered."""
        name = register.name
        if name not in self._standings:
            own, found, rests = self._own(register), None, b"-"
            by, target = own.subject_field, self.records.vocabulary.registers.get(own.subject)
            if by and target is not None and not self.as_entered:
                rests = self.shelf.rests((name, target.name)) if self.shelf else b""
                found = self._shelved(("standing", name), rests, lambda: self._stand(own, by, target))
            self._standings[name] = (found if found is None or len(found) else None), rests
        return self._standings[name][0]

    def _stand(self, register: Register, by: str, target: Register) -> Array:
        """The rows of the record by whom they are about; nothing when they stand so."""
        whom = self._named[register.name, by, target.name] = self._find(register, by, target)
        if (whom[1:] < whom[:-1]).any():
            return np.argsort(whom, kind="stable").astype(NUMBER)
        return whom[:0]

    def _rests(self, *registers: Register) -> bytes:
        """What the rows of some registers and the order in which they stand rest on; nothing where it is not to be kept."""
        if self.shelf is None:
            return b""
        for one in registers:
            self.standing(one)  # which may be of an earlier state of those whom the rows are about
        found = [
            self.shelf.rests(one.name for one in registers),
            *(self._standings[one.name][1] for one in registers),
        ]
        return b"/".join(found) if all(found) else b""

    def _shelved(self, names: tuple[str, ...], rests: bytes, make: Callable[[], Array]) -> Array:
        """Whole numbers from the shelf, if they lie there."""
        if self.shelf is None or not rests or not worthwhile(self.rows(names[1])):
            return make()
        lies = self.shelf.get(names, rests)
        if lies is not None:
            return plain(lies[0]["v"])
        made = make()
        self.shelf.put(names, rests, pa.table({"v": made}))
        return made

    def _own(self, register: Register) -> Register:
        """The register as the record declares it: packs may say of it what they like."""
        return self.records.vocabulary.registers.get(register.name, register)

    def entries(self, register: Register) -> Array | None:
        """For each row a number that grows as rows were entered; None when the row's own does."""
        return self.standing(register)

    def stands_as_entered(self, register: Register, name: str) -> bool:
        """Whether the rows that a reference gives to one owner are sure to stand as they were entered."""
        return self._own(register).subject_field == name or self.entries(register) is None

    def _stood(self, register: Register, values: Array) -> Array:
        """Values of the rows of the record, in the order in which they stand here."""
        order = self.standing(register)
        return values if order is None else values.take(order)

    def recorded(self, register: Register, moment: datetime | None) -> Array | None:
        """Which rows were known at a moment, or are known now; None where the register has no history."""
        table = self.records.tables.get(register.name)
        if table is None or not {"recorded_at", "superseded_at"} & set(table.column_names):
            return None
        at = None if moment is None else pa.scalar(moment, pa.timestamp("us"))
        seen: Array = np.ones(table.num_rows, bool)
        if "recorded_at" in table.column_names and at is not None:
            seen &= np.asarray(pc.fill_null(pc.less_equal(_array(table["recorded_at"]), at), True))
        if "superseded_at" in table.column_names:
            ended = _array(table["superseded_at"])
            gone = pc.is_valid(ended) if at is None else pc.fill_null(pc.less_equal(ended, at), False)
            seen &= ~np.asarray(gone)
        return self._stood(register, seen)

    def rows(self, register: str) -> int:
        """How many rows a register has."""
        table = self.records.tables.get(register)
        return 0 if table is None else int(table.num_rows)

    def column(self, register: Register, name: str) -> Col:
        """A field over all rows of its register."""
        key = (register.name, name)
        if key not in self._columns:
            spec = register.fields[name]
            found, words = self._from_shelf(register, spec) or self._laid_down(register, spec)
            if spec.is_text:
                numbers = self.pool.numbered(words)
                found = replace(found, v=numbers.take(found.v) if len(numbers) else np.zeros(len(found.v), NUMBER))  # fmt: skip
            self._columns[key] = found
        return self._columns[key]

    def _shelves(self, register: Register, spec: Field) -> bool:
        """Whether a column is kept on disk: not what lies encrypted in the record, nor as a pack declares it otherwise."""
        own = self._own(register).fields.get(spec.name) == spec
        return self.shelf is not None and own and not spec.sealed and worthwhile(self.rows(register.name))

    def _from_shelf(self, register: Register, spec: Field) -> tuple[Col, list[str]] | None:
        if self.shelf is None or not self._shelves(register, spec):
            return None
        lies = self.shelf.get(("column", register.name, spec.name), self._rests(register))
        if lies is None:
            return None
        table, (scale, bound) = lies
        ok = plain(table["ok"]).view(bool) if "ok" in table.column_names else None
        v, words = plain(table["v"]), []
        if pa.types.is_dictionary(table["v"].type):
            words = _array(table["v"]).dictionary.to_pylist()
        return Col(v.view(bool) if spec.kind == "bool" else v, ok, scale, None, bound), words

    def _laid_down(self, register: Register, spec: Field) -> tuple[Col, list[str]]:
        """A column in the order in which rows stand here, of texts their places among those told with it; put on the shelf."""
        found, words = self._column(register, spec)
        order = self.standing(register)
        found = narrow(found if order is None else found.at(order))
        if self.shelf is not None and self._shelves(register, spec):
            v: Any = found.v.view(np.uint8) if found.v.dtype == bool else found.v
            v = pa.DictionaryArray.from_arrays(pa.array(v), pa.array(words, pa.string())) if words else v
            parts = {"v": v} if found.ok is None else {"v": v, "ok": found.ok.view(np.uint8)}
            names = ("column", register.name, spec.name)
            self.shelf.put(names, self._rests(register), pa.table(parts), [found.scale, found.bound])
        return found, words

    def _column(self, register: Register, spec: Field) -> tuple[Col, list[str]]:
        """A column in the order of the record, and for texts which there are."""
        table = self.records.tables.get(register.name)
        late = self.records.later if table is not None and spec.sealed else None
        if late is not None:
            raw = _array(late(register.name, spec.name))
        elif table is None or spec.name not in table.column_names:
            empty = np.zeros(self.rows(register.name), bool if spec.kind == "bool" else np.int64)
            return Col(empty, np.zeros(len(empty), bool), spec.scale), []
        else:
            raw = _array(table[spec.name])
        ok = None if not raw.null_count else np.asarray(pc.is_valid(raw))
        if spec.is_text:
            encoded = raw.dictionary_encode()
            at = np.asarray(encoded.indices.fill_null(0) if raw.null_count else encoded.indices)
            return Col(at.astype(np.int64), ok), encoded.dictionary.to_pylist()
        return self._plain_column(raw, ok, spec), []

    def _plain_column(self, raw: Any, ok: Array | None, spec: Field) -> Col:
        if spec.kind == "bool":
            return Col(np.asarray(raw.fill_null(False) if raw.null_count else raw), ok)
        if spec.kind == "date":
            raw = raw.cast(pa.int32())
        v = np.asarray(raw.fill_null(0) if raw.null_count else raw).astype(np.int64)
        return Col(v, ok) if spec.kind == "date" else integers(v, ok, None, spec.scale)

    def years(self, register: Register, name: str) -> Array | None:
        """For a date of which only the year is known that year, else 0; None when there is no such row."""
        table = self.records.tables.get(register.name)
        if table is None or name + PRECISION not in table.column_names:
            return None
        precision = np.asarray(_array(table[name + PRECISION]).fill_null(0)).astype(np.int64)
        years = np.where(precision > MONTHLY, precision, 0)
        return self._stood(register, years) if years.any() else None

    def words(self, register: Register, name: str, rows: Array) -> Any:
        """A text field of some rows as it is written in the record, as an Arrow array; no text is numbered for it."""
        table = self.records.tables.get(register.name)
        if table is None or name not in table.column_names:
            return pa.nulls(len(rows), pa.string())
        order = self.standing(register)
        return (
            _array(table[name]).cast(pa.string()).take(pa.array(rows if order is None else order.take(rows)))
        )

    def repeated(self, register: Register) -> bool:
        """Whether an identity stands in more than one row, because a row was superseded by another."""
        table = self.records.tables.get(register.name)
        if table is None or "superseded_at" not in table.column_names:
            return False
        return int(pc.count_distinct(table[register.id_field]).as_py()) < int(table.num_rows)

    def link(self, register: Register, name: str, target: Register) -> Array:
        """For each row the row of `target` that the reference `name` leads to, or -1."""
        key = (register.name, name, target.name)
        if key not in self._links:
            names = ("link", register.name, name, target.name)
            self._links[key] = self._shelved(names, self._rests(register, target), lambda: self._lead(register, name, target))  # fmt: skip
        return self._links[key]

    def _lead(self, register: Register, name: str, target: Register) -> Array:
        order = self.standing(register)
        found = self._named.pop((register.name, name, target.name), None)
        found = self._find(register, name, target) if found is None else found
        found = found if order is None else found.take(order)
        there = self.standing(target)
        if there is None:
            return found
        return _places(there).take(found)

    def _find(self, register: Register, name: str, target: Register) -> Array:
        """For each row of the record the row of the record that a reference leads to, or -1."""
        here, there = self.records.tables.get(register.name), self.records.tables.get(target.name)
        if (
            here is None
            or there is None
            or not there.num_rows
            or not here.num_rows
            or name not in here.column_names
        ):
            return np.full(self.rows(register.name), NOWHERE, NUMBER)
        ids = _array(there[target.id_field]).cast(pa.string())
        found = pc.index_in(_array(here[name]).cast(pa.string()), value_set=ids, skip_nulls=True)
        return np.asarray(found.fill_null(NOWHERE)).astype(NUMBER)

    def owner_order(self, register: Register, name: str, target: Register) -> Array:
        """The rows by the row of `target` that the reference `name` leads to, each owner's in the order of the record."""
        key = (register.name, name, target.name)
        if key not in self._owners:

            def by_owner() -> Array:
                return np.argsort(self.link(register, name, target), kind="stable").astype(NUMBER)

            names = ("owned", register.name, name, target.name)
            self._owners[key] = self._shelved(names, self._rests(register, target), by_owner)
        return self._owners[key]

    def identity_order(self, register: Register) -> Array:
        """The rows in binary order of their identities, as databases sort text."""
        if register.name not in self._orders:
            self._orders[register.name] = self._shelved(
                ("order", register.name), self._rests(register), lambda: self._by_identity(register)
            )
        return self._orders[register.name]

    def _by_identity(self, register: Register) -> Array:
        ids = _array(self.records.tables[register.name][register.id_field])
        found = np.asarray(pc.array_sort_indices(ids)).astype(NUMBER)
        order = self.standing(register)
        if order is None:
            return found
        return _places(order).take(found)
