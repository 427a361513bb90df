"""Records with hypothetical rows laid over them (假设覆盖): rows added, changed, left out; nothing of the base is copied but what changes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ganbu.engine.kernel.columns import Array, Col, aligned, together
from ganbu.engine.kernel.snapshot import NOWHERE, Prepared
from ganbu.engine.records import Records
from ganbu.vocabulary import Register

NONE: Array = np.zeros(0, np.int64)


@dataclass
class Patch:
    """What is laid over one register: typed rows of which the first stand in for `rows` of the base, the others are added.

    `fields` are the fields that rows of the base take from here, with the rows of the table that tell them; `gone` are
    the rows of the base left out.
    """

    table: pa.Table
    rows: Array
    fields: dict[str, Array]
    gone: Array


@dataclass
class Overlaid(Prepared):
    """Prepared records with patches by register; rows of the base keep their numbers, added ones come after them."""

    base: Prepared = field(default_factory=lambda: Prepared(Records()))
    patches: dict[str, Patch] = field(default_factory=dict)
    _laid: dict[str, Prepared] = field(default_factory=dict)

    @classmethod
    def over(cls, base: Prepared, patches: dict[str, Patch]) -> Overlaid:
        """Patches laid over prepared records."""
        return cls(base.records, base.pool, base=base, patches=patches)

    def _new(self, register: str) -> int:
        patch = self.patches[register]
        return int(patch.table.num_rows) - len(patch.rows)

    def rows(self, register: str) -> int:
        """How many rows a register has, those left out included."""
        return self.base.rows(register) + (self._new(register) if register in self.patches else 0)

    def loaded(self, register: str) -> bool:
        """Whether a register was handed in, or has added rows."""
        return self.base.loaded(register) or (register in self.patches and self._new(register) > 0)

    def standing(self, register: Register) -> Array | None:
        """For each row of the base its row in the record."""
        return self.base.standing(register)

    def entries(self, register: Register) -> Array | None:
        """For each row a number that grows as rows were entered; added ones come last."""
        found = self.base.entries(register)
        if found is None or register.name not in self.patches:
            return found
        return np.concatenate([found, np.arange(len(found), self.rows(register.name), dtype=found.dtype)])

    def stands_as_entered(self, register: Register, name: str) -> bool:
        """Not where a row may have gone to another owner."""
        if register.name in self.patches:
            return self.entries(register) is None
        return self.base.stands_as_entered(register, name)

    def recorded(self, register: Register, moment: datetime | None) -> Array | None:
        """Which rows of the base were known at a moment and are not left out; added ones are known."""
        found = self.base.recorded(register, moment)
        patch = self.patches.get(register.name)
        if patch is None or (found is None and not len(patch.gone)):
            return found
        seen = np.ones(self.rows(register.name), bool)
        if found is not None:
            seen[: len(found)] = found
        seen[patch.gone] = False
        return seen

    def _patched(self, register: Register) -> Prepared:
        """The rows of a patch as columns, their texts numbered like those of the base."""
        if register.name not in self._laid:
            records = Records({register.name: self.patches[register.name].table}, self.records.vocabulary)
            self._laid[register.name] = Prepared(records, self.pool, as_entered=True)
        return self._laid[register.name]

    def column(self, register: Register, name: str) -> Col:
        """A field over all rows, those of the patch in their places."""
        patch = self.patches.get(register.name)
        if patch is None:
            return self.base.column(register, name)
        key = (register.name, name)
        if key not in self._columns:
            below = self.base.column(register, name)
            here = self._patched(register).column(register, name)
            own = patch.fields.get(name, NONE)
            added = np.arange(len(patch.rows), patch.table.num_rows)
            at = np.concatenate([patch.rows[own], added - len(patch.rows) + self.base.rows(register.name)])
            self._columns[key] = put(below, self.rows(register.name), at, here.at(np.concatenate([own, added])))  # fmt: skip
        return self._columns[key]

    def words(self, register: Register, name: str, rows: Array) -> Any:
        """A text field of some rows, those of the patch in their places."""
        if register.name not in self.patches:
            return self.base.words(register, name, rows)
        found, texts = self.column(register, name).at(rows), self.pool.texts
        known = np.broadcast_to(found.known, found.v.shape).tolist()
        told = [texts[n] if there else None for n, there in zip(found.v.tolist(), known, strict=True)]
        return pa.array(told, pa.string())

    def years(self, register: Register, name: str) -> Array | None:
        """For a date of which only the year is known that year, else 0; None when there is no such row."""
        found = self.base.years(register, name)
        patch = self.patches.get(register.name)
        if patch is None:
            return found
        here = self._patched(register).years(register, name)
        if found is None and here is None:
            return None
        years = np.zeros(self.rows(register.name), np.int64)
        years[: self.base.rows(register.name)] = 0 if found is None else found
        here = np.zeros(patch.table.num_rows, np.int64) if here is None else here
        own = patch.fields.get(name, NONE)
        years[patch.rows[own]] = here[own]
        years[self.base.rows(register.name) :] = here[len(patch.rows) :]
        return years

    def repeated(self, register: Register) -> bool:
        """Whether an identity stands in more than one row of the base."""
        return self.base.repeated(register)

    def link(self, register: Register, name: str, target: Register) -> Array:
        """For each row the row of `target` that the reference `name` leads to, or -1."""
        if register.name not in self.patches and target.name not in self.patches:
            return self.base.link(register, name, target)
        key = (register.name, name, target.name)
        if key not in self._links:
            ids, mine = self.column(target, target.id_field), self.column(register, name)
            if target.name in self.patches:  # looked up anew: an identity may be there that was not before
                self._links[key] = _found(ids, mine, len(self.pool.texts))
            else:
                found = np.full(self.rows(register.name), NOWHERE, np.int64)
                found[: self.base.rows(register.name)] = self.base.link(register, name, target)
                patch = self.patches[register.name]
                at = np.concatenate([patch.rows, np.arange(self.base.rows(register.name), len(found))])
                found[at] = _found(ids, mine.at(at), len(self.pool.texts))
                self._links[key] = found
        return self._links[key]

    def identity_order(self, register: Register) -> Array:
        """The rows in binary order of their identities."""
        if register.name not in self.patches or not self._new(register.name):
            return self.base.identity_order(register)
        if register.name not in self._orders:
            ids, texts = self.column(register, register.id_field).v, self.pool.texts
            base = self.base.identity_order(register) if self.base.loaded(register.name) else ids[:0]
            added = range(self.base.rows(register.name), self.rows(register.name))

            def key(row: int) -> bytes:
                return texts[int(ids[row])].encode()

            fresh = sorted(added, key=key)
            seats = [bisect_right(base, key(row), key=key) for row in fresh]
            self._orders[register.name] = np.insert(base, seats, fresh)
        return self._orders[register.name]


def _found(ids: Col, mine: Col, texts: int) -> Array:
    where = np.full(texts + 1, NOWHERE, np.int64)
    at = np.arange(len(ids.v))
    where[ids.v[::-1]] = at[::-1]  # of rows with the same identity the first, as in the base
    return np.where(mine.known, where[mine.v], NOWHERE)


def put(below: Col, size: int, at: Array, values: Col) -> Col:
    """A column with other values at some rows; `size` rows in all, those past its end among `at`."""
    if not len(at):
        return below
    scaled = below.v.dtype != bool and values.v.dtype != bool
    if scaled and below.scale != values.scale:
        below, values = together([below, values])
    kind = np.result_type(below.v.dtype, values.v.dtype)
    v = _stretched(below.v, size, kind, 0)
    v[at] = values.v
    ok = None
    if below.ok is not None or values.ok is not None:
        ok = _stretched(np.broadcast_to(below.known, below.v.shape), size, np.dtype(bool), False)
        ok[at] = values.known
    den = None
    if below.den is not None or values.den is not None:
        ones = [np.asarray(np.int64(1)) if one.den is None else one.den for one in (below, values)]
        den = _stretched(np.broadcast_to(ones[0], below.v.shape), size, np.result_type(*ones), 1)
        den[at] = ones[1]
    return Col(
        v, ok, below.scale, den, max(below.bound, values.bound), max(below.den_bound, values.den_bound)
    )


def _stretched(values: Array, size: int, kind: np.dtype, fill: int | bool) -> Array:
    if len(values) == size:
        return values.astype(kind, copy=True)
    found = np.full(size, fill, kind)
    found[: len(values)] = values
    return found


def same(one: Col, two: Col, numeric: bool) -> Array:
    """Where two columns say the same: the same value, or that neither is known."""
    if numeric:
        left, right = aligned(one, two)
        equal = left.v == right.v
    else:
        equal = one.v == two.v
    if one.ok is None and two.ok is None:
        return np.asarray(equal)
    return np.asarray((one.known & two.known & equal) | ~(one.known | two.known))


__all__ = ["Overlaid", "Patch", "put", "same"]
