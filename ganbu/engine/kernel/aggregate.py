"""Aggregates (聚合): what each row of a register makes of the rows of another that refer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel import spans
from ganbu.engine.kernel.columns import (
    FITS,
    Array,
    Col,
    cleared,
    common,
    integers,
    magnitude,
    meet,
    sort_key,
)
from ganbu.engine.kernel.segments import Groups, runs
from ganbu.engine.kernel.snapshot import NOWHERE, View
from ganbu.engine.tree import Aggregate, Node, looks_out

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel, Place

COUNTS = 1_000_000_000
SPECIAL = {"streak": spans.streak, "run": spans.longest, "held": spans.held, "since": spans.since, "cumulative": spans.cumulative}  # fmt: skip


@dataclass
class Items:
    """The rows an aggregate looks at: which group each belongs to, and where expressions about them are computed."""

    groups: Groups
    place: Place

    def value(self, kernel: Kernel, node: Node) -> Col:
        """An expression for each item."""
        return kernel.value(node, self.place).full(len(self.groups.of))

    def where(self, mask: Array) -> Items:
        """Only the items for which the mask holds."""
        if mask.all():
            return self
        return Items(self.groups.where(mask), self.place.narrowed(mask))


def aggregate(kernel: Kernel, view: View, node: Aggregate, only: Array | None = None) -> Col:
    """An aggregate fact over all rows in sight of the register it is about, or over `only` some of them."""
    items, back = _items(kernel, view, node, only)
    if node.option("latest"):
        items = _latest(kernel, items, int(str(node.option("latest"))), node.option("latest_by"))
    some = np.zeros(items.groups.size, bool)
    some[items.groups.of] = True
    special = SPECIAL.get(node.fn)
    closed = kernel.closed(node.register)
    if special is not None:
        found = special(kernel, node, items, closed)
    else:
        found = _guarded(*_simple(kernel, node, items), some, closed, node.fn)
    if back is None:
        return found
    return (
        found.full(items.groups.size).at(np.maximum(back, 0), back >= 0)
        if items.groups.size
        else found.at(back)
    )


def _items(
    kernel: Kernel, view: View, node: Aggregate, only: Array | None = None
) -> tuple[Items, Array | None]:
    """The items, grouped by the row they are about; with a `key`, by what that row refers to, and the way back."""
    from ganbu.engine.kernel.evaluate import Place

    rows = kernel.view(node.register)
    correlated = any(looks_out(part) for part in (node.value, node.where, node.order))
    if not node.key:
        owner = kernel.link(rows, node.link, view)
        size = view.size
        if only is not None:
            owner, size = seated(only, view.size)[owner], len(only)
        kept = owner >= 0
        at = None if kept.all() else np.flatnonzero(kept)
        owner = owner if at is None else owner[at]
        outer = Place(view, owner if only is None else only[owner]) if correlated else None
        groups = (
            kernel.groups(rows, node.link, view, kept, owner) if only is None else Groups(owner, size, owner)
        )
        return Items(groups, Place(rows, at, outer)), None
    link, mine = rows.column(node.link).full(rows.size), view.column(node.key).full(view.size)
    mine = mine if only is None else mine.at(only)
    size = len(mine.v)
    known = link.known & np.ones(rows.size, bool)
    if only is not None:
        known = known & np.isin(link.v, mine.v)
    at = np.flatnonzero(known)
    texts, of = np.unique(link.v[at], return_inverse=True)
    of = of.reshape(-1)
    seat = np.searchsorted(texts, mine.v)
    found = (seat < len(texts)) & mine.known
    found = (
        found & (texts[np.minimum(seat, max(len(texts) - 1, 0))] == mine.v) if len(texts) else found & False
    )
    back = np.where(found, seat, NOWHERE)
    if not correlated:
        # One group more, without items, for those who refer to nothing that has any.
        back = np.where(found, seat, len(texts))
        return Items(Groups(of, len(texts) + 1, of), Place(rows, at)), back
    # Each row is paired with the items of what it refers to.
    order = np.argsort(of, kind="stable")
    sizes = np.bincount(of, minlength=len(texts) + 1)
    starts = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    each = sizes[back]
    owner = np.repeat(np.arange(size), each)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(each) - each, each)
    pairs = at[order[np.repeat(starts[back], each) + offset]] if len(owner) else np.zeros(0, np.int64)
    outer = Place(view, owner if only is None else only[owner])
    return Items(Groups(owner, size, owner), Place(rows, pairs, outer)), None


def seated(rows: Array, size: int) -> Array:
    """For each of `size` rows its place among `rows`, or -1; one more at the end, so that -1 leads to -1."""
    found = np.full(size + 1, NOWHERE, np.int64)
    found[rows] = np.arange(len(rows))
    return found


def _latest(kernel: Kernel, items: Items, count: int, by: object) -> Items:
    """The latest rows of each group, whatever else is asked of them; among equals the later entry."""
    groups = items.groups
    size = len(groups.of)
    keys: list[Array] = [-np.arange(size)]
    if by is not None:
        column = items.value(kernel, by)  # type: ignore[arg-type]
        keys = [-np.arange(size), np.where(column.known, -column.v, np.iinfo(np.int64).max)]
    order = np.lexsort((*keys, groups.of))
    begins = runs(groups.of[order])
    here = np.arange(size)
    start = np.maximum.accumulate(np.where(begins, here, 0)) if size else here
    mask = np.zeros(size, bool)
    mask[order] = here - start < count
    return items.where(mask)


def _guarded(found: Col, doubt: Array | None, some: Array, closed: bool, fn: str) -> Col:
    """The value where nothing it rests on is missing, and what no rows at all amount to."""
    ok = found.ok
    if doubt is not None and doubt.any():
        ok = meet(ok, ~doubt)
    if not closed and not some.all():
        ok = meet(ok, some)
    v = cleared(found.v, ok) if found.v.dtype == bool else found.v
    return Col(v, ok, found.scale, found.den, found.bound, found.den_bound)


def _simple(kernel: Kernel, node: Aggregate, items: Items) -> tuple[Col, Array | None]:
    """The value of each group, and the groups in which something that matters is not known."""
    groups = items.groups
    count = len(groups.of)
    holds, unknown = kernel.holds(node.where, items.place)
    holds = np.broadcast_to(holds, (count,)) if holds.ndim == 0 else holds
    doubtful = None if unknown is None else np.broadcast_to(unknown, (count,))
    if node.fn == "any":
        found = groups.some(holds)
        if doubtful is None or not doubtful.any():
            return Col(found), None
        return Col(found, found | ~groups.some(doubtful)), None
    value = items.value(kernel, node.value) if node.value is not None else None
    if value is not None and value.ok is not None:
        gone = holds & ~value.ok
        doubtful = gone if doubtful is None else doubtful | gone
    doubt = None if doubtful is None or not doubtful.any() else groups.some(doubtful)
    if node.fn == "count":
        return integers(groups.count(holds), None, COUNTS), doubt
    if node.fn == "pick":
        picked, unordered = _pick(kernel, node, items, holds)
        return picked, unordered if doubt is None else doubt if unordered is None else doubt | unordered
    assert value is not None
    taking = holds if value.ok is None else holds & value.ok
    if node.fn == "distinct":
        return _distinct(groups, value, taking), doubt
    value = common(value)
    kept = groups if taking.all() else groups.where(taking)
    v = value.v if kept is groups else value.v[taking]
    if node.fn == "sum":
        return _like(value, kept.total(v)), doubt
    if node.fn in ("min", "max"):
        some = kept.some(np.ones(len(kept.of), bool))
        return _like(value, kept.most(v, node.fn == "min"), some), doubt
    if node.fn == "top_sum":
        best = _best(kept, v, int(str(node.option("n"))))
        return _like(value, kept.where(best).total(v[best])), doubt
    raise AssertionError(node.fn)


def _like(value: Col, v: Array, ok: Array | None = None) -> Col:
    """Numbers made of a column's, with its scale and common denominator."""
    return Col(v, ok, value.scale, value.den, magnitude(v), value.den_bound)


