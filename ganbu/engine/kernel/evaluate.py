"""Evaluating by columns (列式求值): facts are computed when first asked for, once, over all rows in sight."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
    integers,
    joined,
    meet,
    narrow,
    wide,
)
from ganbu.engine.kernel.effects import EffectsView
from ganbu.engine.kernel.needs import Needs
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.segments import Groups
from ganbu.engine.kernel.snapshot import NOWHERE, NUMBER, Prepared, View
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
        self.rests: dict[tuple[str, Node], frozenset[str]] = {}
        self.groupings: dict[tuple[str, tuple[Node, ...]], Array] = {}

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
        for register, nodes in wanted.items():
            place = Place(self.view(register))
            for node in nodes:
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

    def parted(self, view: View, nodes: tuple[Node, ...], only: Array | None = None) -> Groups:
        """The rows in sight, or `only` some of them, in the groups that expressions make; the last ones are kept."""
        if only is not None:
            return Groups(*grouped(self, view, nodes, only))
        key, kept = (view.register.name, nodes), self._parted
        if kept is None or kept[0] != key:
            kept = self._parted = (key, Groups(*grouped(self, view, nodes)))
        return kept[1]

    def _define(self, register: str, node: Node) -> Col:
        view = self.view(register)
        if isinstance(node, Aggregate):
            return aggregate(self, view, node)
        if isinstance(node, Window):
            return window(self, view, node)
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
            return _OPS[node.op](self, node, place)
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


# -- operations ------------------------------------------------------------------------------------------------

Operation = Callable[[Kernel, Op, Place], Col]
_OPS: dict[str, Operation] = {}


def _operation(*names: str) -> Callable[[Operation], Operation]:
    def register(function: Operation) -> Operation:
        _OPS.update(dict.fromkeys(names, function))
        return function

    return register


def _args(kernel: Kernel, node: Op, place: Place) -> list[Col]:
    return [kernel.value(arg, place) for arg in node.args]


@_operation("and")
def _and(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.conjunction(_args(kernel, node, place))


@_operation("or")
def _or(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.disjunction(_args(kernel, node, place))


@_operation("not")
def _not(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.negation(kernel.value(node.args[0], place))


@_operation("is_true")
def _is_true(kernel: Kernel, node: Op, place: Place) -> Col:
    return Col(kernel.value(node.args[0], place).v)


@_operation("is_false")
def _is_false(kernel: Kernel, node: Op, place: Place) -> Col:
    found = kernel.value(node.args[0], place)
    return Col(~found.v if found.ok is None else found.ok & ~found.v)


@_operation("is_missing")
def _is_missing(kernel: Kernel, node: Op, place: Place) -> Col:
    inner = node.args[0]
    found = kernel.value(inner, place)
    gone = np.asarray(False) if found.ok is None else ~found.ok
    if isinstance(inner, Field) and inner.row.of is None:
        return _never_stated(kernel, inner, gone, place)
    return Col(gone)


def _never_stated(kernel: Kernel, node: Field, gone: Array, place: Place) -> Col:
    """Whether an end is missing: one of which only the year is known has come, lies ahead, or may be either."""
    root = place.root(node.row.root.up)
    years = root.view.years(node.name)
    if years is None:
        return Col(gone)
    years = years if root.at is None else years[root.at]
    this = kernel.as_of.year
    return Col(gone & ((years == 0) | (years > this)), ~(gone & (years == this)))


@_operation("unknown")
def _unknown(kernel: Kernel, node: Op, place: Place) -> Col:
    return constant(False, False)


@_operation("compare")
def _compare(kernel: Kernel, node: Op, place: Place) -> Col:
    one, two = _args(kernel, node, place)
    sign, (left, right) = str(node.detail[0]), node.args
    if left.type.kind == "num" and right.type.kind == "num":
        return columns.comparison(one, sign, two)
    if sign not in ("=", "!=") and left.type.kind in ("text", "code", "ref"):
        ranks = kernel.pool.ranks()
        one, two = Col(ranks[one.v], one.ok), Col(ranks[two.v], two.ok)
    return columns.compared(one, sign, two)


@_operation("compare_order")
def _compare_order(kernel: Kernel, node: Op, place: Place) -> Col:
    sign, steps = node.detail
    one, two = (_ordinals(kernel, arg, steps, place) for arg in node.args)  # type: ignore[arg-type]
    return columns.compared(one, str(sign), two)


def _ordinals(kernel: Kernel, node: Node, steps: Steps, place: Place) -> Col:
    """A word's step in an order; a word outside it cannot be compared, so it is not known."""
    found = kernel.value(node, place)
    at = kernel.table_of(steps)[found.v]
    return integers(np.maximum(at, 0), meet(found.ok, np.asarray(at >= 0)), len(steps))


