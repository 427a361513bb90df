"""Columns (列): values, which of them are known, and for numbers the scale and denominator.

A number is `v / 10**scale / den`, in 64-bit whole numbers while a bound kept beside them shows that they fit, and
in Python's unbounded ones beyond that: it never wraps and never becomes a floating-point number.
Rows without a known value hold zero (or False), so that three-valued logic needs no branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FITS = 2**62
# Rows worked on at a time, so that what lies between an expression's operations stays in the processor's cache.
PIECE = 2**17
MOST_DIGITS = 15  # the longest decimal written without a denominator


@dataclass(slots=True)
class Col:
    """One column, or one value for every row (a 0-d array).

    `ok` tells which rows are known (None: all). `bound` is the largest magnitude `v` can have, `low` the largest
    denominator; both are only used for numbers.
    """

    v: Array
    ok: Array | None = None
    scale: int = 0
    den: Array | None = None
    bound: int = 0
    den_bound: int = 1

    @property
    def known(self) -> Array:
        """Which rows are known, as an array."""
        return np.True_ if self.ok is None else self.ok  # type: ignore[return-value]

    def at(self, index: Array | slice, ok: Array | None = None) -> Col:
        """The rows at `index`, numbers or a slice; rows outside `ok` are not known."""
        if isinstance(index, slice):
            cut = [
                part if part is None or part.ndim == 0 else part[index]
                for part in (self.v, self.ok, self.den)
            ]
            return Col(cut[0], cut[1], self.scale, cut[2], self.bound, self.den_bound)  # type: ignore[arg-type]
        if self.v.ndim == 0:
            mine = self.ok if self.ok is None or self.ok.ndim == 0 else self.ok.take(index)
            return replace(self, ok=meet(mine, ok))
        if not len(self.v):
            return replace(
                self,
                v=np.zeros(len(index), self.v.dtype),
                ok=np.zeros(len(index), bool),
                den=None if self.den is None else np.ones(len(index), self.den.dtype),
            )
        known = meet(None if self.ok is None else self.ok.take(index), ok)
        den = self.den if self.den is None or self.den.ndim == 0 else self.den.take(index)
        return Col(self.v.take(index), known, self.scale, den, self.bound, self.den_bound)

    def full(self, rows: int) -> Col:
        """The same with an entry for each row."""
        if self.v.ndim and (self.ok is None or self.ok.ndim):
            return self
        return Col(
            _filled(self.v, rows), None if self.ok is None else _filled(self.ok, rows), self.scale,
            None if self.den is None else _filled(self.den, rows), self.bound, self.den_bound,
        )  # fmt: skip


def _filled(values: Array, rows: int) -> Array:
    """One value for every row; for a few rows it is quicker written out than pretended."""
    if values.ndim or rows > 1000:
        return np.broadcast_to(values, (rows,))
    return np.full(rows, values)


def meet(one: Array | None, two: Array | None) -> Array | None:
    """Known in both."""
    if one is None:
        return two
    return one if two is None else one & two


def known_in(columns: Sequence[Col]) -> Array | None:
    """Known in all."""
    known: Array | None = None
    for column in columns:
        known = meet(known, column.ok)
    return known


def narrow(column: Col) -> Col:
    """The same for keeping, in the smallest whole numbers that hold it; to be reckoned with it is made `wide` again."""
    v = column.v
    if v.dtype != np.int64 or not v.ndim:
        return column
    most = column.bound if 0 < column.bound < 2**31 else magnitude(v)
    kind = next((kind for kind in (np.int8, np.int16, np.int32) if most <= np.iinfo(kind).max), np.int64)
    return replace(column, v=v.astype(kind)) if kind is not np.int64 else column


def wide(column: Col) -> Col:
    """The same in 64-bit whole numbers: bounds are kept for those."""
    v = column.v
    if v.dtype.kind != "i" or v.dtype.itemsize == 8:
        return column
    return Col(v.astype(np.int64), column.ok, column.scale, column.den, column.bound, column.den_bound)


def joined(pieces: Sequence[tuple[Col, int]]) -> Col:
    """One column of pieces, each with the number of its rows."""
    scale = max(piece.scale for piece, _ in pieces)
    columns = [(at_scale(piece, scale), rows) for piece, rows in pieces]
    said = {_one_value(piece) for piece, _ in columns}
    if len(said) == 1 and None not in said:
        return columns[0][0]
    ok = den = None
    if any(piece.ok is not None for piece, _ in columns):
        ok = np.concatenate([np.broadcast_to(piece.known, (rows,)) for piece, rows in columns])
    if any(piece.den is not None for piece, _ in columns):
        den = np.concatenate([np.broadcast_to(_or_one(piece.den), (rows,)) for piece, rows in columns])
    return Col(
        np.concatenate([np.broadcast_to(piece.v, (rows,)) for piece, rows in columns]), ok, scale, den,
        max(piece.bound for piece, _ in columns), max(piece.den_bound for piece, _ in columns),
    )  # fmt: skip


def _one_value(column: Col) -> tuple[Any, ...] | None:
    """What a column says of every row, if it says the same of all."""
    parts = [part for part in (column.v, column.ok, column.den) if part is not None]
    if any(part.ndim for part in parts):
        return None
    return tuple(None if part is None else part[()] for part in (column.v, column.ok, column.den))


def constant(value: Any, ok: bool = True) -> Col:
    """A value that is the same in every row."""
    return Col(np.asarray(value), None if ok else np.asarray(False))


def cleared(v: Array, ok: Array | None) -> Array:
    """Truth values with the unknown rows set to False."""
    return v if ok is None else v & ok


# -- three values -------------------------------------------------------------------------------------------


def conjunction(parts: Sequence[Col]) -> Col:
    """Three-valued and."""
    v, ok = parts[0].v, parts[0].ok
    for part in parts[1:]:
        if ok is None and part.ok is None:
            v = v & part.v
            continue
        no = (~v if ok is None else ok & ~v) | (~part.v if part.ok is None else part.ok & ~part.v)
        v = v & part.v
        ok = no | v
    return Col(v, ok)


def disjunction(parts: Sequence[Col]) -> Col:
    """Three-valued or."""
    v, ok = parts[0].v, parts[0].ok
    for part in parts[1:]:
        if ok is None and part.ok is None:
            v = v | part.v
            continue
        no = (~v if ok is None else ok & ~v) & (~part.v if part.ok is None else part.ok & ~part.v)
        v = v | part.v
        ok = no | v
    return Col(v, ok)


def negation(part: Col) -> Col:
    """Three-valued not."""
    return Col(~part.v if part.ok is None else part.ok & ~part.v, part.ok)


# -- exact numbers ------------------------------------------------------------------------------------------


def number(value: Fraction) -> Col:
    """A literal: decimal where it has a finite decimal form, else with a denominator."""
    for scale in range(MOST_DIGITS + 1):
        scaled = value * 10**scale
        if scaled.denominator == 1:
            return whole(scaled.numerator, scale)
    column = whole(value.numerator)
    return replace(column, den=whole(value.denominator).v, den_bound=value.denominator)


def whole(value: int, scale: int = 0) -> Col:
    """A whole number of the given scale."""
    big = abs(value) >= FITS
    return Col(np.array(value, object if big else np.int64), None, scale, None, abs(value))


def integers(v: Array, ok: Array | None = None, bound: int | None = None, scale: int = 0) -> Col:
    """A column of whole numbers; the bound is looked up when it is not given."""
    return Col(v, ok, scale, None, magnitude(v) if bound is None else bound)


def magnitude(v: Array) -> int:
    """The largest magnitude in a column of whole numbers."""
    return int(max(abs(int(v.max())), abs(int(v.min())))) if v.size else 0


def _room(one: Array, one_bound: int, two: Array, two_bound: int) -> tuple[Array, Array, int, bool]:
    """Both factors ready for multiplication: 64-bit where the product fits, else unbounded."""
    bound = one_bound * two_bound
    if bound >= FITS:
        bound = magnitude(one) * magnitude(two)
    if bound >= FITS:
        return one.astype(object), two.astype(object), bound, True
    return one, two, bound, False


def _times(one: Array, one_bound: int, two: Array, two_bound: int) -> tuple[Array, int]:
    one, two, bound, big = _room(one, one_bound, two, two_bound)
    return np.array(one * two, object if big else None), bound


def _scaled(v: Array, bound: int, by: int) -> tuple[Array, int]:
    if by == 1:
        return v, bound
    if max(bound, 1) * by >= FITS:
        bound = magnitude(v)
    if max(bound, 1) * by >= FITS:
        return np.array(v.astype(object) * by, object), bound * by
    return np.asarray(v * np.int64(by) if v.dtype != object else v * by), bound * by


def at_scale(value: Col, scale: int) -> Col:
    """The same number with a larger scale."""
    if scale == value.scale:
        return value
    v, bound = _scaled(value.v, value.bound, 10 ** (scale - value.scale))
    return replace(value, v=v, bound=bound, scale=scale)


def aligned(one: Col, two: Col) -> tuple[Col, Col]:
    """Both numbers with one scale and one denominator."""
    scale = max(one.scale, two.scale)
    one, two = at_scale(one, scale), at_scale(two, scale)
    if one.den is None and two.den is None:
        return one, two
    if one.den is two.den:
        return one, two
    left, left_bound = (np.asarray(1), 1) if one.den is None else (one.den, one.den_bound)
    right, right_bound = (np.asarray(1), 1) if two.den is None else (two.den, two.den_bound)
    den, den_bound = _times(left, left_bound, right, right_bound)
    one_v, one_bound = _times(one.v, one.bound, right, right_bound)
    two_v, two_bound = _times(two.v, two.bound, left, left_bound)
    return (
        replace(one, v=one_v, bound=one_bound, den=den, den_bound=den_bound),
        replace(two, v=two_v, bound=two_bound, den=den, den_bound=den_bound),
    )


def plus(one: Col, two: Col, sign: int) -> Col:
    """Sum or difference."""
    one, two = aligned(one, two)
    bound = one.bound + two.bound
    a, b = one.v, two.v
    if bound >= FITS:
        bound = magnitude(a) + magnitude(b)
        if bound >= FITS:
            a, b = a.astype(object), b.astype(object)
    v = np.array(a + b if sign > 0 else a - b, object if object in (a.dtype, b.dtype) else None)
    return Col(v, meet(one.ok, two.ok), one.scale, one.den, bound, one.den_bound)


def product(one: Col, two: Col) -> Col:
    """Product."""
    v, bound = _times(one.v, one.bound, two.v, two.bound)
    den, den_bound = one.den, one.den_bound
    if two.den is not None:
        den, den_bound = (
            (two.den, two.den_bound) if den is None else _times(den, den_bound, two.den, two.den_bound)
        )
    return Col(v, meet(one.ok, two.ok), one.scale + two.scale, den, bound, den_bound)


def quotient(one: Col, two: Col) -> Col:
    """Quotient; division by zero is not known."""
    if two.v.ndim == 0 and (two.den is None or two.den.ndim == 0) and two.ok is None and int(two.v):
        value = Fraction(int(two.v), 10**two.scale) / (1 if two.den is None else int(two.den))
        return product(one, number(1 / value))
    # a/10^s/d : b/10^t/e = (a * 10^t * e) / (b * 10^s * d), with the sign moved to the numerator
    top, top_bound = _scaled(one.v, one.bound, 10**two.scale)
    if two.den is not None:
        top, top_bound = _times(top, top_bound, two.den, two.den_bound)
    bottom, bottom_bound = two.v, two.bound
    if one.den is not None:
        bottom, bottom_bound = _times(bottom, bottom_bound, one.den, one.den_bound)
    zero = two.v == 0
    top = np.asarray(np.where(two.v < 0, -top, top))
    bottom = np.asarray(np.where(zero, 1, abs(bottom)))
    ok = meet(meet(one.ok, two.ok), np.asarray(~zero))
    return Col(top, ok, one.scale, bottom, top_bound, max(bottom_bound, 1))


def comparison(one: Col, sign: str, two: Col) -> Col:
    """A comparison, exact: ratios by cross-multiplication."""
    one, two = aligned(one, two)
    return compared(one, sign, two)


_COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "=": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
    ">": np.greater,
    "<": np.less,
}


def compared(one: Col, sign: str, two: Col) -> Col:
    """A comparison of values as they stand."""
    ok = meet(one.ok, two.ok)
    return Col(cleared(np.asarray(_COMPARE[sign](one.v, two.v), bool), ok), ok)


def rounded(value: Col, digits: int, mode: str) -> Col:
    """The number rounded to `digits` decimals: half_up (away from zero), half_even, down, up, floor, ceil."""
    power = digits - value.scale
    if value.den is None and power >= 0:
        return value
    top, top_bound = _scaled(value.v, value.bound, 10 ** max(power, 0))
    bottom = np.asarray(1) if value.den is None else value.den
    bottom, bottom_bound = _scaled(bottom, value.den_bound, 10 ** max(-power, 0))
    if 2 * top_bound + bottom_bound >= FITS:
        top_bound = magnitude(top)
    if 2 * top_bound + bottom_bound >= FITS or top.dtype == object or bottom.dtype == object:
        top, bottom = top.astype(object), bottom.astype(object)
    size = abs(top)
    part = size // bottom
    if mode == "half_up":
        part = (2 * size + bottom) // (2 * bottom)
    elif mode != "down":
        rest = size - part * bottom
        match mode:
            case "up":
                more = rest > 0
            case "floor":
                more = (rest > 0) & (top < 0)
            case "ceil":
                more = (rest > 0) & (top > 0)
            case _:
                more = (2 * rest > bottom) | ((2 * rest == bottom) & (part % 2 == 1))
        part = part + np.asarray(more).astype(np.int64)
    v = np.asarray(np.where(top < 0, -part, part))
    bound = top_bound + 1
    if v.dtype == object and (not v.size or magnitude(v) < FITS):
        v, bound = v.astype(np.int64), magnitude(v)
    return Col(v, value.ok, digits, None, bound)


def common(value: Col) -> Col:
    """The same numbers over one denominator, so that they can be added, compared and counted exactly."""
    if value.den is None or value.den.ndim == 0:
        return value
    whole_den = math.lcm(*{int(den) for den in np.unique(value.den).tolist()})
    if whole_den >= FITS or magnitude(value.v) * whole_den >= FITS:
        v = value.v.astype(object) * (whole_den // value.den.astype(object))
        return Col(v, value.ok, value.scale, np.array(whole_den, object), magnitude(v), whole_den)
    v = value.v * (whole_den // value.den)
    return Col(v, value.ok, value.scale, np.asarray(np.int64(whole_den)), magnitude(v), whole_den)


def sort_key(value: Col) -> Array:
    """Whole numbers that sort as the exact values do."""
    if value.den is None or value.den.ndim == 0:
        return value.v
    by = 10 ** max(9, 2 * len(str(value.den_bound)))
    top, _ = _scaled(value.v, value.bound, by)
    den = value.den.astype(object) if top.dtype == object else value.den
    return np.asarray(top // den)


def chosen(conditions: Sequence[Array], values: Sequence[Col], numeric: bool) -> Col:
    """For each row the value of the first condition that holds, else the last value."""
    values = together(values) if numeric else list(values)
    bound, den_bound = max(value.bound for value in values), max(value.den_bound for value in values)
    scale, branches, last = values[-1].scale, [], values[-1]
    for condition, value in zip(conditions, values, strict=False):
        if condition.ndim == 0 and condition:
            last = value
            break
        if condition.ndim and condition.any():
            branches.append((condition, value))
    # A row without a known value may hold any: what is chosen only where nothing is known need not be put there.
    v, den = last.v, last.den
    told = last.ok is None or last.ok.ndim > 0 or bool(last.ok) or v.dtype == bool
    for condition, value in reversed(branches):
        if value.ok is not None and value.ok.ndim == 0 and not value.ok and v.dtype != bool:
            continue
        v = _either(condition, value.v, v) if told else value.v
        if den is not value.den:
            den = _either(condition, _or_one(value.den), _or_one(den)) if told else value.den
        told = True
    return Col(v, _chosen_known(branches, last), scale, den, bound, den_bound)


def _chosen_known(branches: Sequence[tuple[Array, Col]], last: Col) -> Array | None:
    """Where the value that is chosen is known."""
    ok = last.ok
    for condition, value in reversed(branches):
        if value.ok is None:
            ok = None if ok is None else condition | ok if ok.ndim or ok else condition
        elif ok is None:
            ok = value.ok | ~condition
        else:
            ok = (condition & value.ok) | (~condition & ok)
    return ok


def _either(condition: Array, one: Array, two: Array) -> Array:
    """One where the condition holds, else two: reckoned, because a processor guesses badly which way a row goes."""
    if one.dtype == bool and two.dtype == bool:
        return (condition & one) | (~condition & two)
    if one.dtype == object or two.dtype == object:
        return np.where(condition, one, two)
    found = np.asarray((one - two) * condition)
    if two.ndim or two:
        found += two
    return found


def _or_one(den: Array | None) -> Array:
    return np.asarray(1) if den is None else den


def together(values: Sequence[Col]) -> list[Col]:
    """Numbers brought to one scale; each keeps its denominator."""
    scale = max(value.scale for value in values)
    return [at_scale(value, scale) for value in values]


def least(values: Sequence[Col], greatest: bool, numeric: bool) -> Col:
    """The least or greatest of values that must all be known."""
    best = values[0]
    for other in values[1:]:
        one, two = aligned(best, other) if numeric else (best, other)
        v = np.maximum(one.v, two.v) if greatest else np.minimum(one.v, two.v)
        best = Col(v, meet(one.ok, two.ok), one.scale, one.den, max(one.bound, two.bound), one.den_bound)
    return best


def earliest(values: Sequence[Col]) -> Col:
    """The least of the known values; not known where none is."""
    far = np.iinfo(np.int64).max
    parts = [np.where(value.known, value.v, far) for value in values]
    v = parts[0]
    for part in parts[1:]:
        v = np.minimum(v, part)
    ok = v != far
    return Col(np.where(ok, v, 0), ok)
