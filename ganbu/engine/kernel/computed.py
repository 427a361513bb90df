"""A program evaluated by the kernel (内核结果): cells and the records behind them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from ganbu.engine.bind import Program
from ganbu.engine.kernel.columns import Array, Col, wide
from ganbu.engine.kernel.evaluate import Kernel
from ganbu.engine.kernel.place import Place
from ganbu.engine.kernel.snapshot import Prepared
from ganbu.engine.kernel.view import View
from ganbu.engine.results import Cells
from ganbu.engine.tree import Aggregate, Field, Node, Row, looks_out

_FIRST, _LAST = date(1970, 1, 1).toordinal(), date.max.toordinal()


class Plain(list[Any]):
    """Plain values that are read as an Arrow array is."""

    def to_pylist(self) -> list[Any]:
        """The values."""
        return self


class KernelComputed:
    """A program evaluated by columns; facts are computed when they are first read."""

    engine = "kernel"

    def __init__(
        self,
        prepared: Prepared,
        program: Program,
        virtual: dict[str, list[tuple[str, str]]],
        wanted: Mapping[str, list[Node]],
        known_at: datetime | None = None,
    ) -> None:
        self.kernel = Kernel(program, prepared, known_at, virtual)
        self.wanted = wanted

    @classmethod
    def of(cls, kernel: Kernel, wanted: Mapping[str, list[Node]]) -> KernelComputed:
        """What a kernel that is there already computes."""
        made = cls.__new__(cls)
        made.kernel, made.wanted = kernel, wanted
        return made

    def run(self) -> KernelComputed:
        """Compute everything that was asked for. Raises PackError where a date has no place."""
        self.kernel.run(self.wanted)
        return self

    def fetch(
        self, register: str, nodes: Mapping[str, Node], keep: Node | None = None, only: Array | None = None
    ) -> dict[str, Cells]:
        """Expressions over the rows of a register, or over `only` some of them."""
        view = self.kernel.view(register)
        if only is not None:
            return self._handful(view, nodes, keep, only)
        place, at = Place(view), None
        if keep is not None:
            kept = np.broadcast_to(self.kernel.value(keep, place).v, (place.size,))
            if not kept.all():
                at = np.flatnonzero(kept)
        entered = view.entry_order
        if entered is not None:
            at = entered if at is None else entered[kept[entered]]
        rows = np.arange(place.size) if at is None else at
        return {
            label: Cells(view.words(node.name, rows))
            if isinstance(node, Field) and view.as_written(node)
            else self._cells(self.kernel.value(node, place).full(place.size), node, at)
            for label, node in nodes.items()
        }

    def _handful(
        self, view: View, nodes: Mapping[str, Node], keep: Node | None, only: Array
    ) -> dict[str, Cells]:
        if view.entries is not None:
            only = only[np.argsort(view.entries[0][only])]
        if keep is not None:
            kept = self.kernel.shown(keep, view, only).v
            only = only if kept.all() else only[kept]
        return {label: self._few(self.kernel.shown(node, view, only), node) for label, node in nodes.items()}

    def _few(self, column: Col, node: Node) -> Cells:
        """The cells of a handful of rows, as plain values: for so few Arrow costs more than it saves."""
        den = None
        if node.type.kind == "num" and column.den is not None:
            den = Plain(np.broadcast_to(column.den, column.v.shape).tolist())
        values = self._plain(node.type.kind, column)
        return Cells(Plain(values), node.type.kind == "num", column.scale, den)

    def _cells(self, column: Col, node: Node, at: Array | None) -> Cells:
        if at is not None:
            column = column.at(at)
        gone = None if column.ok is None else ~column.ok
        v, kind = column.v, node.type.kind
        if kind == "num":
            den = None if column.den is None else _whole(np.broadcast_to(column.den, v.shape), None)
            return Cells(_whole(v, gone), True, column.scale, den)
        if kind == "bool":
            return Cells(pa.array(np.ascontiguousarray(v), pa.bool_(), mask=gone))
        if kind == "date":
            return Cells(pa.array(v.astype(np.int32), pa.int32(), mask=gone).cast(pa.date32()))
        texts = self.kernel.pool.texts
        if kind == "row" or not texts:
            return Cells(pa.nulls(len(v), pa.string()))
        distinct, back = np.unique(v, return_inverse=True)
        words = pa.array([texts[number] for number in distinct.tolist()], pa.string())
        return Cells(words.take(pa.array(back.reshape(-1), pa.int64(), mask=gone)))

    def behind(
        self, definition: Aggregate, register: str, path: Row, identity: str, fields: list[str], limit: int
    ) -> list[dict[str, Any]]:
        """The rows an aggregate counted, or might have counted."""
        kernel = self.kernel
        view, rows = kernel.view(register), kernel.view(definition.register)
        if not rows.loaded:
            return []
        ids = view.column(view.register.id_field)
        seat = np.flatnonzero(ids.v == kernel.pool.number(identity))
        if not len(seat):
            return []
        key = path.via if path.of is not None else definition.key or view.register.id_field
        whom = view.column(key).at(seat[:1])
        link = rows.column(definition.link)
        mine = (link.v == whom.v[0]) & link.known & bool(np.all(whom.known))
        if definition.where is not None and not looks_out(definition.where):
            found = kernel.value(definition.where, Place(rows)).full(rows.size)
            mine = mine & (found.v | ~found.known)
        at = np.flatnonzero(mine)
        if rows.entries is not None:
            at = at[np.argsort(rows.entries[0][at])]
        if rows.register.order:
            by = wide(rows.column(rows.register.order))
            last = np.iinfo(np.int64).max
            at = at[np.argsort(np.where(by.known, by.v, last)[at], kind="stable")]
        at = at[:limit]
        cells = {"__id": rows.column(rows.register.id_field).at(at)}
        cells.update({name: rows.column(name).at(at) for name in fields})
        plain = {}
        for name, column in cells.items():
            spec = rows.register.fields.get(name)
            plain[name] = self._plain("text" if spec is None else spec.kind, column)
        return [dict(zip(plain, values, strict=True)) for values in zip(*plain.values(), strict=True)]

    def _plain(self, kind: str, column: Col) -> list[Any]:
        """The values of a column as plain ones, None where they are not known."""
        values: list[Any] = column.v.tolist()
        if kind == "date":
            values = [_FIRST + value for value in values]
            values = [date.fromordinal(value) if 0 < value <= _LAST else None for value in values]
        elif kind not in ("num", "int", "decimal", "bool"):
            texts = self.kernel.pool.texts
            values = [None] * len(values) if kind == "row" or not texts else [texts[at] for at in values]
        if column.ok is None:
            return values
        known = (column.ok if column.ok.ndim else np.broadcast_to(column.ok, column.v.shape)).tolist()
        return [value if there else None for value, there in zip(values, known, strict=True)]

    def close(self) -> None:
        """Nothing is held outside this object."""


def _whole(v: Array, gone: Array | None) -> Any:
    if v.dtype == object:
        values = [
            None if gone is not None and gone[at] else int(value) for at, value in enumerate(v.tolist())
        ]
        return pa.array(values, pa.decimal256(76, 0))
    return pa.array(np.ascontiguousarray(v, np.int64), pa.int64(), mask=gone)
