"""The typed expression tree (类型树): what every backend sees, and nothing else.

Nodes are immutable and equal ones are one object, so equal expressions of different policies are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from threading import Lock
from typing import Any, ClassVar
from weakref import WeakValueDictionary

Value = bool | Fraction | date | str | None


@dataclass(frozen=True)
class Type:
    """bool, num, date, text, code, ref, row or span; `target` is the code table or register."""

    kind: str
    target: str = ""

    def __str__(self) -> str:
        words = {"bool": "是否", "num": "数", "date": "日期", "text": "文本", "code": "代码", "ref": "引用"}
        return words.get(self.kind, self.kind) + (f"({self.target})" if self.target else "")


BOOL, NUM, DATE, TEXT, SPAN = Type("bool"), Type("num"), Type("date"), Type("text"), Type("span")


class _Interned(type):
    """Equal nodes are one object: trees are deep and looked up often, and identity is compared and hashed at once."""

    _known: ClassVar[WeakValueDictionary[tuple[Any, ...], Any]] = WeakValueDictionary()
    _lock = Lock()

    def __call__(cls, *args: Any, **named: Any) -> Any:
        made = super().__call__(*args, **named)
        key = (cls, *[getattr(made, name) for name in cls.__match_args__])  # type: ignore[attr-defined]
        found = _Interned._known.get(key)
        if found is not None:
            return found
        with _Interned._lock:
            return _Interned._known.setdefault(key, made)


@dataclass(frozen=True, eq=False)
class Row(metaclass=_Interned):
    """A row in sight: a root (`of` is None) or one reached from `of` by `via`, a reference field or a row fact.

    `up` of a root: 0 is the row the expression is about, 1 the row outside the aggregate it stands in.
    """

    register: str
    of: Row | None = None
    via: str = ""
    up: int = 0

    @property
    def root(self) -> Row:
        """The row where the path begins."""
        return self if self.of is None else self.of.root

    @property
    def path(self) -> tuple[str, ...]:
        """The steps from the root."""
        return () if self.of is None else (*self.of.path, self.via)


@dataclass(frozen=True, eq=False)
class Const(metaclass=_Interned):
    """A literal or a parameter value (`label` names the parameter)."""

    value: Value
    type: Type
    label: str = ""


@dataclass(frozen=True, eq=False)
class Field(metaclass=_Interned):
    """A field of a row."""

    row: Row
    name: str
    type: Type


@dataclass(frozen=True, eq=False)
class Fact(metaclass=_Interned):
    """A fact of a row, defined in the program: named, hidden (`#3`) or an output (`policy.name`)."""

    row: Row
    name: str
    type: Type


@dataclass(frozen=True, eq=False)
class Op(metaclass=_Interned):
    """A scalar operation; `detail` carries constants such as a rounding mode or a look-up table's words."""

    op: str
    args: tuple[Node, ...]
    type: Type
    detail: tuple[object, ...] = ()


@dataclass(frozen=True, eq=False)
class Aggregate(metaclass=_Interned):
    """Something computed from the rows of `register` whose `link` is the identity of the row it is about.

    It stands only as the definition of a fact. In `value`, `where` and `order` a root with up=0 is the item and
    up=1 the row it is about; `key` is the reference of that row to match instead of its own identity.
    """

    register: str
    link: str
    fn: str
    value: Node | None
    where: Node | None
    order: Node | None
    type: Type
    options: tuple[tuple[str, object], ...] = ()
    key: str = ""

    def option(self, name: str, default: object = None) -> object:
        """An option of the function, or the default."""
        return dict(self.options).get(name, default)

    @property
    def parts(self) -> list[Node]:
        """Every expression about its rows, options included."""
        options = [value for _, value in self.options if isinstance(value, (Const, Field, Fact, Op))]
        return [part for part in (self.value, self.where, self.order) if part is not None] + options


@dataclass(frozen=True, eq=False)
class Window(metaclass=_Interned):
    """Something computed over all rows of a register for which `among` holds, in groups.

    fn: place, size, total, mean, lowest, highest, deviation, cumulative. It stands only as a fact's definition.
    """

    fn: str
    value: Node | None
    among: Node | None
    groups: tuple[Node, ...]
    order: tuple[tuple[Node, bool], ...]
    type: Type
    options: tuple[tuple[str, object], ...] = ()

    def option(self, name: str, default: object = None) -> object:
        """An option of the function, or the default."""
        return dict(self.options).get(name, default)


Node = Const | Field | Fact | Op | Aggregate | Window

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
    if not branches:
        return default
    args: list[Node] = []
    for condition, value in branches:
        args += [condition, value]
    return Op("if", (*args, default), default.type)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below a node."""
    match node:
        case Op():
            yield from node.args
        case Aggregate():
            yield from (part for part in (node.value, node.where, node.order) if part is not None)
        case Window():
            yield from (part for part in (node.value, node.among, *node.groups) if part is not None)
            yield from (part for part, _ in node.order)


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, without entering the definitions of facts."""
    todo = [node]
    while todo:
        here = todo.pop()
        yield here
        if type(here) is Op:
            todo.extend(here.args[::-1])
        elif type(here) in (Aggregate, Window):
            todo.extend([*children(here)][::-1])


def reads(node: Node) -> Iterator[tuple[str, str]]:
    """Every field and fact that an expression or definition reads, by register and name, those along its paths too."""
    for part in node.parts if isinstance(node, Aggregate) else [node]:
        for leaf in walk(part):
            if isinstance(leaf, (Field, Fact)):
                yield leaf.row.register, leaf.name
                row = leaf.row
                while row.of is not None:
                    yield row.of.register, row.via
                    row = row.of


def shifted(node: Node, by: int) -> Node:
    """The node as seen from `by` rows further inside (positive) or outside."""
    match node:
        case Field() | Fact():
            return replace(node, row=_shifted_row(node.row, by))
        case Op():
            return replace(node, args=tuple(shifted(part, by) for part in node.args))
    return node


def _shifted_row(row: Row, by: int) -> Row:
    return replace(row, up=row.up + by) if row.of is None else replace(row, of=_shifted_row(row.of, by))


def looks_out(node: Node | None) -> bool:
    """Whether the node mentions the row outside the one it is about."""
    return node is not None and any(isinstance(n, (Field, Fact)) and n.row.root.up > 0 for n in walk(node))


def atoms(node: Node) -> list[Node]:
    """The smallest yes/no questions of a condition, in reading order, each once."""
    if isinstance(node, Op) and node.op in ("and", "or", "not"):
        found: list[Node] = []
        for part in node.args:
            found += [atom for atom in atoms(part) if atom not in found]
        return found
    return [] if isinstance(node, Const) else [node]
