"""Effects as rows (后果成行): what a consequence policy makes, as a register that other policies read."""

from __future__ import annotations

from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ganbu.engine.grounds import EFFECT
from ganbu.engine.kernel.columns import Array, Col
from ganbu.engine.kernel.pool import NUMBER
from ganbu.engine.kernel.snapshot import Prepared
from ganbu.engine.kernel.view import View
from ganbu.engine.tree import Node
from ganbu.vocabulary import Register

if TYPE_CHECKING:
    from ganbu.engine.kernel.evaluate import Kernel


class EffectsView(View):
    """A register with one row for each effect that holds."""

    def __init__(
        self, prepared: Prepared, register: Register, as_of: date, known_at: datetime | None, kernel: Kernel
    ) -> None:
        super().__init__(prepared, register, as_of, known_at)
        self.kernel = kernel

    @property
    def loaded(self) -> bool:
        """Effects are always there."""
        return True

    @cached_property
    def visible(self) -> Array | None:
        """All of them."""
        return None

    @cached_property
    def rows(self) -> dict[str, Col]:
        """The columns of the register."""
        kernel, parts = self.kernel, []
        for owner, effect in kernel.virtual[self.register.name]:
            view = kernel.view(owner)
            held = kernel.fact(owner, effect).full(view.size)
            # What may hold is kept too, with 成立 not known: whoever reads it must not take it for absent.
            at = np.flatnonzero(held.v | ~held.known)
            if view.entries is not None:
                at = at[np.argsort(view.entries[0][at])]
            start, end, subject, active = (
                kernel.fact(owner, effect + key).full(view.size).at(at) for key in EFFECT[1:]
            )
            label = effect.split(".", 1)[1]
            ids = view.words(view.register.id_field, at).to_pylist()
            identity = Col(kernel.pool.numbered([f"{one}·{label}" for one in ids]))
            kind = Col(np.full(len(at), kernel.pool.number(label), NUMBER))
            parts.append((identity, subject, kind, start, end, active, held.at(at)))
        names = ("编号", "对象", "种类", "起始日", "截止日", "生效中", "成立")
        return {name: _stacked([part[at] for part in parts]) for at, name in enumerate(names)}

    @cached_property
    def size(self) -> int:
        """How many effects there are."""
        return len(self.rows["编号"].v)

    def column(self, name: str) -> Col:
        """A field of the effects."""
        return self.rows[name]

    def words(self, name: str, at: Array) -> Any:
        """A text field of some effects."""
        texts = self.kernel.pool.texts
        return pa.array([texts[n] for n in self.rows[name].v[at].tolist()], pa.string())

    def as_written(self, node: Node) -> bool:
        """No record has them."""
        return False

    def link(self, name: str, target: View) -> Array:
        """For each effect the row of `target` it is about, or -1."""
        return self._link_by_text(name, target)

    def owner_order(self, name: str, target: View, owned: Array) -> Array | None:
        """Not prepared: effects are other on every day."""
        return None

    @cached_property
    def entries(self) -> tuple[Array, Array] | None:
        """Effects stand as they were made."""
        return None

    def stands_as_entered(self, name: str) -> bool:
        """They do so for whoever owns them."""
        return True

    def identity_order(self) -> Array:
        """The effects in binary order of their identities."""
        return np.argsort(self.kernel.pool.ranks()[self.rows["编号"].v])


def _stacked(parts: list[Col]) -> Col:
    if not parts:
        return Col(np.zeros(0, np.int64))
    v = np.concatenate([part.v for part in parts])
    if all(part.ok is None for part in parts):
        return Col(v)
    return Col(v, np.concatenate([np.broadcast_to(part.known, part.v.shape) for part in parts]))
