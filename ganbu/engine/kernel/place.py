"""Where an expression is computed (求值之处): some rows of a view, and the rows outside them."""

from __future__ import annotations

import numpy as np

from ganbu.engine.kernel.columns import Array, Col
from ganbu.engine.kernel.segments import Groups
from ganbu.engine.kernel.view import View
from ganbu.engine.tree import Node


class Place:
    """The rows in hand (by `at`, a piece of them by a slice, or all) of a view, and the rows outside.

    `kept` is what was computed there before: of a piece what its pieces read whole.
    """

    def __init__(
        self,
        view: View,
        at: Array | slice | None = None,
        outer: Place | None = None,
        kept: dict[Node, Col] | None = None,
    ) -> None:
        self.view, self.at, self.outer, self.kept = view, at, outer, kept
        self.parted: dict[
            tuple[Node, ...], Groups
        ] = {}  # the groups that expressions make of the rows in hand

    @property
    def size(self) -> int:
        """How many rows are in hand."""
        if self.at is None:
            return self.view.size
        return self.at.stop - self.at.start if isinstance(self.at, slice) else len(self.at)

    @property
    def rows(self) -> Array:
        """The numbers of the rows in hand."""
        if self.at is None:
            return np.arange(self.view.size)
        return np.arange(self.at.start, self.at.stop) if isinstance(self.at, slice) else self.at

    def root(self, up: int) -> Place:
        """The place of a root."""
        if up == 0:
            return self
        assert self.outer is not None
        return self.outer.root(up - 1)

    def narrowed(self, keep: Array) -> Place:
        """Only some of the rows in hand, by their numbers."""
        at = keep if self.at is None else self.rows.take(keep)
        return Place(self.view, at, None if self.outer is None else self.outer.narrowed(keep))
