"""Evaluating by columns (列式求值): facts are computed when first asked for, once, over all rows in sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from fractions import Fraction

import numpy as np

from ganbu.engine.bind import Program
from ganbu.engine.kernel import columns, days
from ganbu.engine.kernel.aggregate import aggregate
from ganbu.engine.kernel.columns import (
    PIECE,
    Array,
    Col,
    cleared,
    constant,
    joined,
    narrow,
    wide,
)
from ganbu.engine.kernel.effects import EffectsView
from ganbu.engine.kernel.memory import held
from ganbu.engine.kernel.needs import Needs
from ganbu.engine.kernel.operations import OPERATIONS
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.pool import NUMBER
from ganbu.engine.kernel.segments import Groups
from ganbu.engine.kernel.snapshot import NOWHERE, Prepared
from ganbu.engine.kernel.view import View
from ganbu.engine.kernel.window import grouped, window
from ganbu.engine.tree import Aggregate, Const, Fact, Field, Node, Op, Row, Window

NUMBERS = ("num", "date")  # what is reckoned with in 64 bits
Steps = tuple[tuple[str, ...], ...]
Twin = tuple[str, Node]


class Kernel:
    """Computes facts of a program over prepared records."""

    def __init__(
        self,
        program: Program,
        prepared: Prepared,
        known_at: datetime | None,
        virtual: Mapping[str, list[tuple[str, str]]],
    ) -> None:
        self.program, self.prepared, self.known_at, self.virtual = program, prepared, known_at, virtual
        self.as_of: date = program.as_of
        self.pool = prepared.pool
        self._views: dict[str, View] = {}
        self._same: dict[tuple[str, Node], Col] = {}
        self._rows: dict[tuple[str, Row], Array] = {}
        self._links: dict[tuple[str, str, str], Array] = {}
        self._owned: dict[tuple[str, str, str], Groups] = {}
        self._constants: dict[Const, Col] = {}
        self._asked: dict[tuple[str, Node], Col] = {}
        self._needs: Needs | None = None
        self._shared: dict[Node, int] = {}
        self._parted: tuple[tuple[str, tuple[Node, ...]], Groups] | None = None
        self._tables: dict[Steps, Array] = {}
        self.leaves: dict[Node, tuple[Field | Fact, ...]] = {}
        self.groupings: dict[tuple[str, tuple[Node, ...]], Array] = {}
        self.told: dict[tuple[str, Node], Col] = {}

    # -- what there is -------------------------------------------------------------------------------------

    def view(self, register: str) -> View:
        """The rows of a register that exist on the as-of day."""
        if register not in self._views:
            spec = self.program.vocabulary.registers[register]
            self._views[register] = (
                EffectsView(self.prepared, spec, self.as_of, self.known_at, self)
                if register in self.virtual
                else View(self.prepared, spec, self.as_of, self.known_at)
            )
        return self._views[register]

    def closed(self, register: str) -> bool:
        """Whether having no row of a register means there is none, rather than that nobody knows."""
        loaded = register in self.virtual or self.view(register).loaded
        return loaded and not self.program.vocabulary.registers[register].open

    def fact(self, register: str, name: str) -> Col:
        """A fact over all rows in sight of its register."""
        return self.defined(register, self.program.definitions[register, name])

    def defined(self, register: str, node: Node) -> Col:
        """What a definition says over all rows in sight; equal definitions are computed once."""
        twin = (register, node)
        found = self._same.get(twin)
        if found is None:
            found = self._define(register, node)
            self._same[twin] = found = narrow(found) if found.v.size > PIECE else found
            if self._needs is not None:
                for done in self._needs.computed(twin):
                    self._same.pop(done, None)
        return found

    def run(self, wanted: Mapping[str, Iterable[Node]]) -> None:
        """Compute what is wanted, letting go of every fact that nothing left to compute reads.

        Raises PackError where a date has no place.
        """
        self._needs = Needs.of(self.program, self.virtual, wanted)
        self._shared = self._needs.shared
        with held(max((self.view(register).size for register in wanted), default=0)):
            for register, nodes in wanted.items():
                place = Place(self.view(register))
                for node in nodes:
                    if not place.view.as_written(node):  # which is read when it is shown
                        self.value(node, place)
        self._needs, self._shared = None, {}
        self._asked.clear()

    def link(self, owner: View, name: str, target: View) -> Array:
        """For each row in sight the row in sight of `target` that a reference leads to, or -1; kept for the run."""
        key = (owner.register.name, name, target.register.name)
        if key not in self._links:
            self._links[key] = owner.link(name, target)
        return self._links[key]

    def groups(self, rows: View, link: str, view: View, owned: Array, owner: Array) -> Groups:
        """The rows of a register that belong to somebody by whom they belong to, kept for the run with their order."""
        key = (rows.register.name, link, view.register.name)
        if key not in self._owned:
            made = Groups(owner, view.size)
            if not made.sorted:
                order = rows.owner_order(link, view, owned)
                made.order = np.argsort(owner, kind="stable") if order is None else order
            self._owned[key] = made
        return self._owned[key]

    def belonging(self, rows: View, link: str, view: View, only: Array) -> Array:
        """The rows of a register that belong to some rows of a view."""
        mark = np.zeros(view.size + 1, bool)
        mark[only] = True
        return np.flatnonzero(mark.take(self.link(rows, link, view)))

    def parted(self, nodes: tuple[Node, ...], place: Place) -> Groups:
        """The rows in hand in the groups that expressions make; of all rows in sight the last ones are kept."""
        if place.at is not None:
            if nodes not in place.parted:
                place.parted[nodes] = Groups(*grouped(self, nodes, place))
            return place.parted[nodes]
        key, kept = (place.view.register.name, nodes), self._parted
        if kept is None or kept[0] != key:
            kept = self._parted = (key, Groups(*grouped(self, nodes, place)))
        return kept[1]

    def _define(self, register: str, node: Node) -> Col:
        view = self.view(register)
        if isinstance(node, Aggregate):
            return aggregate(self, view, node)
        if isinstance(node, Window):
            return window(self, node, Place(view))
        return self.value(node, Place(view)) if type(node) is not Op else self._at_rest(node, Place(view))

    # -- rows and leaves -----------------------------------------------------------------------------------

    def row(self, row: Row, place: Place) -> tuple[View, Array | slice | None]:
        """Where a row path leads: the view, and for each row in hand a row of it (None: the row itself, -1: none)."""
        root = place.root(row.root.up)
        if row.of is None:
            return root.view, root.at
        view, found = self._whole_path(row, root.view)
        return view, found if root.at is None else found[root.at]

    def _whole_path(self, row: Row, start: View) -> tuple[View, Array]:
        """A row path from every row of its root, kept for the run."""
        assert row.of is not None
        key = (start.register.name, _grounded(row))
        target = self.view(row.register)
        if key in self._rows:
            return target, self._rows[key]
        owner = self.view(row.of.register)
        if (row.of.register, row.via) in self.program.definitions:
            picked = self.fact(row.of.register, row.via).full(owner.size)
            step = np.where(picked.known, picked.v, NOWHERE)
        else:
            step = self.link(owner, row.via, target)
        if row.of.of is not None:
            _, at = self._whole_path(row.of, start)
            step = np.where(at >= 0, step[at] if len(step) else NOWHERE, NOWHERE)
        self._rows[key] = step
        return target, step

    def leaf(self, node: Field | Fact, place: Place) -> Col:
        """A field or fact of a row path, for the rows in hand."""
        view, at = self.row(node.row, place)
        register = view.register.name
        column = self.fact(register, node.name) if isinstance(node, Fact) else view.column(node.name)
        if at is not None:
            there: Array | None = None
            if node.row.of is not None:
                assert not isinstance(at, slice)
                there = np.asarray(at >= 0)
                there = None if there.all() else there
            column = column.full(view.size).at(at, there)
        return wide(column) if node.type.kind in NUMBERS else column

    # -- expressions ---------------------------------------------------------------------------------------

    def value(self, node: Node, place: Place) -> Col:
        """An expression for the rows in hand."""
        if type(node) is Const:
            found = self._constants.get(node)
            if found is None:
                found = self._constants[node] = self._const(node)
            return found
        at = place.at
        if at is None:
            if place.outer is None:
                found = self._at_rest(node, place)
                return wide(found) if node.type.kind in NUMBERS and place.size > PIECE else found
        elif place.kept is not None and place.outer is None:
            if type(at) is not slice:
                found = place.kept.get(node)
                if found is None:
                    found = place.kept[node] = self._worked_out(node, place)
                return found
            if node in self._shared:
                if node not in place.kept:
                    place.kept[node] = self._at_rest(node, Place(place.view))
                found = place.kept[node].at(at)
                return wide(found) if node.type.kind in NUMBERS else found
        return self._worked_out(node, place)

    def _at_rest(self, node: Node, place: Place) -> Col:
        """An expression over all rows in sight, as it is kept: of many rows in small numbers."""
        return self._once(node, place) if node in self._shared else self._whole(node, place)

    def _whole(self, node: Node, place: Place) -> Col:
        """Of many rows piece by piece, so that what lies between operations stays at hand."""
        size = place.size
        if size <= PIECE or type(node) is not Op:
            return self._worked_out(node, place)
        pieces, kept = [], dict[Node, Col]()
        for first in range(0, size, PIECE):
            piece = Place(place.view, slice(first, min(first + PIECE, size)), None, kept)
            pieces.append((narrow(self._worked_out(node, piece)), piece.size))
        return joined(pieces)

    def _worked_out(self, node: Node, place: Place) -> Col:
        if type(node) is Op:
            return OPERATIONS[node.op](self, node, place)
        assert isinstance(node, (Field, Fact))
        found = self.leaf(node, place)
        if found.v.dtype == bool and found.ok is not None:
            return Col(cleared(found.v, found.ok), found.ok)
        return found

    def _once(self, node: Node, place: Place) -> Col:
        """An expression over all rows in sight, kept while others are going to ask for it too."""
        key = (place.view.register.name, node)
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = self._whole(node, place)
        self._shared[node] -= 1
        if self._shared[node] <= 0:
            del self._asked[key]
        return found

    def shown(self, node: Node, view: View, only: Array) -> Col:
        """An expression for some rows that are to be shown."""
        found = self.told.get((view.register.name, node))
        if found is None:
            return self.value(node, Place(view, only)).full(len(only))
        return wide(found.at(only)) if node.type.kind in NUMBERS else found.at(only)

    def holds(self, node: Node | None, place: Place) -> tuple[Array, Array | None]:
        """Where a condition is known to hold, and where it is not known (None: nowhere)."""
        if node is None:
            return np.True_, None  # type: ignore[return-value]
        found = self.value(node, place)
        return found.v, None if found.ok is None else ~found.ok

    def _const(self, node: Const) -> Col:
        value, kind = node.value, node.type.kind
        if value is None:
            nothing = False if kind == "bool" else np.int64(0) if kind in ("num", "date") else NUMBER(0)
            return constant(nothing, False)
        if isinstance(value, bool):
            return constant(np.bool_(value))
        if isinstance(value, Fraction):
            return columns.number(value)
        if isinstance(value, date):
            return days.today(value)
        return constant(NUMBER(self.pool.number(value)))

    def table_of(self, steps: Steps) -> Array:
        """For each text of the pool the step of an order it stands on, or -1."""
        table = self._tables.get(steps)
        if table is None or len(table) <= len(self.pool.texts):
            numbers = [[self.pool.number(word) for word in words] for words in steps]
            table = np.full(len(self.pool.texts) + 1, -1, np.int64)
            for step, words in enumerate(numbers):
                table[words] = step
            self._tables[steps] = table
        return table


def _grounded(row: Row) -> Row:
    return Row(row.register) if row.of is None else Row(row.register, _grounded(row.of), row.via)
