"""Rows in groups (分组): sums, extremes and orders per group, without loops over groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganbu.engine.kernel.columns import FITS, PIECE, Array, magnitude

EXACT = 2**53  # below it a floating-point sum of whole numbers is exact


@dataclass
class Groups:
    """Items that belong to groups 0 … size-1; `of` gives each item's group."""

    of: Array
    size: int

    def where(self, mask: Array) -> Groups:
        """Only the items for which the mask holds."""
        return self.taken(rows_where(mask, len(self.of)), mask)

    def taken(self, at: Array, mask: Array) -> Groups:
        """Only the items at `at`, those for which the mask holds."""
        kept = Groups(self.of.take(at), self.size)
        if self.sorted:
            kept.sorted, kept.order = True, None
        elif mask.ndim and len(at) > len(self.of) // 8 and (order := self.order) is not None:
            # The order of those that are left, renumbered: quicker than sorting them again.
            place = np.cumsum(mask) - 1
            kept.order = place.take(order.take(np.flatnonzero(mask.take(order))))
        return kept

    def piece(self, first: int, last: int, items: slice) -> Groups:
        """Some groups in a row, whose items these are; only of groups that stand in order."""
        found = Groups(self.of[items] - first, last - first)
        found.sorted, found.order, found.bounds = True, None, self.bounds[first : last + 1] - items.start
        return found

    @cached_property
    def sorted(self) -> bool:
        """Whether the items already stand group by group."""
        return bool(np.all(self.of[1:] >= self.of[:-1]))

    @cached_property
    def order(self) -> Array | None:
        """The order that puts the items group by group, keeping theirs; None when they stand so."""
        return None if self.sorted else np.argsort(self.of, kind="stable")

    def put(self, values: Array) -> Array:
        """Values of the items, group by group."""
        if values.ndim == 0:
            return np.broadcast_to(values, self.of.shape)
        return values if self.order is None else values.take(self.order)

    @cached_property
    def bounds(self) -> Array:
        """Where each group begins when the items stand group by group, and at last where the last one ends."""
        found = np.zeros(self.size + 1, np.int64)
        if self.sorted:
            starts = np.flatnonzero(runs(self.of))
            found[1:][self.of.take(starts)] = np.diff(starts, append=len(self.of))
            np.cumsum(found, out=found)
        else:
            np.cumsum(np.bincount(self.of, minlength=self.size), out=found[1:])
        return found

    @cached_property
    def named(self) -> Array:
        """The groups that have items."""
        return np.flatnonzero(self.bounds[1:] > self.bounds[:-1])

    def _parts(self) -> Iterator[tuple[slice, Array]]:
        """The items some at a time, with the groups they belong to."""
        step = max(PIECE, 4 * self.size)
        for first in range(0, len(self.of), step):
            here = slice(first, first + step)
            yield here, self.of[here]

    def _between(self, sums: Array) -> Array:
        """What each group adds to running sums over items that stand group by group."""
        at = sums.take(self.bounds)
        return at[1:] - at[:-1]

    def count(self, mask: Array | None = None) -> Array:
        """How many items (for which the mask holds) each group has."""
        if mask is None or (mask.ndim == 0 and bool(mask)):
            return self.bounds[1:] - self.bounds[:-1]
        if mask.ndim == 0:
            return np.zeros(self.size, np.int64)
        if self.sorted:
            sums = np.zeros(len(self.of) + 1, np.int32 if len(self.of) < 2**31 else np.int64)
            np.cumsum(mask, out=sums[1:])
            return self._between(sums).astype(np.int64)
        counts = (
            np.bincount(of.take(np.flatnonzero(mask[at])), minlength=self.size) for at, of in self._parts()
        )
        return np.asarray(sum(counts, np.zeros(self.size, np.int64)))

    def total(self, values: Array, mask: Array | None = None) -> Array:
        """The exact sum of whole numbers (for which the mask holds) in each group."""
        most = 0 if values.dtype == object else magnitude(values) * len(self.of)
        if mask is not None and mask.ndim == 0:
            if not mask:
                return np.zeros(self.size, np.int64)
            mask = None
        if values.ndim == 0:
            values = np.broadcast_to(values, self.of.shape)
        if values.dtype == object or most >= FITS:
            kept = self if mask is None else self.where(mask)
            values = kept.put(values if mask is None else values.take(rows_where(mask, len(self.of))))
            result = np.zeros(self.size, object)
            if len(values):
                result[kept.named] = np.add.reduceat(values.astype(object), kept.bounds[kept.named])
            return result
        if self.sorted:
            sums = np.zeros(len(self.of) + 1, np.int64)
            np.cumsum(values if mask is None else values * mask, out=sums[1:])
            return self._between(sums)
        found = np.zeros(self.size, np.int64)
        for here, of in self._parts():
            part = values[here]
            if mask is not None:
                at = rows_where(mask[here], len(of))
                of, part = of.take(at), part.take(at)
            if most < EXACT:
                found += np.bincount(of, part, minlength=self.size).astype(np.int64)
            else:
                np.add.at(found, of, part)
        return found

    def most(self, values: Array, least: bool = False) -> Array:
        """The greatest (least) value in each group; zero for a group without items."""
        values = self.put(values)
        result = np.zeros(self.size, values.dtype)
        if len(values):
            function = np.minimum if least else np.maximum
            result[self.named] = function.reduceat(values, self.bounds[self.named])
        return result

    def different(self, values: Array, kinds: int) -> Array:
        """How many different values each group has, of so many kinds: 64 of them at a time are the bits of a number."""
        values, result = self.put(values), np.zeros(self.size, np.int64)
        if not len(values):
            return result
        starts = self.bounds[self.named]
        for first in range(0, kinds, 64):
            bits = np.zeros(kinds, np.uint64)
            here = np.arange(first, min(first + 64, kinds))
            bits[here] = np.left_shift(np.uint64(1), (here - first).astype(np.uint64))
            result[self.named] += np.bitwise_count(np.bitwise_or.reduceat(bits.take(values), starts))
        return result

    @cached_property
    def filled(self) -> Array:
        """Which groups have items."""
        found = np.zeros(self.size, bool)
        found[self.of] = True
        return found

    def some(self, mask: Array) -> Array:
        """Whether the mask holds for an item of the group."""
        if mask.ndim == 0:
            return self.filled if bool(mask) else np.zeros(self.size, bool)
        found = np.zeros(self.size, bool)
        found[self.of.take(np.flatnonzero(mask))] = True
        return found


def rows_where(mask: Array, size: int) -> Array:
    """The rows for which a mask holds, which may be one answer for all of them."""
    if mask.ndim == 0:
        return np.arange(size if mask else 0)
    return np.flatnonzero(mask)


def runs(*keys: Array) -> Array:
    """Where a new run of equal keys begins, for keys that stand in order."""
    begins = np.zeros(len(keys[0]), bool)
    if len(begins):
        begins[0] = True
        for key in keys:
            begins[1:] |= key[1:] != key[:-1]
    return begins


def since(begins: Array) -> Array:
    """For each row the row at which the run it stands in began."""
    return np.maximum.accumulate(begins * np.arange(len(begins))) if len(begins) else np.zeros(0, np.int64)


def running_most(values: Array, segment: Array) -> Array:
    """The greatest value so far inside each segment (numbered upwards); values are days."""
    lift = segment.astype(np.int64) << 23
    return np.asarray(np.maximum.accumulate(values + lift) - lift)
