"""Code tables (代码表): national and agreed codes, their everyday names, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import chain

import yaml

from ganbu.errors import PackError


@dataclass(frozen=True)
class CodeTable:
    """A code table: `values` code to name, `aliases` other words to name, `order` names from low to high.

    Records keep the name, not the code; a word without a national code is its own key. `ranks` groups the order by
    equal rank; within a group the plain word stands before its varieties, so that `>=` and `<` against it hold for
    them too where only `order` is looked at. A table that is not closed takes words of the locality too.
    """

    name: str
    label: str
    standard: str
    values: Mapping[str, str]
    aliases: Mapping[str, str]
    order: tuple[str, ...]
    parents: Mapping[str, str]
    old: Mapping[str, str]
    closed: bool
    ranks: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def _by_text(self) -> dict[str, str]:
        words = {name: name for name in self.values.values()}
        for group in (
            self.values,
            self.aliases,
            {code: self.values.get(new, new) for code, new in self.old.items()},
        ):
            for text, name in group.items():
                words.setdefault(text, name)
        return words

    def canonical(self, text: str) -> str | None:
        """The name for a code, a name, an alias or an old code; None when it is not known."""
        return self._by_text.get(text)

    def names(self) -> tuple[str, ...]:
        """All names, in the order of the codes."""
        return tuple(dict.fromkeys(self.values.values()))

    def code_of(self, name: str) -> str | None:
        """The national code of a name, None where it has none."""
        return self._code_by_name.get(name)

    @cached_property
    def _code_by_name(self) -> dict[str, str]:
        codes: dict[str, str] = {}
        for code, name in self.values.items():
            if name != code:
                codes.setdefault(name, code)
        return codes

    @property
    def steps(self) -> tuple[tuple[str, ...], ...]:
        """The order from low to high (由低到高); words of one step rank equal, the plain one first."""
        return self.ranks or tuple((word,) for word in self.order)

    def rank_of(self, name: str) -> int | None:
        """The rank of a name from low to high, equal names alike; None where the table has no order for it."""
        ranks = self.steps
        return next((rank for rank, words in enumerate(ranks) if name in words), None)

    def under(self, name: str) -> frozenset[str]:
        """The name and everything below it."""
        found = {name}
        while True:
            more = {child for child, parent in self.parents.items() if parent in found} - found
            if not more:
                return frozenset(found)
            found |= more


@cache
def load_codes() -> Mapping[str, CodeTable]:
    """The code tables shipped with the package, checked."""
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the one in C, where the machine has it
    raw = yaml.load(files("ganbu.vocabulary").joinpath("codes.yaml").read_text("utf-8"), loader)  # noqa: S506
    tables: dict[str, CodeTable] = {}
    for name, spec in raw.items():
        values = spec["values"]
        if isinstance(values, list):
            values = {word: word for word in values}
        ranks = tuple((rank,) if isinstance(rank, str) else tuple(rank) for rank in spec.get("order", ()))
        table = CodeTable(
            name, spec["label"], spec.get("standard", ""), values, spec.get("aliases", {}), tuple(chain.from_iterable(ranks)),
            spec.get("parents", {}), spec.get("old", {}), spec.get("closed", "true") == "true", ranks,
        )  # fmt: skip
        names = set(table.names())
        for word in (*table.aliases.values(), *table.order, *table.parents, *table.parents.values()):
            if word not in names:
                raise PackError(f"代码表 {name}：“{word}”不在表中")
        for old, new in table.old.items():
            if new not in values or old in values:
                raise PackError(f"代码表 {name}：旧代码 {old} 应换成表中的代码，“{new}”不是，或 {old} 仍在用")
        tables[name] = table
    return tables
