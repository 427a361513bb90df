"""Sequences and spans of time (连续与任期): streaks of periods, merged spans, clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel.columns import Array, Col, integers
from ganbu.engine.kernel.days import FAR_FUTURE, days_of, months_between, moved
from ganbu.engine.kernel.segments import Groups, running_most, runs
from ganbu.engine.tree import Aggregate

if TYPE_CHECKING:
    from ganbu.engine.kernel.aggregate import Items
    from ganbu.engine.kernel.evaluate import Kernel


def _taking(kernel: Kernel, node: Aggregate, items: Items) -> tuple[Items, Array]:
    """The items that are not known to be out, and which of them are not known to be in."""
    holds, unknown = kernel.holds(node.where, items.place)
    size = len(items.groups.of)
    holds = np.broadcast_to(holds, (size,))
    doubt = np.zeros(size, bool) if unknown is None else np.broadcast_to(unknown, (size,))
    kept = holds | doubt
    return items.where(kept), doubt[kept]


def _counted(found: Array, ok: Array, groups: Groups, closed: bool) -> Col:
    """Counts by group; a group without items counts nought where the register is closed."""
    some = groups.filled
    known = np.where(some, ok, closed)
    return integers(np.where(some & known, found, 0), None if known.all() else known, 1_000_000)


# -- periods ---------------------------------------------------------------------------------------------------


def streak(kernel: Kernel, node: Aggregate, items: Items, closed: bool) -> Col:
    """How many periods in a row up to the latest (or to a given one) satisfy a condition.

    A period in which it is not known ends what is known: if it stands just before the streak, so could be longer,
    the result is not known. With gap=skip, periods without a row are passed over.
    """
    of, o, yes, unknown, size = _periods(kernel, node, items)
    groups = Groups(of, size)
    if node.option("gap") == "skip":
        far = np.int64(-(2**60))
        last_no = np.full(size, far)
        np.maximum.at(last_no, of[~yes & ~unknown], o[~yes & ~unknown])
        last_unknown = np.full(size, far)
        np.maximum.at(last_unknown, of[unknown], o[unknown])
        found = groups.count(yes & (o > last_no[of]))
        return _counted(found, ~(last_unknown > last_no), groups, closed)
    end = groups.most(o) if len(o) else np.zeros(size, np.int64)
    to = node.option("to")
    if to is not None:
        end = np.full(size, int(str(to)), np.int64)
    # Distinct periods in which it held, latest first, numbered from the end: a streak while period + number = end.
    keep = yes & (o <= end[of])
    pairs = _distinct_pairs(of[keep], o[keep])
    seat_of, seat_o = pairs
    back = _numbered_back(seat_of)
    unbroken = seat_o + back == end[seat_of]
    found = np.bincount(seat_of[unbroken], minlength=size)
    at = unknown & (o == (end - found)[of])
    return _counted(found, ~groups.some(at), groups, closed)


def longest(kernel: Kernel, node: Aggregate, items: Items, closed: bool) -> Col:
    """The longest run of periods that ever satisfied a condition; not known where an unknown period could lengthen it."""
    of, o, yes, unknown, size = _periods(kernel, node, items)
    groups = Groups(of, size)
    least, most = (_longest(of, o, held, node, size) for held in (yes, yes | unknown))
    return _counted(least, least == most, groups, closed)


def _longest(of: Array, o: Array, yes: Array, node: Aggregate, size: int) -> Array:
    order = np.lexsort((o, of))
    of, o, yes = of[order], o[order], yes[order]
    if node.option("gap") == "skip":
        fresh = np.flatnonzero(runs(of, o))
        of, yes = of[fresh], np.logical_or.reduceat(yes, fresh) if len(fresh) else yes
        breaks = runs(of) | ~yes
        run = np.cumsum(breaks) - 1
        sizes = np.bincount(run[yes], minlength=int(run[-1]) + 1 if len(run) else 0)
    else:
        pair_of, pair_o = _distinct_pairs(of[yes], o[yes])
        begins = runs(pair_of)
        if len(pair_o):
            begins[1:] |= pair_o[1:] != pair_o[:-1] + 1
        run = np.cumsum(begins) - 1
        sizes = np.bincount(run) if len(run) else np.zeros(0, np.int64)
        of = pair_of
    result = np.zeros(size, np.int64)
    if len(run):
        np.maximum.at(result, of, sizes[run])
    return result


def _periods(kernel: Kernel, node: Aggregate, items: Items) -> tuple[Array, Array, Array, Array, int]:
    """Group, period, whether it held, whether that is not known, and the number of groups."""
    assert node.value is not None and node.order is not None
    items, doubt = _taking(kernel, node, items)
    held, order = items.value(kernel, node.value), items.value(kernel, node.order)
    unknown = ~held.known | doubt
    kept = np.broadcast_to(order.known, order.v.shape)
    of = items.groups.of
    return of[kept], order.v[kept], (held.v & ~unknown)[kept], unknown[kept], items.groups.size


def _distinct_pairs(of: Array, o: Array) -> tuple[Array, Array]:
    order = np.lexsort((o, of))
    of, o = of[order], o[order]
    fresh = runs(of, o)
    return of[fresh], o[fresh]


def _numbered_back(of: Array) -> Array:
    """For sorted groups, each item's distance from the last of its group."""
    if not len(of):
        return of
    ends = np.concatenate((np.flatnonzero(of[1:] != of[:-1]), [len(of) - 1]))
    group = np.cumsum(runs(of)) - 1
    return np.asarray(ends[group] - np.arange(len(of)))