@_operation("ordinal")
def _ordinal(kernel: Kernel, node: Op, place: Place) -> Col:
    return _ordinals(kernel, node.args[0], node.detail[0], place)  # type: ignore[arg-type]


@_operation("from_ordinal")
def _from_ordinal(kernel: Kernel, node: Op, place: Place) -> Col:
    steps: Steps = node.detail[0]  # type: ignore[assignment]
    found = kernel.value(node.args[0], place)
    return Col(kernel.pool.numbered([words[0] for words in steps])[found.v], found.ok)


@_operation("in")
def _in(kernel: Kernel, node: Op, place: Place) -> Col:
    left, *items = _args(kernel, node, place)
    if not items:
        return Col(np.zeros(left.v.shape, bool), left.ok)
    if node.args[0].type.kind == "num":
        return columns.disjunction([columns.comparison(left, "=", item) for item in items])
    found = np.zeros(left.v.shape, bool)
    for item in items:
        found = found | (left.v == item.v)
    ok = columns.meet(left.ok, None)
    return Col(cleared(found, ok), ok)


@_operation("contains")
def _contains(kernel: Kernel, node: Op, place: Place) -> Col:
    one, two = _args(kernel, node, place)
    if two.v.ndim:
        raise AssertionError("the needle is a constant")
    ok = meet(one.ok, two.ok)
    needle = kernel.pool.texts[int(two.v)] if two.ok is None else ""
    distinct, back = np.unique(one.v, return_inverse=True)
    found = np.array([needle in kernel.pool.texts[at] for at in distinct.ravel()], bool)
    return Col(cleared(found[back.reshape(one.v.shape)], ok), ok)


@_operation("add", "sub")
def _sum(kernel: Kernel, node: Op, place: Place) -> Col:
    one, two = _args(kernel, node, place)
    return columns.plus(one, two, 1 if node.op == "add" else -1)


