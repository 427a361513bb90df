"""Aggregates (聚合): what each row of a register makes of the rows of another that refer to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganbu.engine.kernel import spans
from ganbu.engine.kernel.columns import (
    FITS,
    PIECE,
    Array,
    Col,
    cleared,
    common,
    integers,
    joined,
    magnitude,
    meet,
    narrow,
    sort_key,
)
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.segments import Groups, rows_where, runs, since
from ganbu.engine.kernel.snapshot import NOWHERE
from ganbu.engine.kernel.view import View
from ganbu.engine.tree import Aggregate, Node, looks_out

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel

COUNTS = 1_000_000_000
MARKED = 512  # different values up to which each gets a bit
SPECIAL = {"streak": spans.streak, "run": spans.longest, "held": spans.held, "since": spans.since, "cumulative": spans.cumulative}  # fmt: skip


@dataclass
class Items:
    """The rows an aggregate looks at: which group each belongs to, and where expressions about them are computed.

    `apart` says that the rows of a group need not stand as they were entered.
    """

    groups: Groups
    place: Place
    apart: bool

    @property
    def entries(self) -> tuple[Array, Array] | None:
        """What tells which row was entered later, and the way back; None when it is how they stand."""
        return self.place.view.entries if self.apart else None

    def entered(self) -> Array:
        """For each item a number that grows as they were entered."""
        rows = self.place.rows
        return rows if self.entries is None else self.entries[0].take(rows)

    @property
    def contiguous(self) -> bool:
        """Whether the items are all rows in sight and stand group by group."""
        return self.place.at is None and self.groups.sorted

    def pieces(self) -> Iterator[Items]:
        """Whole groups at a time, so many that what is computed of them stays in the processor's cache."""
        groups, outer, kept = self.groups, self.place.outer, dict[Node, Col]()
        first = 0
        while first < groups.size:
            begin = int(groups.bounds[first])
            last = max(first + 1, int(np.searchsorted(groups.bounds, begin + PIECE, "right")) - 1)
            here = slice(begin, int(groups.bounds[last]))
            around = None if outer is None else Place(outer.view, outer.rows[here])
            piece = groups.piece(first, last, here)
            yield Items(piece, Place(self.place.view, here, around, kept), self.apart)
            first = last

    def value(self, kernel: Kernel, node: Node) -> Col:
        """An expression for each item."""
        return kernel.value(node, self.place).full(len(self.groups.of))

    def where(self, mask: Array) -> Items:
        """Only the items for which the mask holds."""
        if mask.all():
            return self
        at = rows_where(mask, len(self.groups.of))
        return Items(self.groups.taken(at, mask), self.place.narrowed(at), self.apart)


def aggregate(kernel: Kernel, view: View, node: Aggregate, only: Array | None = None) -> Col:
    """An aggregate fact over all rows in sight of the register it is about, or over `only` some of them."""
    items, back = _items(kernel, view, node, only)
    if back is None and only is None and len(items.groups.of) > PIECE and items.contiguous:
        return joined([(narrow(_made(kernel, node, piece)), piece.groups.size) for piece in items.pieces()])
    found = _made(kernel, node, items)
    if back is None:
        return found
    return (
        found.full(items.groups.size).at(np.maximum(back, 0), back >= 0)
        if items.groups.size
        else found.at(back)
    )


def _made(kernel: Kernel, node: Aggregate, items: Items) -> Col:
    """What each group makes of its items."""
    if node.option("latest"):
        items = _latest(kernel, items, int(str(node.option("latest"))), node.option("latest_by"))
    special = SPECIAL.get(node.fn)
    closed = kernel.closed(node.register)
    if special is not None:
        return special(kernel, node, items, closed)
    return _guarded(*_simple(kernel, node, items), None if closed else items.groups.filled)


def _items(
    kernel: Kernel, view: View, node: Aggregate, only: Array | None = None
) -> tuple[Items, Array | None]:
    """The items, grouped by the row they are about; with a `key`, by what that row refers to, and the way back."""
    rows = kernel.view(node.register)
    correlated = any(looks_out(part) for part in (node.value, node.where, node.order))
    if not node.key:
        owner = kernel.link(rows, node.link, view)
        size = view.size
        if only is None:
            kept = owner >= 0
            at = None if kept.all() else np.flatnonzero(kept)
        else:
            at, size = kernel.belonging(rows, node.link, view, only), len(only)
        owner = owner if at is None else owner.take(at)
        owner = owner if only is None else seated(only, view.size).take(owner)
        outer = Place(view, owner if only is None else only[owner]) if correlated else None
        groups = kernel.groups(rows, node.link, view, kept, owner) if only is None else Groups(owner, size)
        return Items(groups, Place(rows, at, outer), not rows.stands_as_entered(node.link)), None
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
        return Items(Groups(of, len(texts) + 1), Place(rows, at), True), back
    # Each row is paired with the items of what it refers to.
    order = np.argsort(of, kind="stable")
    sizes = np.bincount(of, minlength=len(texts) + 1)
    starts = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    each = sizes[back]
    owner = np.repeat(np.arange(size), each)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(each) - each, each)
    pairs = at[order[np.repeat(starts[back], each) + offset]] if len(owner) else np.zeros(0, np.int64)
    outer = Place(view, owner if only is None else only[owner])
    return Items(Groups(owner, size), Place(rows, pairs, outer), True), None