def _best(groups: Groups, values: Array, count: int) -> Array:
    """The greatest values of each group."""
    order = np.lexsort((-values, groups.of))
    here = np.arange(len(order))
    start = np.maximum.accumulate(np.where(runs(groups.of[order]), here, 0)) if len(order) else here
    mask = np.zeros(len(order), bool)
    mask[order] = here - start < count
    return mask


def _distinct(groups: Groups, value: Col, taking: Array) -> Col:
    """How many different values each group has."""
    v = common(value).v
    of, v = (groups.of, v) if taking.all() else (groups.of[taking], v[taking])
    if v.dtype == object:
        v = np.unique(v, return_inverse=True)[1].reshape(-1)
    v = v.astype(np.int64)
    low, high = (int(v.min()), int(v.max())) if len(v) else (0, 0)
    if (high - low + 1) * (groups.size + 1) >= FITS:
        v = np.unique(v, return_inverse=True)[1].reshape(-1)
        low, high = 0, int(v.max()) if len(v) else 0
    if (high - low + 1) * groups.size <= 8 * len(
        v
    ) + 64:  # few values: a mark for each is quicker than sorting
        marks = np.zeros((groups.size, high - low + 1), bool)
        marks[of, v - low] = True
        return integers(marks.sum(axis=1), None, COUNTS)
    pairs = np.sort(of * (high - low + 1) + (v - low))
    fresh = runs(pairs)
    return integers(np.bincount(pairs[fresh] // (high - low + 1), minlength=groups.size), None, COUNTS)


def _pick(kernel: Kernel, node: Aggregate, items: Items, holds: Array) -> tuple[Col, Array | None]:
    """The row of each group that stands last (first) in order; among equals the later (earlier) entry.

    Also the groups in which a row without a place in the order stands beside others: which one it is nobody knows.
    """
    assert node.order is not None
    last = node.option("which") == "last"
    order = items.value(kernel, node.order)
    key = sort_key(order)
    if key.dtype == object or (len(key) and max(abs(int(key.max())), abs(int(key.min()))) >= 2**30):
        key = np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int64)
    lowest = int(key.min()) - 1 if last and len(key) else int(key.max()) + 1 if len(key) else 0
    key = key if order.ok is None else np.where(order.ok, key, lowest)
    rows = np.arange(items.place.view.size) if items.place.at is None else items.place.at
    packed = (key << 32) + rows
    groups = items.groups if holds.all() else items.groups.where(holds)
    packed = packed if groups is items.groups else packed[holds]
    some = groups.some(np.ones(len(groups.of), bool))
    found = groups.most(packed, not last) & 0xFFFFFFFF
    unordered = None
    if order.ok is not None and not order.ok.all():
        unordered = items.groups.some(holds & ~order.ok) & (groups.count() > 1)
    return Col(np.where(some, found, 0), None if some.all() else some), unordered


__all__ = ["Items", "aggregate"]
