"""Code tables (代码表): national and agreed codes, their everyday names, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import yaml

from ganbu.errors import PackError


@dataclass(frozen=True)
class CodeTable:
    """A code table: `values` code to name, `aliases` other words to name, `order` names from low to high.

    Records keep the name, not the code. A table that is not closed takes words of the locality too.
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
        """The code of a name."""
        return next((code for code, known in self.values.items() if known == name), None)

    def rank_of(self, name: str) -> int | None:
        """The position of a name from low to high, where the table has an order."""
        return self.order.index(name) if name in self.order else None

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
    raw = yaml.load(files("ganbu.vocabulary").joinpath("codes.yaml").read_text("utf-8"), yaml.BaseLoader)  # noqa: S506
    tables: dict[str, CodeTable] = {}
    for name, spec in raw.items():
        values = spec["values"]
        if isinstance(values, list):
            values = {word: word for word in values}
        table = CodeTable(
            name, spec["label"], spec.get("standard", ""), values, spec.get("aliases", {}), tuple(spec.get("order", ())),
            spec.get("parents", {}), spec.get("old", {}), spec.get("closed", "true") == "true",
        )  # fmt: skip
        names = set(table.names())
        for word in (*table.aliases.values(), *table.order, *table.parents, *table.parents.values()):
            if word not in names:
                raise PackError(f"代码表 {name}：“{word}”不在表中")
        tables[name] = table
    return tables
