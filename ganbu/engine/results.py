"""Computed cells (计算结果): what every engine hands back, and the one way to read it exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Any, Protocol

import pyarrow as pa

from ganbu.engine.numbers import digits_of
from ganbu.engine.tree import Aggregate, Node, Row

SHOWN_DIGITS = 6  # decimals of a ratio in an Arrow table; `exact` keeps numerator and denominator


@dataclass(frozen=True)
class Cells:
    """One column: values, and for numbers scale and denominators (None: 1), as `value / 10**scale / den`."""

    values: Any
    numeric: bool = False
    scale: int = 0
    den: Any = None

    def exact(self) -> list[Any]:
        """Plain values; numbers as Fractions."""
        values: list[Any] = self.values.to_pylist()
        if not self.numeric:
            return values
        power = 10**self.scale
        if self.den is None:
            made = {v: _fraction(int(v), power) for v in set(values) if v is not None}
            return list(map(made.get, values))
        return [
            None if v is None or d is None else _fraction(int(v), power * int(d))
            for v, d in zip(values, self.den.to_pylist(), strict=True)
        ]

    def arrow(self) -> Any:
        """An Arrow array: whole numbers as integers, others as decimals."""
        if not self.numeric or (self.den is None and not self.scale):
            return self.values
        scale = self.scale
        whole = self.values
        if self.den is not None:
            scale = SHOWN_DIGITS
            whole = pa.array([digits_of(value, scale) for value in self.exact()], pa.decimal128(38, 0))
        else:
            whole = whole.cast(pa.decimal128(38, 0))
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.combine_chunks()
        if isinstance(whole, pa.ChunkedArray):
            whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], pa.decimal128(38, 0))
        return pa.Array.from_buffers(
            pa.decimal128(38, scale), len(whole), whole.buffers(), offset=whole.offset
        )


@lru_cache(maxsize=2**16)
def _fraction(value: int, den: int) -> Fraction:
    """The same few numbers stand in many results, and a Fraction is dear to make and to compare: equal ones are one object."""
    shared = gcd(value, den)
    return _reduced(value // shared, den // shared)


@lru_cache(maxsize=2**16)
def _reduced(value: int, den: int) -> Fraction:
    return Fraction(value, den)


class Computed(Protocol):
    """An evaluated program, whichever engine did it."""

    engine: str

    def fetch(self, register: str, nodes: Mapping[str, Node], keep: Node | None = None) -> dict[str, Cells]:
        """Expressions over the rows of a register, in the order of the record; only rows where `keep` holds."""

    def behind(
        self, definition: Aggregate, register: str, path: Row, identity: str, fields: list[str], limit: int
    ) -> list[dict[str, Any]]:
        """The rows an aggregate counted for one row of `register`, or might have counted had it known more.

        `path` leads from that row to the row the aggregate is about. Each has `__id` and the fields.
        """

    def close(self) -> None:
        """Let go of what was computed."""
