"""Who still reads what during a run (引用计数)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ganbu.engine.bind import Program
from ganbu.engine.grounds import EFFECT
from ganbu.engine.tree import Aggregate, Fact, Field, Node, Op, children, reads

Twin = tuple[str, Node]


class Needs:
    """Who is still going to read what during a run (引用计数), so that nothing is kept longer than it is needed."""

    def __init__(
        self, program: Program, virtual: Mapping[str, list[tuple[str, str]]], wanted: Mapping[str, Iterable[Node]]
    ) -> None:  # fmt: skip
        self.reads: dict[Twin, list[Twin]] = {}
        self.readers: Counter[Twin] = Counter()
        asked: Counter[Node] = Counter()
        definitions = program.definitions
        todo: list[Twin] = []

        def count(node: Node) -> None:
            """Who asks for an operation or what a path leads to; what stands below one asked again is not asked again."""
            if type(node) is Op or (isinstance(node, (Field, Fact)) and node.row.of is not None):
                asked[node] += 1
                if asked[node] > 1:
                    return
            for part in children(node):
                count(part)

        def facts(node: Node) -> list[tuple[str, str]]:
            """The facts an expression reads; what it is made of is counted on the way."""
            for part in node.parts if isinstance(node, Aggregate) else [node]:
                count(part)
            return list(reads(node))

        def read(keys: Iterable[tuple[str, str]]) -> list[Twin]:
            found = list(dict.fromkeys((key[0], definitions[key]) for key in keys if key in definitions))
            self.readers.update(found)
            todo.extend(found)
            return found

        for nodes in wanted.values():
            for node in nodes:
                read(facts(node))
        for effects in virtual.values():
            read((owner, effect + key) for owner, effect in effects for key in EFFECT)
        while todo:
            twin = todo.pop()
            if twin not in self.reads:
                self.reads[twin] = []  # before its leaves: they may lead back by another way
                self.reads[twin] = read(facts(twin[1]))
        # What stands in more than one place, as far as can be told, and in how many.
        self.shared = {node: count for node, count in asked.items() if count > 1}

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
        fresh.reads, fresh.readers, fresh.shared = dict(whole.reads), whole.readers.copy(), dict(whole.shared)
        return fresh

    def computed(self, twin: Twin) -> Iterator[Twin]:
        """A fact was computed: those that it was the last to read."""
        for read in self.reads.pop(twin, ()):
            self.readers[read] -= 1
            if not self.readers[read]:
                yield read
