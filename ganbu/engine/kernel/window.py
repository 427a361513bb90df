"""Windows (窗口): places, sizes and totals over all rows of a register, in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel.aggregate import seated
from ganbu.engine.kernel.columns import Array, Col, common, integers, magnitude, product, sort_key
from ganbu.engine.kernel.segments import Groups, runs
from ganbu.engine.kernel.snapshot import View
from ganbu.engine.tree import Node, Window

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel, Place

COUNTS = 1_000_000_000


def window(kernel: Kernel, view: View, node: Window, only: Array | None = None) -> Col:
    """A window fact over all rows in sight, or over `only` some whole groups of them."""
    from ganbu.engine.kernel.evaluate import Place

    place = Place(view, only)
    size = place.size
    among, _ = kernel.holds(node.among, place)
    among = np.broadcast_to(among, (size,))
    of, groups = grouped(kernel, view, node.groups, only)
    everyone = Groups(of, groups, np.arange(size))
    value = kernel.value(node.value, place).full(size) if node.value is not None else None
    if node.fn in ("place", "ties"):
        return _place(kernel, place, node, of, among)
    if node.fn in ("seated", "unseated"):
        assert value is not None
        counted = among & value.known if node.fn == "seated" else among & ~value.known
        return integers(everyone.count(counted)[of], None, COUNTS)
    if node.fn == "size":
        return integers(everyone.count(among)[of], None, COUNTS)
    assert value is not None
    value = common(value)
    known = among & value.known
    if node.fn == "known":
        return integers(everyone.count(known)[of], None, COUNTS)
    taking = everyone.where(known)
    if node.fn in ("total", "sum_known", "squares"):
        summed = product(value, value) if node.fn == "squares" else value
        found = taking.total(summed.v[known])
        ok = None
        if node.fn == "total" and value.ok is not None:
            ok = ~everyone.some(among & ~value.ok)[of]
        return Col(found[of], ok, summed.scale, summed.den, magnitude(found), summed.den_bound)
    if node.fn in ("lowest", "highest"):
        found = taking.most(value.v[known], node.fn == "lowest")
        some = taking.some(np.ones(len(taking.of), bool))
        return Col(found[of], some[of], value.scale, value.den, value.bound, value.den_bound)
    raise AssertionError(node.fn)


def grouped(
    kernel: Kernel, view: View, nodes: tuple[Node, ...], only: Array | None = None
) -> tuple[Array, int]:
    """For each row the number of its group, and how many there are; what is not known is a group of its own."""
    from ganbu.engine.kernel.evaluate import Place

    place = Place(view, only)
    of: Array = np.zeros(place.size, np.int64)
    count = 1
    for node in nodes:
        found = kernel.value(node, place).full(place.size)
        v = found.v.astype(np.int64) if found.den is None else _ratio_numbers(found)
        v = np.where(found.known, v - v.min() + 1, 0) if len(v) else v
        width = int(v.max()) + 1 if len(v) else 1
        if width > 8 * len(v) + 64 or count * width > 8 * len(v) + 64:
            v, width = _dense(v)
            if count * width > 2**62:
                of, count = _dense(of)
        of, count = of * width + v, count * width
    if count > 8 * place.size + 64:
        of, count = _dense(of)
    return of, count


def _dense(v: Array) -> tuple[Array, int]:
    distinct, back = np.unique(v, return_inverse=True)
    return back.reshape(-1), len(distinct)


def _ratio_numbers(value: Col) -> Array:
    return _dense(common(value).v)[0].astype(np.int64)


def ordered_key(value: Col, descending: bool, text: bool, kernel: Kernel) -> Array:
    """Whole numbers that sort as asked, unknown last."""
    v = kernel.pool.ranks()[value.v] if text else sort_key(value)
    if v.dtype == bool:
        v = v.astype(np.int64)
    if v.dtype == object:
        v = _dense(v)[0].astype(np.int64)
    v = -v if descending else v
    if value.ok is not None:
        v = np.where(value.ok, v, np.iinfo(np.int64).max)
    return np.asarray(v)


def _place(kernel: Kernel, place: Place, node: Window, of: Array, among: Array) -> Col:
    """Places among those who take part; ties as declared (min, dense, row)."""
    assert node.value is not None
    size = place.size
    value = kernel.value(node.value, place).full(size)
    takes_part = among if value.ok is None else among & value.ok
    at = np.flatnonzero(takes_part) if not takes_part.all() else None
    keys = [
        ordered_key(
            kernel.value(key, place).full(size), descending, key.type.kind in ("text", "code", "ref"), kernel
        )
        for key, descending in node.order
    ]
    if at is not None:
        of, keys = of[at], [key[at] for key in keys]
    by_row = node.option("ties") == "row"
    if by_row:
        # The identities in order, so that standing order decides ties.
        first = place.view.identity_order()
        if place.at is not None:
            first = seated(place.at, place.view.size)[first]
            first = first[first >= 0]
        if at is not None:
            seat = np.cumsum(takes_part) - 1
            first = seat[first[takes_part[first]]]
        seats = first[_seated(of[first], [key[first] for key in keys])]
    else:
        seats = _seated(of, keys)
    sorted_of, sorted_keys = of[seats], [key[seats] for key in keys]
    begins = runs(sorted_of)
    fresh = runs(sorted_of, *sorted_keys)
    here = np.arange(len(seats))
    start = np.maximum.accumulate(np.where(begins, here, 0)) if len(here) else here
    first = np.maximum.accumulate(np.where(fresh, here, 0)) if len(here) else here
    if node.fn == "ties":
        seat_run = np.cumsum(fresh) - 1
        found = np.bincount(seat_run)[seat_run] if len(here) else here
    elif by_row:
        found = here - start + 1
    elif node.option("ties") == "dense":
        steps = np.cumsum(fresh)
        found = steps - steps[start] + 1 if len(here) else here
    else:
        found = first - start + 1
    result = np.zeros(size, np.int64)
    result[seats if at is None else at[seats]] = found
    if node.fn == "ties":
        return integers(np.where(takes_part, result, 1), None, COUNTS)
    return integers(result, None if at is None else takes_part, COUNTS)


def _seated(of: Array, keys: list[Array]) -> Array:
    """The order by group, then keys, then as they stand."""
    size = len(of)
    if len(keys) == 1 and size:
        key, low = keys[0], int(keys[0].min())
        span = int(key.max()) - low + 1
        if span * (int(of.max()) + 1) * size < 2**63:
            # One number holds group, key and place: sorting numbers is quicker than sorting an index.
            packed = (of * span + (key - low)) * size + np.arange(size)
            packed.sort()
            return np.asarray(packed % size)
    return np.lexsort((*reversed(keys), of))
