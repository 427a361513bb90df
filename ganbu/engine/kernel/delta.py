"""What follows from a few changed rows (增量求值): only facts that rest on them are computed, and only where they do.

For every fact the rows on which it may be another are found from its definition; it is computed there, compared with
what it was, and what turned out the same goes no further. Everything else is taken from the run over the base.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import numpy as np

from ganbu.engine.bind import Program
from ganbu.engine.grounds import EFFECT, grounds
from ganbu.engine.kernel.aggregate import aggregate
from ganbu.engine.kernel.columns import PIECE, Array, Col, narrow, wide
from ganbu.engine.kernel.evaluate import NUMBERS, Kernel
from ganbu.engine.kernel.overlay import NONE, Overlaid, put, same
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.seats import Seats, union
from ganbu.engine.kernel.snapshot import NOWHERE
from ganbu.engine.kernel.view import View
from ganbu.engine.kernel.window import grouped, window
from ganbu.engine.tree import Aggregate, Const, Fact, Field, Node, Row, Window, walk


def _led_to(seats: Array, size: int) -> Array:
    """The rows, of so many, that some references lead to; -1 leads nowhere."""
    mark = np.zeros(size + 1, bool)
    mark[seats] = True
    return np.flatnonzero(mark[:-1])


def _of_groups(of: Array, rows: Array) -> Array:
    """Which rows are in a group that some rows are in."""
    mark = np.zeros(int(of.max()) + 1 if len(of) else 1, bool)
    mark[of[rows]] = True
    return np.asarray(mark[of])


def read_widely(
    program: Program, virtual: Mapping[str, list[tuple[str, str]]], narrow: Iterable[tuple[str, Node]], wide: Iterable[tuple[str, Node]]
) -> frozenset[tuple[str, Node]]:  # fmt: skip
    """The facts that are read beyond the row they are about, given the expressions shown of single rows and of all."""
    seen: set[tuple[str, Node, bool]] = set()
    todo = [(*one, False) for one in narrow] + [(*one, True) for one in wide]

    def read(register: str, name: str, widely: bool) -> None:
        if (register, name) in program.definitions:
            todo.append((register, program.definitions[register, name], widely))

    while todo:
        register, node, widely = step = todo.pop()
        if step in seen or (register, node, True) in seen:
            continue
        seen.add(step)
        whole = isinstance(node, Aggregate)
        passed = {node.register} if isinstance(node, Aggregate) else set()
        for leaf in {leaf for part in (node.parts if isinstance(node, Aggregate) else [node]) for leaf in walk(part)}:  # fmt: skip
            if not isinstance(leaf, (Field, Fact)):
                continue
            # Only what is read of the very row that the fact is about stays with it.
            beyond = widely or isinstance(node, Window) or leaf.row.root.up != whole
            read(leaf.row.register, leaf.name, beyond or leaf.row.of is not None)
            row = leaf.row
            while row.of is not None:
                passed.add(row.register)
                read(row.of.register, row.via, beyond or row.of.of is not None)
                row = row.of
            passed.add(row.register)
        for policy in passed & virtual.keys():
            for owner, effect in virtual[policy]:
                for key in EFFECT:
                    read(owner, effect + key, True)
    return frozenset((register, node) for register, node, widely in seen if widely)


class Delta(Seats):
    """The facts of a program over overlaid records, as far as they differ from those over the base.

    `wide` are the facts that are read beyond the row they are about. Where it is given, the others are computed only
    for those whom the laid-over rows are about or name (`whom`); for everybody else they stay as in the base.
    """

    def __init__(self, base: Kernel, overlaid: Overlaid, wide: Container[tuple[str, Node]] | None = None) -> None:  # fmt: skip
        super().__init__(base, overlaid)
        self._changed: dict[tuple[str, Node], Array] = {}
        self._fields: dict[tuple[str, str], Array] = {}
        self._read: dict[tuple[str, Field | Fact], Array] = {}
        self._vias: dict[tuple[str, str, str], Array] = {}
        self._groups: dict[tuple[str, tuple[Node, ...]], tuple[Array, Array]] = {}
        self._members: dict[tuple[str, tuple[Node, ...], bytes], tuple[Array, Array]] = {}
        self._nearly: dict[tuple[str, Node], Col] = {}
        self._wholes: dict[tuple[str, bytes], Place] = {}
        self._among: tuple[Array | None, Array | None] = (None, None)
        self._belonging: dict[tuple[str, str, str], Array] = {}
        self.wide = wide

    def view(self, register: str) -> View:
        """The rows of a register; the very view of the base where nothing about it is other."""
        if register not in self._views:
            if register in self.virtual:
                self._views[register] = super().view(register) if self._stirred(register) else self.base.view(register)  # fmt: skip
            elif register in self.overlaid.patches:
                return super().view(register)
            else:
                self._views[register] = self.base.view(register)
        return self._views[register]

    def _stirred(self, policy: str) -> bool:
        """Whether an effect of a consequence is another."""
        return any(
            self.seats(owner) is not None or len(self.changed(owner, effect + key))
            for owner, effect in self.virtual[policy]
            for key in EFFECT
        )

    # -- where something is another ------------------------------------------------------------------------

    def field_changed(self, register: str, name: str) -> Array:
        """The rows in sight on which a field may be another."""
        key = (register, name)
        if key not in self._fields:
            self._fields[key] = self._field_changed(register, name)
        return self._fields[key]

    def _field_changed(self, register: str, name: str) -> Array:
        view, before = self.view(register), self.base.view(register)
        if view is before:
            return NONE
        fresh = self.fresh(register)
        if register in self.virtual:
            seats = self.seats(register)
            kept = np.arange(view.size) if seats is None else np.flatnonzero(seats >= 0)
            one, two = view.column(name).at(kept), before.column(name).at(self.before(register, kept))
            return union(fresh, kept[~same(one, two, False)])
        patch, ended = self.overlaid.patches[register], view.register.ended
        if name not in patch.fields and not (name in ended and patch.fields.keys() & set(ended)):
            return fresh
        where = np.full(self.prepared.rows(register) + 1, NOWHERE, np.int64)
        where[view.origin(np.arange(view.size))] = np.arange(view.size)
        told = ended if name in ended else (name,)
        rows = np.concatenate([NONE, *(patch.rows[patch.fields[one]] for one in told if one in patch.fields)])
        seen = where[rows]
        return union(fresh, np.unique(seen[seen >= 0]))

    def changed(self, register: str, name: str) -> Array:
        """The rows in sight on which a fact is another."""
        self.fact(register, name)
        return self._changed[register, self.program.definitions[register, name]]

    def _via_changed(self, owner: str, via: str, target: str) -> Array:
        """The rows of `owner` from which a reference or row fact may lead elsewhere."""
        key = (owner, via, target)
        if key in self._vias:
            return self._vias[key]
        if (owner, via) in self.program.definitions:
            found = self.changed(owner, via)
        else:
            found = self.field_changed(owner, via)
            if self.seats(target) is not None:  # what it names may have come or gone
                view, before = self.view(owner), self.base.view(owner)
                now = self.link(view, via, self.view(target))
                old = self.base.link(before, via, self.base.view(target))
                back, seats = self.back(target), self.seats(owner)
                assert back is not None
                old = old if seats is None else np.append(old, NOWHERE)[seats]
                was, lost = back[old], old >= 0
                found = union(found, np.flatnonzero((now != was) | (lost & (was < 0))))
        self._vias[key] = found
        return found

    def _path_changed(self, row: Row, start: View) -> Array:
        """The rows of `start` from which a path may lead elsewhere."""
        if row.of is None:
            return self.fresh(start.register.name)
        here = self._reached(row.of, start, self._via_changed(row.of.register, row.via, row.register))
        return union(self._path_changed(row.of, start), here)

    def _reached(self, row: Row, start: View, rows: Array) -> Array:
        """The rows of `start` whose path leads to one of some rows."""
        if row.of is None or not len(rows):
            return rows
        view, at = self._whole_path(row, start)
        mark = np.zeros(view.size + 1, bool)
        mark[rows] = True
        return np.flatnonzero(mark[at])

    def _leaves_changed(self, nodes: list[Node], view: View, up: int) -> Array:
        """The rows of a view on which what an expression reads of a root may be another."""
        found = [self.fresh(view.register.name)]
        for leaf in dict.fromkeys(leaf for node in nodes for leaf in self._leaves(node)):
            if leaf.row.root.up != up:
                continue
            found.append(self._leaf_changed(leaf, view))
        return union(*{id(rows): rows for rows in found}.values())

    def _leaf_changed(self, leaf: Field | Fact, view: View) -> Array:
        """The rows of a view on which a leaf may be another; many expressions read the same one."""
        key = (view.register.name, leaf)
        if key not in self._read:
            register = leaf.row.register
            rows = self.field_changed(register, leaf.name) if isinstance(leaf, Field) else self.changed(register, leaf.name)  # fmt: skip
            self._read[key] = union(self._path_changed(leaf.row, view), self._reached(leaf.row, view, rows))
        return self._read[key]

    def _leaves(self, node: Node) -> tuple[Field | Fact, ...]:
        """What an expression reads, kept with the base for the next question."""
        known = self.base.leaves
        if node not in known:
            known[node] = tuple(dict.fromkeys(leaf for leaf in walk(node) if isinstance(leaf, (Field, Fact))))
        return known[node]

    def told_otherwise(self, register: str, nodes: Iterable[Node]) -> tuple[Array, Array]:
        """The rows, now and in the base, of which some expressions say another thing; of those near by, where only they are asked for."""
        nodes = list(dict.fromkeys(nodes))
        if self.wide is None:
            rows = union(*(self.node_changed(register, node) for node in nodes))
        else:
            rows = self.near_rows(register)
        view, seats = self.view(register), self.seats(register)
        past = rows if seats is None else seats[rows]
        stayed = past >= 0
        both, were = (rows, past) if stayed.all() else (rows[stayed], past[stayed])
        other = np.zeros(len(both), bool)
        for node in nodes:
            if not isinstance(node, Const) and self._rests_on_other(register, node):
                one, two = self.shown(node, view, both), self._was(register, node, were)
                other |= ~same(one, two, node.type.kind == "num")
        return union(both[other], rows[~stayed]), union(np.sort(were[other]), self.gone(register))

    def _was(self, register: str, node: Node, rows: Array) -> Col:
        """An expression for some rows of the base, kept with it for the next question unless there are many."""
        base, view = self.base, self.base.view(register)
        if view.size <= PIECE and (register, node) not in base.told:
            base.told[register, node] = narrow(base.value(node, Place(view)).full(view.size))
        return base.shown(node, view, rows)

    def shown(self, node: Node, view: View, only: Array) -> Col:
        """An expression for some rows that are to be shown: those near by were computed together."""
        near = self.near_rows(view.register.name) if self.wide is not None else NONE
        if not len(near):
            return super().shown(node, view, only)
        if only is not near and self._among[0] is not only:
            at = np.searchsorted(near, only)
            self._among = only, at if (near.take(at, mode="clip") == only).all() else None
        among = None if only is near else self._among[1]
        if only is not near and among is None:
            return super().shown(node, view, only)
        found = self.value(node, self.near_place(view.register.name)).full(len(near))
        return found if among is None else found.at(among)

    def node_changed(self, register: str, node: Node) -> Array:
        """The rows of a register on which an expression may be another."""
        if isinstance(node, (Field, Fact)):
            return self._leaf_changed(node, self.view(register))
        return self._leaves_changed([node], self.view(register), 0)

    def _aggregate_changed(self, register: str, node: Aggregate) -> Array:
        """The rows whose aggregate may be another: those that items that are other belong or belonged to."""
        view, rows = self.view(register), self.view(node.register)
        if self.closed(node.register) != self.base.closed(node.register):
            return np.arange(view.size)
        parts = node.parts
        found = self._leaves_changed(parts, view, 1)
        mine = node.key or view.register.id_field
        if node.key:
            found = union(found, self.field_changed(register, node.key))
            items = union(self._leaves_changed(parts, rows, 0), self.field_changed(node.register, node.link))  # fmt: skip
        else:
            items = union(self._leaves_changed(parts, rows, 0), self._via_changed(node.register, node.link, register))  # fmt: skip
        old = union(self.before(node.register, items), self.gone(node.register))
        if not len(items) and not len(old):
            return found
        before = self.base.view(node.register)
        if not node.key:
            owners = self.link(rows, node.link, view)[items]
            past = self.base.link(before, node.link, self.base.view(register))[old]
            return union(found, _led_to(owners, view.size), self.after(register, _led_to(past, self.base.view(register).size)))  # fmt: skip
        named = [one.column(node.link).at(at) for one, at in ((rows, items), (before, old))]
        words = np.concatenate([column.v[np.broadcast_to(column.known, column.v.shape)] for column in named])
        return union(found, np.flatnonzero(np.isin(view.column(mine).full(view.size).v, words)))

    def grouping(self, register: str, nodes: tuple[Node, ...]) -> tuple[Array, Array]:
        """For each row now, and for each row of the base, the number of its group."""
        key = (register, nodes)
        if key not in self._groups:
            view, before = self.view(register), self.base.view(register)
            if key not in self.base.groupings:  # kept with the base for the next question
                self.base.groupings[key] = grouped(self.base, nodes, Place(before))[0]
            self._groups[key] = grouped(self, nodes, Place(view))[0], self.base.groupings[key]
        return self._groups[key]

    def members(self, register: str, nodes: tuple[Node, ...], rows: Array) -> tuple[Array, Array]:
        """All rows of the groups in which some rows are or were, now and in the base."""
        key = (register, nodes, rows.tobytes())
        if key not in self._members:
            past = union(self.before(register, rows), self.gone(register))
            now, old = self.grouping(register, nodes)
            here, once = _of_groups(now, rows), _of_groups(old, past)
            seats, back = self.seats(register), self.back(register)
            here |= once if seats is None else np.append(once, False)[seats]
            once |= here if back is None else np.append(here, False)[back[:-1]]
            self._members[key] = np.flatnonzero(here), np.flatnonzero(once)
        return self._members[key]

    def _whole_groups(self, view: View, rows: Array) -> Place:
        """The rows of some groups, with what was computed of them before: a ranking is made of several windows."""
        key = (view.register.name, rows.tobytes())
        if key not in self._wholes:
            self._wholes[key] = Place(view, rows, None, {})
        return self._wholes[key]

    # -- computing it there --------------------------------------------------------------------------------

    def link(self, owner: View, name: str, target: View) -> Array:
        """For each row in sight the row in sight of `target` that a reference leads to, or -1."""
        if owner is self.base.view(owner.register.name) and target is self.base.view(target.register.name):
            return self.base.link(owner, name, target)
        if owner.prepared is not self.prepared and owner.register.name not in self.virtual:
            # The same rows, over what they now name.
            owner = View(self.prepared, owner.register, self.as_of, self.known_at)
        return super().link(owner, name, target)

    def _whole_path(self, row: Row, start: View) -> tuple[View, Array]:
        if start is self.base.view(start.register.name) and self._still(row):
            return self.base._whole_path(row, start)
        return super()._whole_path(row, start)

    def _still(self, row: Row) -> bool:
        """Whether nothing along a path is another."""
        while row.of is not None:
            if self.view(row.register) is not self.base.view(row.register):
                return False
            fact = (row.of.register, row.via) in self.program.definitions
            if fact and len(self.changed(row.of.register, row.via)):
                return False
            row = row.of
        return self.view(row.register) is self.base.view(row.register)

    def leaf(self, node: Field | Fact, place: Place) -> Col:
        """A field or fact; of those near by only theirs is computed, if no other row's is read."""
        if (
            type(node) is not Fact
            or node.row.of is not None
            or place is not self.places.get(node.row.register)
        ):
            return super().leaf(node, place)
        return self._of_near(place.view.register.name, self.program.definitions[node.row.register, node.name])

    def _of_near(self, register: str, node: Node) -> Col:
        """A definition for those near by."""
        found = self._nearly.get((register, node))
        if found is None:
            place = self.near_place(register)
            if self._rests_on_other(register, node) and self._alone(register, node):
                made = aggregate(self, place.view, node, place.rows) if isinstance(node, Aggregate) else self.value(node, place)  # fmt: skip
                found = made.full(place.size)
            else:
                found = self.defined(register, node).full(place.view.size).at(place.rows)
            found = wide(found) if node.type.kind in NUMBERS else found
            self._nearly[register, node] = found
        return found

    def _alone(self, register: str, node: Node) -> bool:
        """Whether a definition is read of nobody but those near by, and can be computed for them alone."""
        return self.wide is not None and (register, node) not in self.wide and type(node) is not Window

    def _rests_on_other(self, register: str, node: Node) -> bool:
        return not grounds(self.program, self.virtual, register, node).isdisjoint(self.overlaid.patches)

    def _define(self, register: str, node: Node) -> Col:
        below = self.base.defined(register, node)
        if not self._rests_on_other(register, node):
            self._changed[register, node] = NONE
            return below
        view = self.view(register)
        at = reached = self._where_other(register, node)
        if self.wide is not None:
            near = self.near(register)[at]
            if (register, node) not in self.wide:
                at = at[near]
            elif near.all() and len(at) and type(node) is not Window:
                at = self.near_rows(register)  # much of what it takes was computed of them already
        if not len(at):
            self._changed[register, node] = NONE
            return self._carried(register, node, below)
        new = self._anew(register, node, at, reached).full(len(at))
        below, seats = self._carried(register, node, below).full(view.size), self.seats(register)
        other = ~same(below.at(at), new, node.type.kind == "num")
        if seats is not None:
            other |= seats[at] < 0
        if node.type.kind == "row":
            # That a row is gone is a change, though what it was cannot be told any more.
            other |= self._led_to_gone(register, node)[at]
        self._changed[register, node] = at = at[other]
        return below if not len(at) else put(below, view.size, at, new.at(np.flatnonzero(other)))

    def _where_other(self, register: str, node: Node) -> Array:
        """The rows in sight on which a definition may say another thing; of windows, whole groups."""
        match node:
            case _ if self._alone(register, node):
                # Whether it rests on anything that is another is not asked for a handful: it is quicker computed.
                return self.near_rows(register)
            case Aggregate():
                return self._aggregate_changed(register, node)
            case Window():
                parts = [part for part in (node.value, node.among, *node.groups, *(key for key, _ in node.order)) if part is not None]  # fmt: skip
                at = self._leaves_changed(parts, self.view(register), 0)
                if len(at) or len(self.gone(register)):
                    at = self.members(register, node.groups, at)[0]
                return at
            case Const():
                return self.fresh(register)
            case _:
                return self.node_changed(register, node)

    def _anew(self, register: str, node: Node, at: Array, reached: Array) -> Col:
        """A definition computed for some rows; `reached` are the whole groups of a window."""
        view, near = self.view(register), self._nearby.get(register)
        if at is near and self._alone(register, node):
            return self._of_near(register, node)
        if isinstance(node, Aggregate):
            return aggregate(self, view, node, at)
        if isinstance(node, Window):
            found = window(self, node, self._whole_groups(view, reached)).full(len(reached))
            return found.at(np.searchsorted(reached, at))
        return self.value(node, self.near_place(register) if at is near else Place(view, at))

    def belonging(self, rows: View, link: str, view: View, only: Array) -> Array:
        """The rows of a register that belong to some rows of a view; many aggregates ask for those of the rows near by."""
        if only is not self._nearby.get(view.register.name):
            return super().belonging(rows, link, view, only)
        key = (rows.register.name, link, view.register.name)
        if key not in self._belonging:
            self._belonging[key] = super().belonging(rows, link, view, only)
        return self._belonging[key]

    def _led_to_gone(self, register: str, node: Node) -> Array:
        """The rows whose row fact led to a row that is not there any more."""
        found, back = self.base.defined(register, node).full(self.base.view(register).size), self.back(node.type.target)  # fmt: skip
        if back is None:
            return np.zeros(self.view(register).size, bool)
        lost = np.append(found.known & (back[found.v] < 0), False)
        seats = self.seats(register)
        return np.asarray(lost[:-1] if seats is None else lost[seats])

    def _carried(self, register: str, node: Node, below: Col) -> Col:
        """A column of the base over the rows as they are now; rows it has not hold nothing yet."""
        found, seats = below.full(self.base.view(register).size), self.seats(register)
        back = self.back(node.type.target) if node.type.kind == "row" else None
        if back is not None:
            led = back[found.v]
            found = Col(np.maximum(led, 0), np.asarray(found.known & (led >= 0)))
        if seats is None:
            return found if back is not None else below
        return found.at(np.maximum(seats, 0), seats >= 0)
