"""Windows (窗口): places, sizes and totals over all rows of a register, in groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel.aggregate import seated
from ganbu.engine.kernel.columns import (
    PIECE,
    Array,
    Col,
    cleared,
    common,
    integers,
    magnitude,
    narrow,
    product,
    sort_key,
)
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.segments import rows_where, runs, since
from ganbu.engine.tree import Node, Window

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel

COUNTS = 1_000_000_000


def window(kernel: Kernel, node: Window, place: Place) -> Col:
    """A window fact over all rows in sight, or over some whole groups of them."""
    size = place.size
    among, _ = kernel.holds(node.among, place)
    everyone = kernel.parted(node.groups, place)
    of = everyone.of
    value = kernel.value(node.value, place).full(size) if node.value is not None else None
    if node.fn in ("place", "ties"):
        assert value is not None
        return _place(kernel, place, node, of, value, np.broadcast_to(cleared(among, value.ok), (size,)))
    if node.fn == "size":
        return _told(everyone.count(among), of)
    assert value is not None
    if node.fn == "unseated":
        counted = among & ~value.ok if value.ok is not None else np.False_
        return _told(everyone.count(np.asarray(counted)), of)
    known = np.asarray(cleared(among, value.ok))
    if node.fn in ("seated", "known"):
        return _told(everyone.count(known), of)
    value = common(value)
    if node.fn in ("total", "sum_known", "squares"):
        summed = product(value, value) if node.fn == "squares" else value
        found = everyone.total(summed.v, None if known.all() else known)
        ok = None
        if node.fn == "total" and value.ok is not None:
            ok = ~everyone.some(among & ~value.ok).take(of)
        return Col(found.take(of), ok, summed.scale, summed.den, magnitude(found), summed.den_bound)
    if node.fn in ("lowest", "highest"):
        taking = everyone.where(known)
        found = taking.most(value.v.take(rows_where(known, size)), node.fn == "lowest")
        return Col(
            found.take(of), taking.filled.take(of), value.scale, value.den, value.bound, value.den_bound
        )
    raise AssertionError(node.fn)


def _told(counts: Array, of: Array) -> Col:
    """Each row told the count of its group, in numbers as small as they are kept in where there are many rows."""
    found = integers(counts, None, COUNTS)
    return (narrow(found) if len(of) > PIECE else found).at(of)


def grouped(kernel: Kernel, nodes: tuple[Node, ...], place: Place) -> tuple[Array, int]:
    """For each row the number of its group, and how many there are; what is not known is a group of its own."""
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


def _place(kernel: Kernel, place: Place, node: Window, of: Array, value: Col, takes_part: Array) -> Col:
    """Places among those who take part; ties as declared (min, dense, row)."""
    size = place.size
    at = None if takes_part.all() else np.flatnonzero(takes_part)
    keys = [
        ordered_key(
            kernel.value(key, place).full(size), descending, key.type.kind in ("text", "code", "ref"), kernel
        )
        for key, descending in node.order
    ]
    if at is not None:
        of, keys = of.take(at), [key.take(at) for key in keys]
    by_row = node.option("ties") == "row"
    if by_row:
        # The identities in order, so that standing order decides ties.
        first = place.view.identity_order()
        if place.at is not None:
            first = seated(place.rows, place.view.size)[first]
            first = first[first >= 0]
        if at is not None:
            seat = np.cumsum(takes_part) - 1
            first = seat[first[takes_part[first]]]
        seats, begins, fresh = _seated(of.take(first), [key.take(first) for key in keys])
        seats = first.take(seats)
    else:
        seats, begins, fresh = _seated(of, keys)
    if node.fn == "ties":
        run = np.cumsum(fresh) - 1
        found = np.bincount(run)[run] if len(run) else run
    elif by_row:
        found = np.arange(1, len(seats) + 1) - since(begins)
    elif node.option("ties") == "dense":
        steps = np.cumsum(fresh)
        found = steps - steps[since(begins)] + 1 if len(steps) else steps
    else:
        found = since(fresh) - since(begins) + 1
    result = np.zeros(size, np.int32 if size < 2**31 else np.int64)
    result[seats if at is None else at.take(seats)] = found
    if node.fn == "ties":
        return integers(result.astype(np.int64) + ~takes_part, None, COUNTS)
    result = result if size > PIECE else result.astype(np.int64)
    return integers(result, None if at is None else takes_part, COUNTS)


def _seated(of: Array, keys: list[Array]) -> tuple[Array, Array, Array]:
    """The order by group, then keys, then as they stand; where a group begins in it, and where a group or a key does."""
    if len(keys) == 1 and len(of):
        found = _packed(of, keys[0]) or _by_parcels(of, keys[0])
        if found is not None:
            return found
    seats = np.lexsort((*reversed(keys), of))
    begins = runs(of.take(seats))
    return seats, begins, begins | runs(*(key.take(seats) for key in keys)) if keys else begins


def _packed(of: Array, key: Array) -> tuple[Array, Array, Array] | None:
    """Group, key and place held by one number, where they fit: sorting numbers is quicker than sorting an index."""
    low, places = int(key.min()), len(of).bit_length()
    steps = (int(key.max()) - low).bit_length()
    if int(of.max()).bit_length() + steps + places >= 64:
        return None
    packed = of.astype(np.int64)
    packed <<= steps
    packed += key
    packed -= low
    packed <<= places
    packed += np.arange(len(of))
    packed.sort()
    seats = packed & ((1 << places) - 1)
    packed >>= places
    fresh = runs(packed)
    packed >>= steps
    return seats, runs(packed), fresh


def _by_parcels(of: Array, key: Array) -> tuple[Array, Array, Array] | None:
    """The same, some neighbouring groups at a time, whose numbers and places are smaller."""
    few = max(int(of.max()).bit_length() - 8, 0)
    parcels = of >> few
    order = np.argsort(parcels.astype(np.uint8), kind="stable")
    found, first = [], 0
    for last in np.cumsum(np.bincount(parcels)).tolist():
        if last > first:
            rows = order[first:last]
            part = _packed(of.take(rows) & ((1 << few) - 1), key.take(rows))
            if part is None:
                return None
            found.append((rows.take(part[0]), *part[1:]))
        first = last
    seats, begins, fresh = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return seats, begins, fresh
