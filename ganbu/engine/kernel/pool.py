"""The text pool (文本池): every text of a run by number, so that texts are compared and grouped as numbers."""

from __future__ import annotations

from collections import defaultdict
from itertools import count, islice

import numpy as np

from ganbu.engine.kernel.columns import Array

NUMBER = np.int32  # texts and rows are told apart by number: half the room of a 64-bit one


class Pool:
    """Every text of a run by number (文本池); equal texts have equal numbers."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._ranks: Array | None = None
        # A text that is not there yet gets the next number when it is asked for.
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)

    def number(self, text: str) -> int:
        """The number of a text, given when it is first seen."""
        found = self._numbers[text]
        self._write_down()
        return found

    def known(self, text: str) -> int | None:
        """The number of a text, if it has one."""
        return self._numbers.get(text)

    def numbered(self, texts: list[str]) -> Array:
        """The numbers of many texts."""
        found = np.fromiter(map(self._numbers.__getitem__, texts), NUMBER, len(texts))
        self._write_down()
        return found

    def _write_down(self) -> None:
        fresh = list(islice(reversed(self._numbers), len(self._numbers) - len(self.texts)))
        self.texts.extend(reversed(fresh))

    def ranks(self) -> Array:
        """For each number its place in binary order, as databases sort text."""
        if self._ranks is None or len(self._ranks) != len(self.texts):
            order = sorted(range(len(self.texts)), key=lambda at: self.texts[at].encode())
            self._ranks = np.empty(len(self.texts), np.int64)
            self._ranks[order] = np.arange(len(self.texts))
        return self._ranks
