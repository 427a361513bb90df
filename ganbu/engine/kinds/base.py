"""What all kinds share (公共部分): reading clauses, binding in the policy's own names, the standard outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from ganbu.engine.bind import Program, Scope, bind, bind_condition
from ganbu.engine.policy import COMMON, REQUIRED, Policy, check_keys, parameters
from ganbu.engine.source import Mapping, Text, place_of
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    TEXT,
    TRUE,
    Aggregate,
    Const,
    Fact,
    Field,
    Node,
    Op,
    Row,
    Type,
    Window,
    atoms,
    both,
    children,
    choose,
    either,
    fails,
    holds,
    missing,
    negate,
    number,
    text,
)
from ganbu.errors import OpenValueError, PackError, nearest
from ganbu.vocabulary import Register

UNDECIDED, OUTSIDE = "不能判定", "不适用"
CLAUSE = ("when", "source", "say", "strictness", "unless", "about", "replace", "note")
WINDOWS = {
    "place": "名次", "ties": "同分人数", "seated": "有数值的人数", "unseated": "数值未知的人数", "size": "组内个数",
    "total": "组内合计", "known": "组内已知个数", "lowest": "组内最低", "highest": "组内最高", "sum_known": "组内已知合计", "squares": "平方和",
}  # fmt: skip
OWN = (
    "·"  # begins the name of a fact the engine makes for itself, so that none of the author's can be the same
)
STRICTNESS = ("must", "in_principle", "prefer", "plan", "about")
NEVER = Const(None, DATE)
ALWAYS, FOREVER = Const(date(1, 1, 1), DATE), Const(date(9999, 12, 31), DATE)


@dataclass(frozen=True)
class Clause:
    """One clause of a policy (条款): its name, its condition as bound and as written, and its source."""

    name: str
    node: Node
    written: str
    source: tuple[str, ...] = ()
    say: str = ""
    strictness: str = "must"
    role: str = "require"

    @property
    def label(self) -> str:
        """How the clause is called in results."""
        return self.say or self.name


@dataclass
class Lowered:
    """A policy as outputs over its subject's rows (已编译规则).

    `grounds` are listed when their condition is true, `doubts` when a heavier outcome cannot be excluded, `asked`
    are the conditions whose unknown facts are named as missing. `layout` is `subject`, `groups` or `effects`.
    """

    outcome: Node
    value: Node | None = None
    due: Node | None = None
    clauses: list[Clause] = field(default_factory=list)
    grounds: list[tuple[str, Node]] = field(default_factory=list)
    doubts: list[tuple[str, Node]] = field(default_factory=list)
    asked: list[Node] = field(default_factory=list)
    extras: dict[str, Node] = field(default_factory=dict)
    layout: str = "subject"
    groups: list[tuple[str, Node]] = field(default_factory=list)
    parts: list[tuple[str, dict[str, Node], str]] = field(default_factory=list)
    effects: list[tuple[str, Clause, dict[str, Node]]] = field(default_factory=list)
    horizon: int = 0


class Context:
    """A policy being lowered: its names, its scope, and readers for its YAML."""

    def __init__(
        self,
        program: Program,
        policy: Policy,
        overrides: dict[str, Any] | None = None,
        checking: bool = False,
    ) -> None:
        program = replace(program, owner=policy.name, local={})
        self.program, self.policy, self.body, self.checking = program, policy, policy.body, checking
        register = program.vocabulary.find(policy.subject)
        if register is None:
            known = [r.label for r in program.vocabulary.registers.values()]
            raise PackError(
                f"规则“{policy.name}”的 subject “{policy.subject}”不是登记表",
                self.body.at("subject"),
                nearest(policy.subject, known),
            )
        self.register: Register = register
        self.parameters = parameters(policy)
        self.values: dict[str, Any] = {key: spec.get("value") for key, spec in self.parameters.items()}
        for key, value in (overrides or {}).items():
            if key not in self.values:
                raise PackError(f"规则“{policy.name}”没有参数“{key}”", hint=nearest(key, self.values))
            self.values[key] = value
        self.facts: Mapping = self.body.get("facts") or Mapping(policy.place)
        self.builtin: dict[str, Node] = {}
        self.scope = Scope(program, register.name, self._local, self._local_text, None, self._known)
        for label, items in (self.body.get("define") or {}).items():
            target = program.vocabulary.find(label)
            if target is None:
                raise PackError(
                    f"define：没有登记表“{label}”",
                    self.body["define"].at(label),
                    nearest(label, [r.label for r in program.vocabulary.registers.values()]),
                )
            _no_shadow(policy, items, target, program)
            own = {key: self._source(items, key) for key in items}
            program.local.setdefault(target.name, {}).update(own)
        if policy.parents:
            _no_shadow(policy, self.facts, register, program)
        self.where = self.condition(self.body["where"]) if self.body.get("where") is not None else TRUE

    # -- names -----------------------------------------------------------------------------------------------

    def _known(self) -> list[str]:
        return [*self.values, *self.facts, *self.builtin]

    def _local(self, name: str) -> Node | None:
        if name in self.builtin:
            return self.builtin[name]
        if name in self.values:
            return self._parameter(name)
        if name in self.facts:
            own = f"{self.policy.name}/{name}"
            return Fact(
                Row(self.register.name),
                own,
                self.program.define(self.register.name, own, self._source(self.facts, name), self.scope).type,
            )
        if name == REQUIRED:
            return self._required(None, "表达式")
        return None

    def _local_text(self, name: str) -> str | None:
        value = self.facts.get(name)
        return value if isinstance(value, str) else None

    def _source(self, mapping: Mapping, key: str) -> str:
        value = mapping[key]
        return value if isinstance(value, Text) else Text(_literal(value), mapping.at(key))

    def _parameter(self, name: str) -> Node:
        value = self.values[name]
        if isinstance(value, list):
            return Op("list", tuple(_constant(item) for item in value), TEXT)
        if value == REQUIRED or value is None:
            return self._required(self.parameters[name], f"参数“{name}”")
        node = _constant(value)
        return Const(node.value, node.type, name)

    def _required(self, spec: Mapping | None, what: str) -> Node:
        if self.checking:
            kind = str(spec.get("type", "num")) if spec is not None else "num"
            return Const(None, {"text": TEXT, "date": DATE, "bool": BOOL}.get(kind, NUM), what)
        raise OpenValueError(
            f"规则“{self.policy.name}”的{what}原文未定（REQUIRED），由本地填写后才生效",
            self.policy.place,
            "在本地规则包中 extends 这条规则并填写 parameters",
        )

    # -- reading ---------------------------------------------------------------------------------------------

    def keys(self, *own: str) -> None:
        """Refuse keys the kind does not know."""
        check_keys(self.body, (*COMMON, *own), f"{self.policy.kind} 规则")

    def condition(self, value: Any) -> Node:
        """Bind a yes/no expression."""
        if isinstance(value, bool):
            return Const(value, BOOL)
        if not isinstance(value, str):
            raise PackError("这里要一个条件表达式", place_of(value, self.policy.place))
        return bind_condition(value, self.scope)

    def number(self, value: Any) -> Node:
        """Bind a number or an expression that gives one."""
        if isinstance(value, (int, Fraction)) and not isinstance(value, bool):
            return number(value)
        if not isinstance(value, str):
            raise PackError("这里要一个数或算式", place_of(value, self.policy.place))
        node = bind(value, self.scope)
        if node.type.kind == "bool":
            return choose((missing(node), Const(None, NUM)), (node, number(1)), default=number(0))
        if node.type.kind != "num":
            raise PackError(f"“{value}”是{node.type}，这里要一个数", place_of(value))
        return node

    def constant(self, value: Any, what: str) -> Fraction:
        """A number that is known when the pack is read."""
        node = self.number(value)
        if (
            isinstance(node, Op)
            and node.op == "div"
            and all(isinstance(arg, Const) and isinstance(arg.value, Fraction) for arg in node.args)
        ):
            one, two = node.args
            return Fraction(one.value) / Fraction(two.value)  # type: ignore[union-attr,arg-type]
        if isinstance(node, Const) and isinstance(node.value, Fraction):
            return node.value
        if self.checking and isinstance(node, Const):
            return Fraction(1)
        raise PackError(f"{what}要是一个确定的数", place_of(value, self.policy.place))

    def any(self, value: Any) -> Node:
        """Bind any expression or literal."""
        return bind(value, self.scope) if isinstance(value, str) else _constant(value)

    def date(self, value: Any) -> Node:
        """Bind a date."""
        node = self.any(value)
        if node.type.kind != "date":
            raise PackError(f"“{value}”是{node.type}，这里要一个日期", place_of(value, self.policy.place))
        return node

    def mapping(self, key: str, needed: bool = True) -> Mapping:
        """A section of the policy that must be a mapping."""
        value = self.body.get(key)
        if value is None and not needed:
            return Mapping(self.policy.place)
        if not isinstance(value, Mapping) or (not value and needed):
            raise PackError(f"{self.policy.kind} 规则要写 {key}:", self.body.at(key))
        return value

    def clauses(
        self, key: str, role: str = "require", more: tuple[str, ...] = ()
    ) -> list[tuple[Clause, Mapping]]:
        """The clauses of a section, each with its mapping."""
        return [
            self.clause(name, value, self.body[key], role, more)
            for name, value in self.mapping(key, False).items()
        ]

    def clause(
        self, name: str, value: Any, holder: Mapping, role: str, more: tuple[str, ...] = ()
    ) -> tuple[Clause, Mapping]:
        """One clause, in its short or long form."""
        if not isinstance(value, Mapping):
            spec = Mapping(holder.at(name))
            spec["when"] = value
        else:
            spec = value
        check_keys(spec, (*CLAUSE, *more), f"条款“{name}”")
        if spec.get("when") is None:
            raise PackError(f"条款“{name}”要写 when:", spec.place)
        strictness = str(spec.get("strictness", "must"))
        if strictness not in STRICTNESS:
            raise PackError(f"strictness “{strictness}”无效", spec.at("strictness"), "、".join(STRICTNESS))
        node = self.condition(spec["when"])
        if spec.get("unless") is not None:
            # A requirement need not hold where the exception does; anything else does not count there.
            excepted = self.condition(spec["unless"])
            node = either(excepted, node) if role == "require" else both(negate(excepted), node)
        return Clause(
            name, node, str(spec["when"]), tuple(sources(spec)), str(spec.get("say", "")), strictness, role
        ), spec

    def duration(self, value: Any, what: str) -> tuple[int, str]:
        """A span such as `12 个月`: amount and unit (months, days or workdays)."""
        node = bind(value, self.scope) if isinstance(value, str) else None
        if (
            isinstance(node, Const)
            and node.label
            and node.type.kind == "text"
            and isinstance(node.value, str)
        ):
            node = bind(Text(node.value, place_of(value, self.policy.place) or self.policy.place), self.scope)
        if self.checking and isinstance(node, Const) and node.value is None:
            return 1, "days"  # still REQUIRED: any span will do for the check
        if not isinstance(node, Const) or node.type.kind != "span" or Fraction(node.value).denominator != 1:  # type: ignore[arg-type]
            raise PackError(f"{what}应是时段，如 12 个月、5 工作日", place_of(value, self.policy.place))
        amount = int(Fraction(node.value))  # type: ignore[arg-type]
        return (amount * 12, "months") if node.type.target == "years" else (amount, node.type.target)

    def after(self, day: Node, value: Any, what: str) -> Node:
        """The day a span after `day`."""
        amount, unit = self.duration(value, what)
        return Op(
            {"months": "add_months", "days": "add_days"}.get(unit, "add_workdays"),
            (day, number(amount)),
            DATE,
        )

    def fact(self, name: str, node: Node) -> Node:
        """Give a value a column of its own, so that it is computed once."""
        if isinstance(node, (Const, Field)):
            return node
        return self.program.set(self.register.name, f"{self.policy.name}/{OWN}{name}", node, name)

    def window(
        self,
        fn: str,
        value: Node | None,
        among: Node | None,
        groups: tuple[Node, ...],
        order: tuple[tuple[Node, bool], ...] = (),
        kind: Type = NUM,
        **options: object,
    ) -> Node:
        """A hidden fact over all subjects."""
        node = Window(fn, value, among, groups, order, kind, tuple(sorted(options.items())))
        hidden = self.program.hide(self.register.name, node, WINDOWS.get(fn, fn))
        return Fact(Row(self.register.name), hidden, kind)


def _no_shadow(policy: Policy, items: Mapping, register: Register, program: Program) -> None:
    """A name that already means something on a register keeps that meaning: a rule laid over another cannot turn it."""
    for name in items:
        taken = name in program.shared.get(register.name, {}) or register.find(name) is not None
        if taken and name not in policy.inherited:
            raise PackError(
                f"“{name}”在“{register.label}”上已有含义，这里不能另作定义", items.at(name), "请换一个名称"
            )


def sources(spec: Mapping) -> list[str]:
    """The sources of one item."""
    value = spec.get("source")
    return [] if value is None else [str(item) for item in (value if isinstance(value, list) else [value])]


def _constant(value: Any) -> Const:
    if isinstance(value, bool):
        return Const(value, BOOL)
    if isinstance(value, date):
        return Const(value, DATE)
    if isinstance(value, (int, Fraction)):
        return number(value)
    if isinstance(value, str) and value.endswith("%") and value[:-1].replace(".", "", 1).isdigit():
        return number(Fraction(value[:-1]) / 100)
    if (
        isinstance(value, str)
        and "/" in value
        and all(part.strip().isdigit() for part in value.split("/", 1))
    ):
        return number(Fraction(value.replace(" ", "")))
    return Const(None if value is None else str(value), TEXT)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Fraction) and value.denominator != 1:
        return f"({value.numerator} / {value.denominator})"
    return str(value)


# -- leaves and due dates ------------------------------------------------------------------------------------


def leaves(program: Program, register: str, node: Node) -> dict[Node, str]:
    """The facts a condition rests on, each with what to call it: what is named when it is missing."""
    found: dict[Node, str] = {}
    _gather(program, register, node, found)
    return found


def _gather(program: Program, register: str, node: Node, found: dict[Node, str]) -> None:
    if isinstance(node, Op) and node.op == "unknown":
        found[node] = str(node.detail[0])
        return
    if isinstance(node, Op) and node.op == "div" and node not in found:
        # A mean or a share of no rows is not known, though nothing it is made of is missing.
        found[node] = _ratio_text(program, register, node)
    if isinstance(node, (Field, Fact)):
        if node in found:
            return
        if node.row.of is None and isinstance(node, Fact):
            definition = program.definitions.get((register, node.name))
            if definition is not None and not isinstance(definition, (Aggregate, Window)):
                before = set(found)
                _gather(program, register, definition, found)
                for leaf in found.keys() - before:
                    own = (
                        isinstance(leaf, Op)
                        and leaf.op == "div"
                        and found[leaf] == _ratio_text(program, register, leaf)
                    )
                    if own and not node.name.startswith("#"):
                        found[leaf] = node.name.split("/", 1)[-1].removeprefix(OWN).split(":", 1)[-1]
                return
        row: Row | None = node.row
        while row is not None and row.of is not None:
            pick = (row.of.register, row.via) in program.definitions
            step: Node = (
                Fact(row.of, row.via, Type("row", row.register))
                if pick
                else Field(row.of, row.via, Type("ref", row.register))
            )
            found.setdefault(step, _path_text(program, row.of, row.via, pick))
            row = row.of
        found[node] = _path_text(program, node.row, node.name, isinstance(node, Fact))
        return
    for part in children(node):
        _gather(program, register, part, found)


def _ratio_text(program: Program, register: str, node: Op) -> str:
    for arg in node.args:
        if isinstance(arg, Fact) and arg.name.startswith("#"):
            return program.texts.get((arg.row.register, arg.name), "比值").split("：", 1)[-1]
    return "比值"


def _path_text(program: Program, row: Row, leaf: str, is_fact: bool) -> str:
    parts = []
    at: Row | None = row
    while at is not None and at.of is not None:
        pick = (at.of.register, at.via) in program.definitions
        parts.append(_word(program, at.of.register, at.via, pick))
        at = at.of
    return ".".join([*reversed(parts), _word(program, row.register, leaf, is_fact)])


def _word(program: Program, register: str, name: str, is_fact: bool) -> str:
    if is_fact:
        if name.startswith("#"):
            return program.texts.get((register, name)) or name
        return name.split("/", 1)[-1].removeprefix(OWN)
    return program.vocabulary.registers[register].fields[name].label


def resolved(program: Program, register: str, node: Node) -> Node:
    """A node with scalar facts of the row itself replaced by their definitions."""
    while isinstance(node, Fact) and node.row.of is None:
        definition = program.definitions.get((register, node.name))
        if definition is None or isinstance(definition, (Aggregate, Window)):
            return node
        node = definition
    return node


def due_date(program: Program, register: str, condition: Node) -> Node:
    """The first day on which a condition holds if only time passes; NULL for never or not known.

    ALWAYS stands for conditions that hold today and do not depend on the clock.
    """
    node = resolved(program, register, condition)
    if isinstance(node, Op) and node.op == "and":
        return Op("greatest", tuple(due_date(program, register, arg) for arg in node.args), DATE)
    if isinstance(node, Op) and node.op == "or":
        return Op("earliest", tuple(due_date(program, register, arg) for arg in node.args), DATE)
    if isinstance(node, Op) and node.op == "compare":
        timed = _timed(program, register, node)
        if timed is not None:
            return timed
    if isinstance(node, Op) and node.op == "not":
        inner = resolved(program, register, node.args[0])
        opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
        if isinstance(inner, Op) and inner.op == "compare" and inner.detail[0] in opposite:
            timed = _timed(
                program, register, Op("compare", inner.args, BOOL, (opposite[str(inner.detail[0])],))
            )
            if timed is not None:
                return timed
    return choose((holds(condition), ALWAYS), default=NEVER)


def _timed(program: Program, register: str, node: Op) -> Node | None:
    left, right = (resolved(program, register, arg) for arg in node.args)
    sign = str(node.detail[0])
    if isinstance(left, Const) and not isinstance(right, Const):
        left, right = right, left
        sign = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
    today = isinstance(right, Const) and right.label == "基准日"
    if today and sign in ("<=", "<") and left.type.kind == "date":
        return left if sign == "<=" else Op("add_days", (left, number(1)), DATE)
    if not (isinstance(left, Op) and left.op in ("years", "months", "days") and sign in (">=", ">")):
        return None
    until = left.args[1]
    if not (
        isinstance(until, Const)
        and until.label == "基准日"
        and isinstance(right, Const)
        and isinstance(right.value, Fraction)
    ):
        return None
    amount = (
        -(-right.value.numerator // right.value.denominator)
        if sign == ">="
        else right.value.numerator // right.value.denominator + 1
    )
    if left.op == "days":
        return Op("add_days", (left.args[0], number(amount)), DATE)
    return Op("add_months", (left.args[0], number(amount * (12 if left.op == "years" else 1))), DATE)


def lapse_date(program: Program, register: str, condition: Node) -> Node:
    """The first day on which a condition that holds no longer does if only time passes; FOREVER where time is no matter."""
    node = resolved(program, register, condition)
    if isinstance(node, Op) and node.op == "and":
        return Op("least", tuple(lapse_date(program, register, arg) for arg in node.args), DATE)
    if isinstance(node, Op) and node.op == "or":
        return Op("greatest", tuple(lapse_date(program, register, arg) for arg in node.args), DATE)
    opposite = {"<=": ">", "<": ">=", ">=": "<", ">": "<="}
    if isinstance(node, Op) and node.op == "not":
        node = resolved(program, register, node.args[0])
    elif isinstance(node, Op) and node.op == "compare" and node.detail[0] in opposite:
        node = Op("compare", node.args, BOOL, (opposite[str(node.detail[0])],))
    else:
        return FOREVER
    if isinstance(node, Op) and node.op == "compare":
        timed = _timed(program, register, node)
        if timed is not None:
            return Op("or_else", (timed, FOREVER), DATE)
    return FOREVER


def shown_due(node: Node) -> Node:
    """A due date for people: nothing where the clock plays no part."""
    return choose((Op("compare", (node, ALWAYS), BOOL, (">",)), node), default=NEVER)


def within_population(ctx: Context, outcome: Node) -> Node:
    """The outcome, for those the policy is about."""
    if ctx.where == TRUE:
        return outcome
    return choose((fails(ctx.where), text(OUTSIDE)), (missing(ctx.where), text(UNDECIDED)), default=outcome)


__all__ = [
    "ALWAYS",
    "NEVER",
    "OUTSIDE",
    "UNDECIDED",
    "Clause",
    "Context",
    "Lowered",
    "atoms",
    "both",
    "due_date",
    "lapse_date",
    "leaves",
    "resolved",
    "shown_due",
    "sources",
    "within_population",
]  # fmt: skip