# -- spans -----------------------------------------------------------------------------------------------------


class _Islands:
    """Spans of time, overlapping or touching ones merged, per group and value."""

    def __init__(self, of: Array, value: Array, start: Array, end: Array, bad: Array, gap: int) -> None:
        begin = np.where(bad, FAR_FUTURE + 1, start)
        order = np.lexsort((end, begin, value, of))
        of, value, begin, end, bad = of[order], value[order], begin[order], end[order], bad[order]
        segment = runs(of, value)
        latest = running_most(end, np.cumsum(segment)) if len(of) else end
        before = np.concatenate(([0], latest[:-1])) if len(of) else latest
        fresh = segment | ((before < FAR_FUTURE) & ~bad & (begin > before + gap))
        self.at = np.flatnonzero(fresh)
        self.of, self.value, self.start = of[self.at], value[self.at], begin[self.at]
        self.end = np.maximum.reduceat(end, self.at) if len(self.at) else end
        self.bad = np.maximum.reduceat(bad, self.at) if len(self.at) else bad


def _islands(kernel: Kernel, node: Aggregate, items: Items) -> tuple[_Islands, Items]:
    assert node.order is not None
    items, doubt = _taking(kernel, node, items)
    held = node.fn == "held"
    end_node = node.value if held else node.option("end")
    value_node = None if held else node.value
    start, end = items.value(kernel, node.order), items.value(kernel, end_node)  # type: ignore[arg-type]
    of, value = items.groups.of, np.zeros(len(items.groups.of), np.int64)
    # A span that ends before it begins is a slip, and how long it was nobody knows.
    bad = ~start.known | doubt | (end.known & (end.v < start.v))
    until = np.where(end.known, end.v, FAR_FUTURE)
    if value_node is not None:
        same = items.value(kernel, value_node)
        value = same.v.astype(np.int64)
        kept = np.broadcast_to(same.known, value.shape)
        of, value, until, bad = of[kept], value[kept], until[kept], bad[kept]
        start = start.at(np.flatnonzero(kept))
    gap = 0 if held else int(str(node.option("gap", 1)))
    return _Islands(of, value, start.v, until, bad, gap), items


def _months(islands: _Islands, as_of: int) -> tuple[Array, Array]:
    """Completed months of each span up to the as-of day, and the days left over."""
    until = np.minimum(islands.end, as_of)
    start = np.where(islands.bad, until, islands.start)
    months = months_between(start, until)
    rest = until - moved(Col(start), Col(months)).v if len(start) else months
    return months, rest


def held(kernel: Kernel, node: Aggregate, items: Items, closed: bool) -> Col:
    """Completed months altogether, time that overlaps counted once; 30 days left over by several spans are a month."""
    islands, items = _islands(kernel, node, items)
    groups = Groups(islands.of, items.groups.size)
    return _counted(_summed(islands, groups, kernel), ~groups.some(islands.bad), groups, closed)


def _summed(islands: _Islands, groups: Groups, kernel: Kernel) -> Array:
    months, rest = _months(islands, days_of(kernel.as_of))
    left = np.where(groups.count() == 1, 0, groups.total(rest) // 30)
    return np.asarray(groups.total(months) + left)


def since(kernel: Kernel, node: Aggregate, items: Items, closed: bool) -> Col:
    """Where the span that lasts to the as-of day begins; of several, the longest or the latest."""
    islands, items = _islands(kernel, node, items)
    current = islands.end > days_of(kernel.as_of)
    groups = Groups(islands.of[current], items.groups.size)
    bad, start = islands.bad[current], islands.start[current]
    some = groups.filled
    found = groups.most(start, node.option("of") == "longest")
    ok = some & ~groups.some(bad)
    return Col(np.where(ok, found, 0), None if ok.all() else ok)


def cumulative(kernel: Kernel, node: Aggregate, items: Items, closed: bool) -> Col:
    """Completed months altogether with the value held on the as-of day."""
    islands, items = _islands(kernel, node, items)
    fresh = runs(islands.of, islands.value)
    pair = np.cumsum(fresh) - 1
    pairs = Groups(pair, int(pair[-1]) + 1 if len(pair) else 0)
    months = _summed(islands, pairs, kernel)
    current = pairs.most(islands.end) > days_of(kernel.as_of) if pairs.size else months > 0
    of = islands.of[fresh][current]
    groups = Groups(of, items.groups.size)
    some = groups.filled
    ok = some & ~groups.some(pairs.some(islands.bad)[current])
    return integers(np.where(ok, groups.most(months[current]), 0), None if ok.all() else ok, 1_000_000)


__all__ = ["cumulative", "held", "longest", "since", "streak"]
