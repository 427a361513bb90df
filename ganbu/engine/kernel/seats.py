"""Which rows are which (行的对应): the rows of overlaid records and those of the base, and whom the laid-over rows are about."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ganbu.engine.kernel.columns import Array
from ganbu.engine.kernel.evaluate import Kernel
from ganbu.engine.kernel.overlay import NONE, Overlaid
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.snapshot import NOWHERE
from ganbu.engine.kernel.view import View


def union(*parts: Array) -> Array:
    """Rows that are in any of some sorted sets of rows."""
    some = [part for part in parts if len(part)]
    if not some:
        return NONE
    if len(some) == 1:
        return some[0]
    found = np.concatenate(some)
    found.sort()
    return found[np.concatenate(([True], found[1:] != found[:-1]))]


class Seats(Kernel):
    """A kernel over overlaid records that knows which of its rows the base has, and which are near those laid over."""

    def __init__(self, base: Kernel, overlaid: Overlaid) -> None:
        super().__init__(base.program, overlaid, base.known_at, base.virtual)
        self.base, self.overlaid = base, overlaid
        self._tables, self._constants = base._tables, base._constants
        self._seats: dict[str, Array | None] = {}
        self._backs: dict[str, Array | None] = {}
        self._fresh: dict[str, Array] = {}
        self._gone: dict[str, Array] = {}
        self._near: dict[str, Array] = {}
        self._nearby: dict[str, Array] = {}
        self.places: dict[str, Place] = {}

    def seats(self, register: str) -> Array | None:
        """For each row in sight the row in sight of the base it is, or -1; None when they are the same rows in the same order."""
        if register not in self._seats:
            view, before = self.view(register), self.base.view(register)
            self._seats[register] = None if view is before else self._seated(view, before)
        return self._seats[register]

    def _seated(self, view: View, before: View) -> Array | None:
        register = view.register
        if register.name in self.virtual:
            ids, old = (one.column(register.id_field).v for one in (view, before))
            where = np.full(len(self.pool.texts) + 1, NOWHERE, np.int64)
            if len(np.unique(old)) == len(old):  # else nobody can tell which is which: all are new
                where[old] = np.arange(len(old))
            found = where[ids]
        else:
            where = np.full(self.prepared.rows(register.name) + 1, NOWHERE, np.int64)
            where[before.origin(np.arange(before.size))] = np.arange(before.size)
            found = where[view.origin(np.arange(view.size))]
        same_rows = len(found) == before.size and bool((found == np.arange(len(found))).all())
        return None if same_rows else found

    def fresh(self, register: str) -> Array:
        """The rows in sight that the base has not."""
        if register not in self._fresh:
            seats = self.seats(register)
            self._fresh[register] = NONE if seats is None else np.flatnonzero(seats < 0)
        return self._fresh[register]

    def back(self, register: str) -> Array | None:
        """For each row in sight of the base where it is now, or -1; one more at the end, so that -1 leads to -1."""
        if register not in self._backs:
            seats, found = self.seats(register), None
            if seats is not None:
                found = np.full(self.base.view(register).size + 1, NOWHERE, np.int64)
                kept = seats >= 0
                found[seats[kept]] = np.flatnonzero(kept)
            self._backs[register] = found
        return self._backs[register]

    def gone(self, register: str) -> Array:
        """The rows in sight of the base that are not there any more."""
        if register not in self._gone:
            back = self.back(register)
            self._gone[register] = NONE if back is None else np.flatnonzero(back[:-1] < 0)
        return self._gone[register]

    def before(self, register: str, at: Array) -> Array:
        """The rows of the base that some rows are; those that it has not are left out."""
        seats = self.seats(register)
        if seats is None:
            return at
        found = seats[at]
        return np.unique(found[found >= 0])

    def after(self, register: str, at: Array) -> Array:
        """Where some rows of the base are now; those that are gone are left out."""
        back = self.back(register)
        if back is None:
            return at
        found = back[at]
        return np.unique(found[found >= 0])

    @cached_property
    def whom(self) -> Array:
        """The numbers of the identities that laid-over rows have, are about or name, now and in the base."""
        found = [NONE]
        for register, patch in self.overlaid.patches.items():
            spec = self.program.vocabulary.registers[register]
            links = [spec.id_field, *(item.name for item in spec.fields.values() if item.kind == "ref")]
            below = self.base.prepared.rows(register)
            added = np.arange(below, self.prepared.rows(register))
            for name in links:
                for prepared, at in ((self.prepared, np.concatenate([patch.rows, added])), (self.base.prepared, np.concatenate([patch.rows, patch.gone]))):  # fmt: skip
                    column = prepared.column(spec, name).at(at)
                    found.append(column.v[np.broadcast_to(column.known, column.v.shape)])
        return np.unique(np.concatenate(found))

    def near_rows(self, register: str) -> Array:
        """The rows in sight of those whom the laid-over rows are about or name, always the same object."""
        if register not in self._nearby:
            self._nearby[register] = np.flatnonzero(self.near(register))
        return self._nearby[register]

    def near_place(self, register: str) -> Place:
        """Those rows, with what was computed of them before."""
        if register not in self.places:
            self.places[register] = Place(self.view(register), self.near_rows(register), None, {})
        return self.places[register]

    def near(self, register: str) -> Array:
        """Which rows in sight are those whom the laid-over rows are about or name."""
        if register not in self._near:
            view, whom = self.view(register), self.whom
            ids = view.column(view.register.id_field).full(view.size).v
            mark = np.zeros(len(self.pool.texts) + 1, bool)
            mark[whom] = True
            self._near[register] = mark[ids]
        return self._near[register]
