"""The typed expression tree (类型树): what every backend sees, and nothing else.

Nodes are immutable and compare by value, so equal expressions of different policies are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from fractions import Fraction
from typing import Union

Value = Union[None, bool, Fraction, date, str]


@dataclass(frozen=True)
class Type:
    """bool, num, date, text, code, ref, row or span; `target` is the code table or register."""

    kind: str
    target: str = ""

    def __str__(self) -> str:
        words = {"bool": "是否", "num": "数", "date": "日期", "text": "文本", "code": "代码", "ref": "引用"}
        return words.get(self.kind, self.kind) + (f"({self.target})" if self.target else "")


BOOL, NUM, DATE, TEXT, SPAN = Type("bool"), Type("num"), Type("date"), Type("text"), Type("span")


@dataclass(frozen=True)
class Row:
    """A row in sight: `subject` (the one judged), `item` (the row an aggregate looks at), or one reached from it.

    `via` is the reference field followed from `of`; `pick` is the aggregate that chose the row.
    """

    register: str
    scope: str = "subject"
    of: Row | None = None
    via: str = ""
    pick: Aggregate | None = None


@dataclass(frozen=True)
class Const:
    """A literal or a parameter value (`label` names the parameter)."""

    value: Value
    type: Type
    label: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Field:
    """A field of a row."""

    row: Row
    name: str
    type: Type


@dataclass(frozen=True)
class Fact:
    """A named fact of a row: shared, local to a policy (`policy/name`), or an output (`policy.name`)."""

    row: Row
    name: str
    type: Type


@dataclass(frozen=True)
class Op:
    """A scalar operation; `detail` carries constants such as a rounding mode or a look-up table's words."""

    op: str
    args: tuple[Node, ...]
    type: Type
    detail: tuple[object, ...] = ()


@dataclass(frozen=True)
class Aggregate:
    """Something computed from the rows of `register` whose `link` points at the subject.

    fn: count, sum, avg, min, max, distinct, pick, streak, since, held (cumulative months), top.
    `where` filters; `value` is what is aggregated; `order` sorts; `options` are constants of the function.
    """

    register: str
    link: str
    fn: str
    value: Node | None
    where: Node | None
    order: Node | None
    type: Type
    options: tuple[tuple[str, object], ...] = ()

    def option(self, name: str, default: object = None) -> object:
        return dict(self.options).get(name, default)


@dataclass(frozen=True)
class Window:
    """Something computed over all subjects for which `among` holds, in groups.

    fn: place (rank by order), size, count, sum, min, max, mean, deviation.
    """

    fn: str
    value: Node | None
    among: Node | None
    groups: tuple[Node, ...]
    order: tuple[tuple[Node, bool], ...]
    type: Type
    options: tuple[tuple[str, object], ...] = ()

    def option(self, name: str, default: object = None) -> object:
        return dict(self.options).get(name, default)


Node = Union[Const, Field, Fact, Op, Aggregate, Window]

TRUE, FALSE, UNKNOWN = Const(True, BOOL), Const(False, BOOL), Const(None, BOOL)


def number(value: int | Fraction, label: str = "") -> Const:
    """A numeric constant."""
    return Const(Fraction(value), NUM, label)


def text(value: str) -> Const:
    """A text constant."""
    return Const(value, TEXT)


def both(*nodes: Node | None) -> Node:
    """Three-valued `and` of the given nodes; nothing given is true."""
    present = [node for node in nodes if node is not None and node != TRUE]
    if not present:
        return TRUE
    return present[0] if len(present) == 1 else Op("and", tuple(present), BOOL)


def either(*nodes: Node) -> Node:
    """Three-valued `or`; nothing given is false."""
    if not nodes:
        return FALSE
    return nodes[0] if len(nodes) == 1 else Op("or", nodes, BOOL)


def negate(node: Node) -> Node:
    """Three-valued `not`."""
    return Op("not", (node,), BOOL)


def holds(node: Node) -> Node:
    """True only where the node is known to be true."""
    return Op("is_true", (node,), BOOL)


def fails(node: Node) -> Node:
    """True only where the node is known to be false."""
    return Op("is_false", (node,), BOOL)


def missing(node: Node) -> Node:
    """True where the node cannot be computed."""
    return Op("is_missing", (node,), BOOL)


def choose(*branches: tuple[Node, Node], default: Node) -> Node:
    """The value of the first branch whose condition is true, else the default."""
    args: list[Node] = []
    for condition, value in branches:
        args += [condition, value]
    return Op("if", (*args, default), default.type)


def children(node: Node | Row) -> Iterator[Node]:
    """The nodes directly below a node, including those that chose its row."""
    if isinstance(node, Row):
        if node.of is not None:
            yield from children(node.of)
        if node.pick is not None:
            yield node.pick
        return
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, Row):
            yield from children(value)
        elif isinstance(value, (Const, Field, Fact, Op, Aggregate, Window)):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                if isinstance(part, (Const, Field, Fact, Op, Aggregate, Window)):
                    yield part
                elif isinstance(part, tuple) and part and isinstance(part[0], (Const, Field, Fact, Op, Aggregate)):
                    yield part[0]


def atoms(node: Node) -> list[Node]:
    """The smallest yes/no questions of a condition, in reading order, each once."""
    if isinstance(node, Op) and node.op in ("and", "or", "not"):
        found: list[Node] = []
        for part in node.args:
            found += [atom for atom in atoms(part) if atom not in found]
        return found
    return [] if isinstance(node, Const) else [node]
