"""Operations (运算): what each operation of the tree makes of the columns of its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel import columns, days
from ganbu.engine.kernel.columns import Array, Col, cleared, constant, integers, meet
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.pool import NUMBER
from ganbu.engine.tree import Field, Node, Op

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel, Steps

Operation = Callable[["Kernel", Op, Place], Col]
OPERATIONS: dict[str, Operation] = {}


def _operation(*names: str) -> Callable[[Operation], Operation]:
    def register(function: Operation) -> Operation:
        OPERATIONS.update(dict.fromkeys(names, function))
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


OPERATIONS["add_months"] = _moving(days.moved)
OPERATIONS["add_days"] = _moving(days.shifted)
OPERATIONS["add_workdays"] = _moving(days.workdays_later)


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
