"""Who still reads what during a run (引用计数)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ganbu.engine.bind import Program
from ganbu.engine.kernel.effects import EFFECT
from ganbu.engine.tree import Aggregate, Fact, Field, Node, Op, walk

Twin = tuple[str, Node]


class Needs:
    """Who is still going to read what during a run (引用计数), so that nothing is kept longer than it is needed."""

    def __init__(
        self, program: Program, virtual: Mapping[str, list[tuple[str, str]]], wanted: Mapping[str, Iterable[Node]]
    ) -> None:  # fmt: skip
        self.reads: dict[Twin, list[Twin]] = {}
        self.readers: Counter[Twin] = Counter()
        self.asked: Counter[Node] = Counter()
        definitions = program.definitions
        todo: list[Twin] = []

        def read(keys: Iterable[tuple[str, str]]) -> list[Twin]:
            found = list(dict.fromkeys((key[0], definitions[key]) for key in keys if key in definitions))
            self.readers.update(found)
            todo.extend(found)
            return found

        for nodes in wanted.values():
            for node in nodes:
                read(self._facts(node))
        for effects in virtual.values():
            read((owner, effect + key) for owner, effect in effects for key in EFFECT)
        while todo:
            twin = todo.pop()
            if twin not in self.reads:
                self.reads[twin] = []  # before its leaves: they may lead back by another way
                self.reads[twin] = read(self._facts(twin[1]))

    @classmethod
    def of(
        cls, program: Program, virtual: Mapping[str, list[tuple[str, str]]], wanted: Mapping[str, Iterable[Node]]
    ) -> Needs:  # fmt: skip
        """Counted once for what is wanted, and copied for each run of it."""
        kept = program.remembered.get(id(wanted))
        if kept is None or kept[0] is not wanted:
            kept = (wanted, cls(program, virtual, wanted))
            program.remembered = {id(wanted): kept}
        fresh = cls.__new__(cls)
        whole: Needs = kept[1]
        fresh.reads, fresh.readers, fresh.asked = dict(whole.reads), whole.readers.copy(), whole.asked.copy()
        return fresh

    def _facts(self, node: Node) -> list[tuple[str, str]]:
        """The facts an expression reads, paths included; conditions in it are counted on the way."""
        found: list[tuple[str, str]] = []
        for part in node.parts if isinstance(node, Aggregate) else [node]:
            for leaf in walk(part):
                if type(leaf) is Op and leaf.type.kind == "bool":
                    self.asked[leaf] += 1
                elif isinstance(leaf, (Field, Fact)):
                    found.append((leaf.row.register, leaf.name))
                    row = leaf.row
                    while row.of is not None:
                        found.append((row.of.register, row.via))
                        row = row.of
        return found

    def computed(self, twin: Twin) -> Iterator[Twin]:
        """A fact was computed: those that it was the last to read."""
        for read in self.reads.pop(twin, ()):
            self.readers[read] -= 1
            if not self.readers[read]:
                yield read

    def asked_again(self, node: Node) -> bool:
        """Whether a condition stands in another expression that is still to be computed, as far as can be told."""
        self.asked[node] -= 1
        return self.asked[node] > 0
