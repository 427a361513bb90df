"""Rows in groups (分组): sums, extremes and orders per group, without loops over groups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganbu.engine.kernel.columns import FITS, Array, magnitude


@dataclass
class Groups:
    """Items that belong to groups 0 … size-1; `of` gives each item's group, `items` its number elsewhere."""

    of: Array
    size: int
    items: Array

    def where(self, mask: Array) -> Groups:
        """Only the items for which the mask holds."""
        if mask.ndim == 0:
            return self if bool(mask) else Groups(self.of[:0], self.size, self.items[:0])
        kept = Groups(self.of[mask], self.size, self.items[mask])
        if self.sorted:
            kept.sorted, kept.order = True, None
        elif len(kept.of) > len(self.of) // 8 and (order := self.order) is not None:
            # The order of those that are left, renumbered: quicker than sorting them again.
            place = np.cumsum(mask) - 1
            kept.order = place[order[mask[order]]]
        return kept

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
        return values if self.order is None else values[self.order]

    @cached_property
    def starts(self) -> Array:
        """Where each group that has items begins, in that order."""
        seats = self.put(self.of)
        return np.flatnonzero(np.concatenate(([True], seats[1:] != seats[:-1]))) if len(seats) else seats

    @cached_property
    def named(self) -> Array:
        """The groups that have items."""
        return np.asarray(self.put(self.of)[self.starts])

    def count(self, mask: Array | None = None) -> Array:
        """How many items (for which the mask holds) each group has."""
        if mask is None or (mask.ndim == 0 and bool(mask)):
            return np.bincount(self.of, minlength=self.size)
        return np.bincount(self.of[mask], minlength=self.size) if mask.ndim else np.zeros(self.size, np.int64)

    def total(self, values: Array) -> Array:
        """The exact sum of whole numbers in each group."""
        values = self.put(values)
        result = np.zeros(self.size, values.dtype)
        if len(values):
            if values.dtype != object and magnitude(values) * len(values) >= FITS:
                values, result = values.astype(object), result.astype(object)
            result[self.named] = np.add.reduceat(values, self.starts)
        return result

    def most(self, values: Array, least: bool = False) -> Array:
        """The greatest (least) value in each group; zero for a group without items."""
        values = self.put(values)
        result = np.zeros(self.size, values.dtype)
        if len(values):
            function = np.minimum if least else np.maximum
            result[self.named] = function.reduceat(values, self.starts)
        return result

    def some(self, mask: Array) -> Array:
        """Whether the mask holds for an item of the group."""
        found = np.zeros(self.size, bool)
        if mask.ndim == 0:
            mask = np.broadcast_to(mask, self.of.shape)
        found[self.of[mask]] = True
        return found


def runs(*keys: Array) -> Array:
    """Where a new run of equal keys begins, for keys that stand in order."""
    begins = np.zeros(len(keys[0]), bool)
    if len(begins):
        begins[0] = True
        for key in keys:
            begins[1:] |= key[1:] != key[:-1]
    return begins


def running_most(values: Array, segment: Array) -> Array:
    """The greatest value so far inside each segment (numbered upwards); values are days."""
    lift = segment.astype(np.int64) << 23
    return np.asarray(np.maximum.accumulate(values + lift) - lift)