def seated(rows: Array, size: int) -> Array:
    """For each of `size` rows its place among `rows`, or -1; one more at the end, so that -1 leads to -1."""
    found = np.full(size + 1, NOWHERE, np.int64)
    found[rows] = np.arange(len(rows))
    return found


def _latest(kernel: Kernel, items: Items, count: int, by: object) -> Items:
    """The latest rows of each group, whatever else is asked of them; among equals the later entry."""
    groups = items.groups
    keys: list[Array] = [-items.entered()]
    if by is not None:
        column = items.value(kernel, by)  # type: ignore[arg-type]
        keys = [keys[0], np.where(column.known, -column.v, np.iinfo(np.int64).max)]
    order = np.lexsort((*keys, groups.of))
    return items.where(_foremost(groups, order, count))


def _guarded(found: Col, doubt: Array | None, some: Array | None) -> Col:
    """The value where nothing it rests on is missing; without rows nobody knows it, where `some` tells who has any."""
    ok = found.ok
    if doubt is not None and doubt.any():
        ok = meet(ok, ~doubt)
    if some is not None and not some.all():
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
    value, whole = common(value), bool(taking.all())
    if node.fn == "sum":
        return _like(value, groups.total(value.v, None if whole else taking)), doubt
    at = None if whole else rows_where(taking, count)
    kept = groups if at is None else groups.taken(at, taking)
    v = value.v if at is None else value.v.take(at)
    if node.fn in ("min", "max"):
        return _like(value, kept.most(v, node.fn == "min"), kept.filled), doubt
    if node.fn == "top_sum":
        best = _best(kept, v, int(str(node.option("n"))))
        return _like(value, kept.total(v, best)), doubt
    raise AssertionError(node.fn)


def _like(value: Col, v: Array, ok: Array | None = None) -> Col:
    """Numbers made of a column's, with its scale and common denominator."""
    return Col(v, ok, value.scale, value.den, magnitude(v), value.den_bound)


def _best(groups: Groups, values: Array, count: int) -> Array:
    """The greatest values of each group."""
    order = np.lexsort((-values, groups.of))
    return _foremost(groups, order, count)


def _foremost(groups: Groups, order: Array, count: int) -> Array:
    """The first of each group, in an order that puts the items group by group."""
    mask = np.zeros(len(order), bool)
    mask[order] = np.arange(len(order)) - since(runs(groups.of[order])) < count
    return mask


def _distinct(groups: Groups, value: Col, taking: Array) -> Col:
    """How many different values each group has."""
    v = common(value).v
    if not taking.all():
        at = rows_where(taking, len(v))
        groups, v = groups.taken(at, taking), v.take(at)
    if v.dtype == object:
        v = np.unique(v, return_inverse=True)[1].reshape(-1)
    v = v.astype(np.int64)
    low, high = (int(v.min()), int(v.max())) if len(v) else (0, 0)
    if high - low < MARKED:
        return integers(groups.different(v - low, high - low + 1), None, COUNTS)
    if (high - low + 1) * (groups.size + 1) >= FITS:
        v = np.unique(v, return_inverse=True)[1].reshape(-1)
        low, high = 0, int(v.max()) if len(v) else 0
    pairs = np.sort(groups.of.astype(np.int64) * (high - low + 1) + (v - low))
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
    entered, groups = items.entered(), items.groups
    if not holds.all():
        at = rows_where(holds, len(key))
        groups, key, entered = groups.taken(at, holds), key.take(at), entered.take(at)
    packed = (key << 32) + entered
    some = groups.filled
    found = groups.most(packed, not last) & 0xFFFFFFFF
    if items.entries is not None:
        found = items.entries[1].take(found)
    unordered = None
    if order.ok is not None and not order.ok.all():
        unordered = items.groups.some(holds & ~order.ok) & (groups.count() > 1)
    return Col(np.where(some, found, 0), None if some.all() else some), unordered


__all__ = ["Items", "aggregate"]