@_operation("mul")
def _product(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.product(*_args(kernel, node, place))


@_operation("div")
def _quotient(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.quotient(*_args(kernel, node, place))


@_operation("abs")
def _abs(kernel: Kernel, node: Op, place: Place) -> Col:
    found = kernel.value(node.args[0], place)
    return Col(abs(found.v), found.ok, found.scale, found.den, found.bound, found.den_bound)


@_operation("round")
def _round(kernel: Kernel, node: Op, place: Place) -> Col:
    digits, mode = node.detail
    return columns.rounded(kernel.value(node.args[0], place), int(str(digits)), str(mode))


@_operation("least", "greatest")
def _least(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.least(_args(kernel, node, place), node.op == "greatest", node.type.kind == "num")


@_operation("earliest")
def _earliest(kernel: Kernel, node: Op, place: Place) -> Col:
    return columns.earliest(_args(kernel, node, place))


@_operation("or_else")
def _or_else(kernel: Kernel, node: Op, place: Place) -> Col:
    one, two = _args(kernel, node, place)
    if one.ok is None:
        return one
    return columns.chosen([one.ok], [one, two], node.type.kind == "num")


@_operation("if")
def _if(kernel: Kernel, node: Op, place: Place) -> Col:
    conditions = [kernel.value(arg, place).v for arg in node.args[:-1:2]]
    values = [kernel.value(arg, place) for arg in (*node.args[1::2], node.args[-1])]
    found = columns.chosen(conditions, values, node.type.kind == "num")
    return Col(cleared(found.v, found.ok), found.ok) if node.type.kind == "bool" else found


# -- dates -----------------------------------------------------------------------------------------------------


@_operation("years")
def _years(kernel: Kernel, node: Op, place: Place) -> Col:
    start, end = _args(kernel, node, place)
    return integers(days.years_between(start.v, end.v), meet(start.ok, end.ok), 10_000)


@_operation("months")
def _months(kernel: Kernel, node: Op, place: Place) -> Col:
    start, end = _args(kernel, node, place)
    return integers(days.months_between(start.v, end.v), meet(start.ok, end.ok), 120_000)


@_operation("days")
def _days(kernel: Kernel, node: Op, place: Place) -> Col:
    start, end = _args(kernel, node, place)
    return integers(np.asarray(end.v - start.v), meet(start.ok, end.ok), 4_000_000)


@_operation("workdays")
def _workdays(kernel: Kernel, node: Op, place: Place) -> Col:
    return days.workdays_between(*_args(kernel, node, place))


def _moving(move: Callable[[Col, Col], Col]) -> Operation:
    def moved(kernel: Kernel, node: Op, place: Place) -> Col:
        start, amount = _args(kernel, node, place)
        return move(start, columns.rounded(amount, 0, "down"))

    return moved


_OPS["add_months"] = _moving(days.moved)
_OPS["add_days"] = _moving(days.shifted)
_OPS["add_workdays"] = _moving(days.workdays_later)


@_operation("year", "month", "day")
def _part(kernel: Kernel, node: Op, place: Place) -> Col:
    found = kernel.value(node.args[0], place)
    months, day = days.parts(found.v)
    part = {"year": months // 12 + 1970, "month": months % 12 + 1, "day": day}[node.op]
    return integers(part, found.ok, 10_000)


@_operation("make_date")
def _make_date(kernel: Kernel, node: Op, place: Place) -> Col:
    year, month, day = (columns.rounded(arg, 0, "down") for arg in _args(kernel, node, place))
    return days.built(year, month, day)


# -- for results -----------------------------------------------------------------------------------------------


@_operation("mask")
def _mask(kernel: Kernel, node: Op, place: Place) -> Col:
    """One bit for each condition that is known to be true."""
    kind = next(np.dtype(f"i{size}") for size in (1, 2, 4, 8) if len(node.args) < 8 * size)
    args = [arg.v.view(np.int8) for arg in _args(kernel, node, place)]
    found: Array = np.zeros((), kind)
    for first in range(0, len(args), 7):  # seven bits at a time in bytes, which are quickest to put together
        byte: Array = np.zeros((), np.int8)
        for at, arg in enumerate(args[first : first + 7]):
            if arg.ndim or arg:
                byte = byte | (arg << np.int8(at))
        found = byte if kind == np.int8 else found | np.left_shift(byte.astype(kind), first, dtype=kind)
    return integers(found, None, columns.FITS - 1)


@_operation("words")
def _words(kernel: Kernel, node: Op, place: Place) -> Col:
    """The labels of the conditions that are true, joined."""
    shape = (place.size,)
    rows = [np.broadcast_to(arg.v, shape) for arg in _args(kernel, node, place)]
    held = np.stack(rows, axis=1) if rows else np.zeros((place.size, 0), bool)
    distinct, back = np.unique(held, axis=0, return_inverse=True)
    texts = [
        "、".join(str(word) for word, yes in zip(node.detail, row, strict=True) if yes) for row in distinct
    ]
    return Col(kernel.pool.numbered(texts)[back.reshape(-1)] if texts else np.zeros(0, NUMBER))


@_operation("zscore")
def _zscore(kernel: Kernel, node: Op, place: Place) -> Col:
    """(n*x - sum) / sqrt(n*squares - sum**2), six decimals half-up; the only irrational number there is."""
    args = [arg.full(place.size) for arg in _args(kernel, node, place)]
    x, n, total, squares = (arg.v.astype(object) for arg in args)
    top, spread = n * x - total, n * squares - total * total
    score = np.zeros(place.size)
    some = np.array(spread != 0, bool)
    # Whole numbers become floating-point only here, each rounded once, as in the SQL backend.
    score[some] = top[some].astype(float) / np.sqrt(spread[some].astype(float)) * 1_000_000
    found = np.where(score < 0, -np.floor(-score + 0.5), np.floor(score + 0.5)).astype(np.int64)
    return integers(found, columns.known_in(args), None, 6)
