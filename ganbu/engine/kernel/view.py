"""A register as it stands on a day (当日所见): what of the prepared snapshot is in sight."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np

from ganbu.engine.kernel.columns import Array, Col, cleared, meet, wide
from ganbu.engine.kernel.days import days_of
from ganbu.engine.kernel.pool import NUMBER
from ganbu.engine.kernel.snapshot import NOWHERE, Prepared
from ganbu.engine.tree import Field, Node
from ganbu.vocabulary import Register

FEW = 2**15  # rows up to which a column is kept as it is reckoned with


@dataclass
class View:
    """A register as it stands on the as-of day, as known at the known-at moment (当日所见)."""

    prepared: Prepared
    register: Register
    as_of: date
    known_at: datetime | None
    _columns: dict[str, Col] = field(default_factory=dict)

    @property
    def loaded(self) -> bool:
        """Whether the register was handed in at all."""
        return self.prepared.loaded(self.register.name)

    @cached_property
    def visible(self) -> Array | None:
        """The row numbers in sight, in order; None when all are."""
        seen = meet(self._happened(), self.prepared.recorded(self.register, self.known_at))
        return None if seen is None or bool(seen.all()) else np.flatnonzero(seen)

    def _happened(self) -> Array | None:
        register = self.register
        if not register.happened or not self.loaded:
            return None
        spec, today = register.fields[register.happened], days_of(self.as_of)
        column = self.prepared.column(register, spec.name)
        if spec.kind != "int":
            seen = (column.v <= today) | ~column.known
            years = self.prepared.years(register, spec.name)
            return np.asarray(seen if years is None else seen & (years <= self.as_of.year))
        ended = (self.as_of.month, self.as_of.day) == (12, 31)
        seen = column.v <= (self.as_of.year if ended else self.as_of.year - 1)
        if "confirmed_on" in register.fields:
            confirmed = self.prepared.column(register, "confirmed_on")
            seen = np.where(confirmed.known, confirmed.v <= today, seen)
        return np.asarray(seen | ~column.known)

    @cached_property
    def size(self) -> int:
        """How many rows are in sight."""
        return self.prepared.rows(self.register.name) if self.visible is None else len(self.visible)

    def origin(self, at: Array) -> Array:
        """The row numbers in the record of rows in sight."""
        return at if self.visible is None else self.visible[at]

    def column(self, name: str) -> Col:
        """A field of the rows in sight; ends that lie ahead of the as-of day are not known yet."""
        if name not in self._columns:
            column = self.prepared.column(self.register, name)
            if self.visible is not None:
                column = column.at(self.visible)
            ends = [f for f in self.register.ended if self.register.fields[f].kind == "date"]
            if name in self.register.ended and ends:
                by = name if self.register.fields[name].kind == "date" else ends[0]
                end = column if by == name else self.prepared.column(self.register, by)
                if by != name and self.visible is not None:
                    end = end.at(self.visible)
                reached = ~end.known | (end.v <= days_of(self.as_of))
                if not reached.all():
                    ok = meet(column.ok, reached)
                    v = cleared(column.v, ok) if column.v.dtype == bool else column.v
                    column = Col(v, ok, column.scale, None, column.bound)
            few = self.size <= FEW and self.register.fields[name].kind in ("int", "decimal", "date")
            self._columns[name] = wide(column) if few else column
        return self._columns[name]

    def words(self, name: str, at: Array) -> Any:
        """A text field of some rows in sight, as an Arrow array."""
        return self.prepared.words(self.register, name, self.origin(at))

    def as_written(self, node: Node) -> bool:
        """Whether an expression is nothing but a text that the record has of the row itself."""
        if not isinstance(node, Field) or node.row.of is not None or node.row.root.up:
            return False
        spec = self.register.fields[node.name]
        return spec.is_text and not spec.sealed and node.name not in self.register.ended

    def years(self, name: str) -> Array | None:
        """For an end of which only the year is known that year, else 0; None when there is no such row."""
        if name not in self.register.ended:
            return None
        years = self.prepared.years(self.register, name)
        return years if years is None or self.visible is None else years[self.visible]

    def link(self, name: str, target: View) -> Array:
        """For each row in sight the row in sight of `target` that the reference leads to, or -1."""
        if self.prepared.repeated(target.register):
            return self._link_by_text(name, target)
        found = self.prepared.link(self.register, name, target.register)
        if self.visible is not None:
            found = found[self.visible]
        if name in self.register.ended:
            found = np.where(self.column(name).known, found, NOWHERE)
        if target.visible is None:
            return found
        where = np.full(self.prepared.rows(target.register.name) + 1, NOWHERE, NUMBER)
        where[target.visible] = np.arange(len(target.visible))
        return np.asarray(where[found])

    def _link_by_text(self, name: str, target: View) -> Array:
        # Only among the rows in sight is an identity unique when the record has a history.
        ids, mine = target.column(target.register.id_field), self.column(name)
        where = np.full(len(self.prepared.pool.texts) + 1, NOWHERE, np.int64)
        where[ids.v] = np.arange(len(ids.v))
        return np.where(mine.known, where[mine.v], NOWHERE) if len(mine.v) else np.zeros(0, np.int64)

    def owner_order(self, name: str, target: View, owned: Array) -> Array | None:
        """The rows in sight that are `owned`, numbered anew, by the row of `target` they belong to; None when it is not prepared."""
        if self.prepared.repeated(target.register) or name in self.register.ended:
            return None
        order = self.prepared.owner_order(self.register, name, target.register)
        if self.visible is None and owned.all():
            return order
        kept = owned
        if self.visible is not None:
            kept = np.zeros(len(order), bool)
            kept[self.visible[owned]] = True
        return np.asarray((np.cumsum(kept) - 1)[order[kept[order]]])

    @cached_property
    def entries(self) -> tuple[Array, Array] | None:
        """For each row in sight a number that grows as rows were entered, and the way back; None when its own does."""
        found = self.prepared.entries(self.register)
        if found is None:
            return None
        back = np.full(len(found), NOWHERE, NUMBER)
        found = found if self.visible is None else found[self.visible]
        back[found] = np.arange(len(found))
        return found, back

    @property
    def entry_order(self) -> Array | None:
        """The rows in sight in the order in which they were entered; None when they stand so."""
        return None if self.entries is None else np.argsort(self.entries[0])

    def stands_as_entered(self, name: str) -> bool:
        """Whether the rows that a reference gives to one owner are sure to stand as they were entered."""
        return self.prepared.stands_as_entered(self.register, name)

    def identity_order(self) -> Array:
        """The rows in sight in binary order of their identities."""
        if not self.loaded:
            return np.zeros(0, np.int64)
        order = self.prepared.identity_order(self.register)
        if self.visible is None:
            return order
        where = np.full(len(order), NOWHERE, np.int64)
        where[self.visible] = np.arange(len(self.visible))
        found = where[order]
        return np.asarray(found[found >= 0])
