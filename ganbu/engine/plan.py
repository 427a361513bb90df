"""What must be computed, and in which order (计算计划): columns by register and level.

Level 0 is the register as visible on the as-of day. An aggregate or a look-up through a reference stands one
level above what it reads; scalars and windows stand on the level of what they read, nested by depth.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from ganbu.engine.bind import Program
from ganbu.engine.grounds import EFFECT
from ganbu.engine.tree import Aggregate, Fact, Field, Node, Row, Window, walk

Leaf = tuple[str, str]  # ("field" | "fact", name)


@dataclass
class Column:
    """A computed column of a register: a fact, or a leaf reached through a reference."""

    register: str
    name: str
    node: Node | None
    id: str
    row: Row | None = None
    leaf: Leaf = ("fact", "")
    level: int = 0
    depth: int = 0

    @property
    def key(self) -> str:
        """Register and name."""
        return f"{self.register}|{self.id}"


@dataclass
class Plan:
    """The columns of a run, gathered from what the outputs need."""

    program: Program
    virtual: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    columns: dict[tuple[str, object], Column] = field(default_factory=dict)
    picks: dict[tuple[str, str], list[Leaf]] = field(default_factory=lambda: defaultdict(list))
    fields: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    kept: set[str] = field(default_factory=set)
    _levels: dict[str, int] = field(default_factory=dict)
    _same: dict[tuple[str, Node], Column] = field(default_factory=dict)

    def is_pick(self, register: str, via: str) -> bool:
        """Whether a step of a row path is a row fact rather than a reference field."""
        return (register, via) in self.program.definitions

    def need(self, register: str, name: str) -> Column:
        """Ask for a fact; everything it needs is asked for too. Equal definitions are one column."""
        key = (register, name)
        if key in self.columns:
            return self.columns[key]
        node = self.program.definitions[register, name]
        twin = self._same.get((register, node))
        if twin is not None:
            self.columns[key] = twin
            if node.type.kind == "row":
                self._merge_picks(register, name, twin)
            return twin
        column = Column(register, name, node, f"c{len(self._same)}")
        self._same[register, node] = column
        self.columns[key] = column
        match node:
            case Aggregate():
                self.fields[node.register].add(node.link)
                if node.key:
                    self.fields[register].add(node.key)
                parts = node.parts
                for part in parts:
                    self.gather(part, node.register, register)
                if node.register in self.virtual:
                    self.effects(node.register)
            case Window():
                for part in walk(node):
                    if part is not node:
                        self._leaf(part, register, "")
            case _:
                self.gather(node, register, "")
        return column

    def effects(self, register: str) -> list[Column]:
        """The columns a virtual register is made of."""
        return [self.need(owner, effect + key) for owner, effect in self.virtual[register] for key in EFFECT]

    def _merge_picks(self, register: str, name: str, twin: Column) -> None:
        self.picks[register, name] = self.picks[register, twin.name]

    def gather(self, node: Node, here: str, outer: str) -> None:
        """Ask for everything an expression about `here` (inside `outer`) mentions."""
        for part in walk(node):
            self._leaf(part, here, outer)

    def _leaf(self, node: Node, here: str, outer: str) -> None:
        if isinstance(node, (Field, Fact)):
            root = here if node.row.root.up == 0 else outer
            self.reach(node.row, ("fact" if isinstance(node, Fact) else "field", node.name), root)

    def reach(self, row: Row, leaf: Leaf, root: str) -> None:
        """Ask for a leaf of a row path that begins at `root`."""
        if row.of is None:
            if leaf[0] == "fact":
                self.need(root, leaf[1])
            else:
                self.fields[root].add(leaf[1])
            return
        if leaf[0] == "fact":
            self.need(row.register, leaf[1])
        else:
            self.fields[row.register].add(leaf[1])
        base = row.of.register
        if self.is_pick(base, row.via):
            self.reach(row.of, ("fact", row.via), root)
            leaves = self.picks[base, row.via]
            if leaf not in leaves:
                leaves.append(leaf)
            return
        self.reach(row.of, ("field", row.via), root)
        key = (root, reached(row, leaf))
        if key not in self.columns:
            self.columns[key] = Column(root, "", None, f"r{len(self.columns)}", grounded(row), leaf)

    @cached_property
    def ordered(self) -> list[Column]:
        """All distinct columns with level and depth, lowest first."""
        distinct = list({id(column): column for column in self.columns.values()}.values())
        for column in distinct:
            column.level = self.level(column)
        for column in distinct:
            column.depth = self._depth(column, {})
        return sorted(distinct, key=lambda column: (column.level, column.depth))

    def level(self, column: Column) -> int:
        """The level of a column."""
        known = self._levels.get(column.key)
        if known is not None:
            return known
        node = column.node
        if node is None:
            assert column.row is not None and column.row.of is not None
            base = self.leaf_level(column.row.of, ("field", column.row.via), column.register)
            result = 1 + max(
                base, self.leaf_level(Row(column.row.register), column.leaf, column.row.register)
            )
        elif isinstance(node, Aggregate):
            parts = node.parts
            levels = [self.node_level(part, node.register, column.register) for part in parts]
            levels += [
                self.leaf_level(Row(node.register), leaf, node.register)
                for leaf in self.picks.get((column.register, column.name), [])
            ]
            result = 1 + max([self.base_level(node.register), *levels])
        elif isinstance(node, Window):
            result = max(
                [
                    self.base_level(column.register),
                    *(self.node_level(part, column.register, "") for part in walk(node) if part is not node),
                ]
            )
        else:
            result = max(self.base_level(column.register), self.node_level(node, column.register, ""))
        self._levels[column.key] = result
        return result

    def base_level(self, register: str) -> int:
        """The level at which a register begins: 0, or above the effects a virtual register is made of."""
        if register not in self.virtual:
            return 0
        return 1 + max((self.level(column) for column in self.effects(register)), default=0)

    def node_level(self, node: Node, here: str, outer: str) -> int:
        """The level at which everything an expression mentions is there."""
        levels = [0]
        for part in walk(node):
            if isinstance(part, (Field, Fact)):
                root = here if part.row.root.up == 0 else outer
                levels.append(
                    self.leaf_level(
                        part.row, ("fact" if isinstance(part, Fact) else "field", part.name), root
                    )
                )
        return max(levels)

    def leaf_level(self, row: Row, leaf: Leaf, root: str) -> int:
        """The level of a leaf of a row path."""
        if row.of is None:
            return self.level(self.need(root, leaf[1])) if leaf[0] == "fact" else self.base_level(root)
        if self.is_pick(row.of.register, row.via):
            return self.leaf_level(row.of, ("fact", row.via), root)
        return self.level(self.columns[root, reached(row, leaf)])

    def keep(self, register: str, node: Node) -> None:
        """Ask for what an expression over final rows mentions, and keep it to the end."""
        self.gather(node, register, "")
        self.kept |= {column.key for column in self.read_by(register, node)}

    def read_by(self, register: str, node: Node) -> list[Column]:
        """The columns of a register that an expression over its rows reads."""
        found = []
        for part in walk(node):
            if isinstance(part, (Field, Fact)):
                leaf = ("fact" if isinstance(part, Fact) else "field", part.name)
                found += self._own_columns(part.row, leaf, register)
        return found

    def sources(self, column: Column) -> list[Column]:
        """The columns that a column's definition reads, of whatever register."""
        node, found = column.node, []
        if node is None:
            assert column.row is not None and column.row.of is not None
            found += self._own_columns(column.row.of, ("field", column.row.via), column.register)
            return found + self._own_columns(Row(column.row.register), column.leaf, column.row.register)
        here = node.register if isinstance(node, Aggregate) else column.register
        parts = node.parts if isinstance(node, Aggregate) else (node,)
        for part in (inner for whole in parts for inner in walk(whole)):
            if isinstance(part, (Field, Fact)):
                root = here if part.row.root.up == 0 else column.register
                leaf = ("fact" if isinstance(part, Fact) else "field", part.name)
                found += self._own_columns(part.row, leaf, root)
        if isinstance(node, Aggregate):
            for leaf in self.picks.get((column.register, column.name), []):
                found += self._own_columns(Row(node.register), leaf, node.register)
        return found

    def _depth(self, column: Column, seen: dict[str, int]) -> int:
        if column.node is None or isinstance(column.node, Aggregate):
            return 0
        if column.id in seen:
            return seen[column.id]
        below = [0]
        for part in walk(column.node):
            if isinstance(part, (Field, Fact)):
                for name in self._own_columns(
                    part.row, ("fact" if isinstance(part, Fact) else "field", part.name), column.register
                ):
                    if name.level == column.level:
                        below.append(self._depth(name, seen))
        seen[column.id] = 1 + max(below)
        return seen[column.id]

    def _own_columns(self, row: Row, leaf: Leaf, root: str) -> list[Column]:
        if row.of is None:
            return [self.need(root, leaf[1])] if leaf[0] == "fact" else []
        if self.is_pick(row.of.register, row.via):
            return self._own_columns(row.of, ("fact", row.via), root)
        return [self.columns[root, reached(row, leaf)]]


def grounded(row: Row) -> Row:
    """The same path with its root counted as the row in hand."""
    if row.of is None:
        return Row(row.register)
    return Row(row.register, grounded(row.of), row.via)


def reached(row: Row, leaf: Leaf) -> tuple[Row, Leaf]:
    """The key of a column reached through a reference."""
    return (grounded(row), leaf)
