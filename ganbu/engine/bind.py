"""From syntax to the typed tree (绑定): every name is found in the vocabulary or the pack, every type checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from ganbu.engine.source import Text
from ganbu.engine.syntax import Syntax, error_at, parse
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    SPAN,
    TEXT,
    Aggregate,
    Const,
    Fact,
    Field,
    Node,
    Op,
    Row,
    Type,
    Window,
    both,
    looks_out,
    number,
)
from ganbu.errors import PackError, Place, nearest
from ganbu.vocabulary import Field as FieldSpec
from ganbu.vocabulary import Register, Vocabulary

MONTHS_IN = {"years": 12, "months": 1}


@dataclass
class Program:
    """Everything a run computes (程序): facts by register and name, each with its definition and its text.

    `shared` are the facts of the packs; `local` those one policy (`owner`) defines on registers for itself.
    """

    vocabulary: Vocabulary
    as_of: date
    definitions: dict[tuple[str, str], Node] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    shared: dict[str, dict[str, str]] = field(default_factory=dict)
    local: dict[str, dict[str, str]] = field(default_factory=dict)
    owner: str = ""
    catalogues: dict[str, Any] = field(default_factory=dict)
    outputs: Callable[[str, str], tuple[str, Type] | None] = lambda policy, column: None
    virtual: Callable[[str], Register | None] = lambda name: None
    # What an engine worked out of the definitions for a run, for the next one that asks for the same.
    remembered: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    # The registers that expressions rest on, as far as anybody asked; see `grounds`.
    grounded: dict[tuple[str, Node], frozenset[str]] = field(default_factory=dict, repr=False, compare=False)
    _hidden: dict[tuple[str, Node], str] = field(default_factory=dict)
    _binding: list[tuple[str, str]] = field(default_factory=list)

    def hide(self, register: str, node: Node, text: str = "") -> str:
        """The name of a hidden fact with this definition; equal definitions share one name."""
        known = self._hidden.get((register, node))
        if known is None:
            known = f"#{len(self._hidden) + 1}"
            self._hidden[register, node] = known
            self.definitions[register, known] = node
            self.texts[register, known] = text
        return known

    def define(self, register: str, name: str, source: str, scope: Scope) -> Node:
        """Bind a named fact once; a circle of facts is refused with its path."""
        key = (register, name)
        if key not in self.definitions:
            if key in self._binding:
                path = " → ".join(
                    n.split("/")[-1] for _, n in [*self._binding[self._binding.index(key) :], key]
                )
                raise PackError(f"事实互相引用成环：{path}", getattr(source, "place", None))
            self._binding.append(key)
            try:
                node = bind(source, scope)
                # An aggregate standing alone is the definition itself, not a fact of a fact.
                if isinstance(node, Fact) and node.row == Row(register) and node.name.startswith("#"):
                    node = self.definitions[register, node.name]
                self.definitions[key] = node
                self.texts[key] = str(source)
            finally:
                self._binding.pop()
        return self.definitions[key]

    def set(self, register: str, name: str, node: Node, text: str = "") -> Fact:
        """Give a fact its definition directly."""
        self.definitions[register, name] = node
        self.texts[register, name] = text or name
        return Fact(Row(register), name, node.type)


@dataclass(frozen=True)
class Scope:
    """What names mean at a place (作用域): the register of the row in hand, local names, and the scope outside."""

    program: Program
    register: str
    local: Callable[[str], Node | None] = lambda name: None
    local_text: Callable[[str], str | None] = lambda name: None
    outer: Scope | None = None
    known: Callable[[], list[str]] = list

    def inside(self, register: str) -> Scope:
        """The scope of the rows of `register` that an aggregate looks at."""
        return Scope(self.program, register, outer=self)


def type_of(spec: FieldSpec) -> Type:
    """The type of a vocabulary field."""
    kinds = {
        "id": "text",
        "text": "text",
        "int": "num",
        "decimal": "num",
        "date": "date",
        "time": "date",
        "bool": "bool",
    }
    return Type(spec.kind, spec.target) if spec.kind in ("code", "ref") else Type(kinds[spec.kind])


def bind(source: str, scope: Scope) -> Node:
    """Bind an expression. Raises PackError at the exact place, with the nearest known name."""
    return _Binder(source, scope.program).node(parse(source), scope)


def bind_condition(source: str, scope: Scope) -> Node:
    """Bind an expression that must be a yes/no question."""
    node = bind(source, scope)
    return _require(node, BOOL, source, parse(source), "这里要一个条件（是/否）")


def _require(node: Node, wanted: Type, source: str, syntax: Syntax, message: str) -> Node:
    if node.type.kind != wanted.kind and not (isinstance(node, Const) and node.value is None):
        raise error_at(
            source, syntax.start, f"{message}，而“{source[syntax.start : syntax.end]}”是{node.type}"
        )
    return node


class _Binder:
    """Binds one expression; methods by syntax kind."""

    def __init__(self, source: str, program: Program) -> None:
        self.source, self.program = source, program

    def fail(self, syntax: Syntax, message: str, hint: str = "") -> PackError:
        return error_at(self.source, syntax.start, message, hint)

    def text(self, syntax: Syntax) -> str:
        return self.source[syntax.start : syntax.end]

    def node(self, syntax: Syntax, scope: Scope) -> Node:
        bound: Node = getattr(self, "_" + syntax.kind)(syntax, scope)
        return bound

    def condition(self, syntax: Syntax, scope: Scope) -> Node:
        return _require(self.node(syntax, scope), BOOL, self.source, syntax, "这里要一个条件（是/否）")

    def num(self, syntax: Syntax, scope: Scope) -> Node:
        return _require(self.node(syntax, scope), NUM, self.source, syntax, "这里要一个数")

    def date(self, syntax: Syntax, scope: Scope) -> Node:
        return _require(self.node(syntax, scope), DATE, self.source, syntax, "这里要一个日期")

    def constant(self, syntax: Syntax, scope: Scope) -> Const:
        node = self.node(syntax, scope)
        if isinstance(node, Op) and node.op == "div" and all(isinstance(a, Const) for a in node.args):
            one, two = node.args
            node = number(Fraction(one.value) / Fraction(two.value))  # type: ignore[union-attr,arg-type]
        if not isinstance(node, Const):
            raise self.fail(syntax, f"“{self.text(syntax)}”应是常数或参数")
        return node

    # -- leaves --------------------------------------------------------------------------------------------

    def _number(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(syntax.value, NUM)

    def _date(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(syntax.value, DATE)

    def _text(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(syntax.value, TEXT)

    def _bool(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(syntax.value, BOOL)

    def _missing(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(None, TEXT)

    def _span(self, syntax: Syntax, scope: Scope) -> Node:
        return Const(syntax.value[0], Type("span", syntax.value[1]))

    def _tuple(self, syntax: Syntax, scope: Scope) -> Node:
        raise self.fail(syntax, "括号里只能有一个值")

    def _table(self, syntax: Syntax, scope: Scope) -> Node:
        raise self.fail(syntax, "对照表后面要写 [键]", "例如 {优秀: 3, 称职: 2}[等次]")

    def _name(self, syntax: Syntax, scope: Scope) -> Node:
        found = self.lookup(syntax.value, scope)
        if found is None:
            known = self.known(scope)
            raise self.fail(
                syntax, f"不认识“{syntax.value}”", nearest(syntax.value, known) or "文本要加引号，如 '优秀'"
            )
        return found

    def known(self, scope: Scope | None) -> list[str]:
        names: list[str] = []
        while scope is not None:
            register = self.program.vocabulary.registers[scope.register]
            names += (
                [f.label for f in register.fields.values()]
                + [*self.program.shared.get(scope.register, {}), *self.program.local.get(scope.register, {})]
                + scope.known()
            )
            scope = scope.outer
        return [*names, "基准日", "基准年", "考核年"]

    def lookup(self, name: str, scope: Scope) -> Node | None:
        up, place = 0, scope
        while place is not None:
            found = place.local(name)
            if found is None:
                found = self.of_row(Row(place.register), name)
            if found is not None:
                return _lift(found, up)
            up, place = up + 1, place.outer  # type: ignore[assignment]
        as_of = self.program.as_of
        assessed = as_of.year if (as_of.month, as_of.day) == (12, 31) else as_of.year - 1
        builtin: dict[str, tuple[Any, Type]] = {
            "基准日": (as_of, DATE),
            "基准年": (Fraction(as_of.year), NUM),
            "考核年": (Fraction(assessed), NUM),
        }
        if name in builtin:
            return Const(builtin[name][0], builtin[name][1], name)
        return None

    def of_row(self, row: Row, name: str) -> Node | None:
        """The shared fact or field of that name on a row."""
        local = self.program.local.get(row.register, {})
        if name in local:
            own = f"{self.program.owner}/{name}"
            scope = Scope(self.program, row.register)
            return Fact(row, own, self.program.define(row.register, own, local[name], scope).type)
        shared = self.program.shared.get(row.register, {})
        if name in shared:
            # What all policies share is bound without the names of the one that asks first.
            scope = Scope(replace(self.program, local={}, owner=""), row.register)
            return Fact(row, name, self.program.define(row.register, name, shared[name], scope).type)
        spec = self.program.vocabulary.registers[row.register].find(name)
        return Field(row, spec.name, type_of(spec)) if spec else None

    def _dot(self, syntax: Syntax, scope: Scope) -> Node:
        base, name = syntax.parts[0], syntax.value
        if base.kind == "name":
            if base.value in ("本人", "this"):
                outer = scope.outer or scope
                found = outer.local(name) or self.of_row(Row(outer.register), name)
                if found is None:
                    raise self.fail(syntax, f"评判对象没有“{name}”", nearest(name, self.known(outer)))
                return _lift(found, 1 if scope.outer else 0)
            if self.lookup(base.value, scope) is None:
                output = self.output(base.value, name, scope, syntax)
                if output is not None:
                    return output
        reached = self.finding_of(base, name, scope)
        if reached is not None:
            return reached
        node = self.node(base, scope)
        row = self.row_of(node, base)
        found = self.of_row(row, name)
        if found is None:
            register = self.program.vocabulary.registers[row.register]
            known = [f.label for f in register.fields.values()] + [*self.program.shared.get(row.register, {})]
            raise self.fail(
                syntax, f"“{register.label}”没有“{name}”", nearest(name, known) or "、".join(known[:12])
            )
        return found

    def row_of(self, node: Node, syntax: Syntax) -> Row:
        if node.type.kind == "row" and isinstance(node, Fact):
            return Row(node.type.target, node.row, node.name)
        if node.type.kind == "ref" and isinstance(node, Field):
            return Row(node.type.target, node.row, node.name)
        raise self.fail(
            syntax,
            f"“{self.text(syntax)}”是{node.type}，后面不能再接“.”",
            "只有引用字段和 first/last/top 可以",
        )

    def finding_of(self, base: Syntax, column: str, scope: Scope) -> Node | None:
        """`机构.规则名.列名`: the result of a rule about what a reference leads to."""
        if base.kind != "dot" or self.program.vocabulary.find(base.value) is not None:
            return None
        owner = base.parts[0]
        if owner.kind == "name" and self.lookup(owner.value, scope) is None:
            return None
        node = self.node(owner, scope)
        if node.type.kind not in ("row", "ref"):
            return None
        row = self.row_of(node, owner)
        if self.of_row(row, base.value) is not None:
            return None
        try:
            found = self.program.outputs(base.value, column)
        except KeyError as error:
            raise self.fail(
                base, f"规则“{base.value}”没有列“{column}”", nearest(column, error.args[0])
            ) from error
        if found is None:
            return None
        if found[0] != row.register:
            label = self.program.vocabulary.registers[found[0]].label
            raise self.fail(base, f"规则“{base.value}”评判的是“{label}”")
        return Fact(row, f"{base.value}.{column}", found[1])

    def output(self, policy: str, column: str, scope: Scope, syntax: Syntax) -> Node | None:
        """The result column of another policy, for the row in hand, the one outside, or one they refer to."""
        try:
            found = self.program.outputs(policy, column)
        except KeyError as error:
            raise self.fail(
                syntax, f"规则“{policy}”没有列“{column}”", nearest(column, error.args[0])
            ) from error
        if found is None:
            return None
        register, kind = found
        place: Scope | None = scope
        up = 0
        while place is not None:
            if place.register == register:
                return Fact(Row(place.register, up=up), f"{policy}.{column}", kind)
            links = self.program.vocabulary.registers[place.register].links_to(register)
            if links:
                return Fact(
                    Row(register, Row(place.register, up=up), links[0].name), f"{policy}.{column}", kind
                )
            place, up = place.outer, up + 1
        label = self.program.vocabulary.registers[register].label
        raise self.fail(syntax, f"规则“{policy}”评判的是“{label}”，从这里够不到")

    # -- operators -----------------------------------------------------------------------------------------

    def _and(self, syntax: Syntax, scope: Scope) -> Node:
        return self.logic("and", syntax, scope)

    def _or(self, syntax: Syntax, scope: Scope) -> Node:
        return self.logic("or", syntax, scope)

    def logic(self, op: str, syntax: Syntax, scope: Scope) -> Node:
        args: list[Node] = []
        for part in syntax.parts:
            node = self.condition(part, scope)
            args += node.args if isinstance(node, Op) and node.op == op else (node,)
        return Op(op, tuple(args), BOOL)

    def _not(self, syntax: Syntax, scope: Scope) -> Node:
        return Op("not", (self.condition(syntax.parts[0], scope),), BOOL)

    def _is(self, syntax: Syntax, scope: Scope) -> Node:
        state, negated = syntax.value
        inner = self.node(syntax.parts[0], scope)
        if state == "missing":
            node: Node = Op("is_missing", (inner,), BOOL)
        else:
            _require(inner, BOOL, self.source, syntax.parts[0], "is yes / is no 只用于是否")
            node = inner if state == "true" else Op("not", (inner,), BOOL)
        return Op("not", (node,), BOOL) if negated else node

    def _compare(self, syntax: Syntax, scope: Scope) -> Node:
        left, right = (self.node(part, scope) for part in syntax.parts)
        left, right = self.matched(left, right, syntax), self.matched(right, left, syntax)
        ordered = syntax.value in ("<", "<=", ">", ">=")
        code = left.type if left.type.kind == "code" else right.type
        if ordered and code.kind == "code":
            order = self.program.vocabulary.codes[code.target].order
            if not order:
                raise self.fail(
                    syntax,
                    f"代码“{self.program.vocabulary.codes[code.target].label}”没有高低之分，不能比较大小",
                )
            for side in (left, right):
                if isinstance(side, Const) and side.value is not None and side.value not in order:
                    raise self.fail(syntax, f"“{side.value}”不在高低次序中：{'、'.join(order)}")
            steps = self.program.vocabulary.codes[code.target].steps
            return Op("compare_order", (left, right), BOOL, (syntax.value, steps))
        if ordered and left.type.kind not in ("num", "date"):
            raise self.fail(syntax, f"{left.type}不能比较大小")
        return Op("compare", (left, right), BOOL, (syntax.value,))

    def matched(self, node: Node, other: Node, syntax: Syntax) -> Node:
        """`node` made comparable with `other`."""
        one, two = node.type, other.type
        if isinstance(node, Const) and node.value is None:
            return replace(node, type=two)
        if isinstance(other, Const) and other.value is None:
            return node
        if one.kind == "code" and two.kind == "code" and one.target != two.target:
            raise self.fail(syntax, f"{one}与{two}不是同一个代码表")
        if one.kind in ("text", "code") and two.kind == "code" and isinstance(node, Const):
            return self.word(str(node.value), two, syntax)
        if one.kind == "span" and two.kind == "num":
            return self.span_as_number(node, two, syntax)
        if one.kind == "ref" and two.kind in ("text", "code"):
            return self.name_of(node, syntax)
        if one.kind == "date" and two.kind == "num" and isinstance(node, Field):
            raise self.fail(syntax, "日期不能与数比较", "日期写作 2021-03-14，年份写 year(日期)")
        texts = ("text", "code", "ref")
        if (
            one.kind != two.kind
            and not (one.kind in texts and two.kind in texts)
            and "span" not in (one.kind, two.kind)
        ):
            raise self.fail(syntax, f"{one}与{two}不能比较")
        return node

    def span_as_number(self, node: Node, wanted: Type, syntax: Syntax) -> Node:
        assert isinstance(node, Const)
        unit, value = node.type.target, Fraction(node.value)  # type: ignore[arg-type]
        if not wanted.target or wanted.target == unit:
            return Const(value, NUM)
        if unit in MONTHS_IN and wanted.target in MONTHS_IN:
            return Const(value * MONTHS_IN[unit] / MONTHS_IN[wanted.target], NUM)
        raise self.fail(syntax, "时段的单位与左边不同", f"左边以 {wanted.target} 计")

    def word(self, value: str, kind: Type, syntax: Syntax) -> Const:
        table = self.program.vocabulary.codes[kind.target]
        canonical = table.canonical(value)
        if canonical is None and table.closed:
            hint = nearest(value, table.names()) or "、".join(table.names()[:15])
            raise self.fail(syntax, f"代码表“{table.label}”没有“{value}”", hint)
        return Const(canonical or value, kind)

    def name_of(self, node: Node, syntax: Syntax) -> Node:
        row = self.row_of(node, syntax)
        register = self.program.vocabulary.registers[row.register]
        if not register.name_field:
            raise self.fail(syntax, f"“{register.label}”没有名称，不能与文本比较")
        return Field(row, register.name_field, TEXT)

    def _in(self, syntax: Syntax, scope: Scope) -> Node:
        left = self.node(syntax.parts[0], scope)
        items = self.items(syntax.parts[1:], scope)
        if items is None:
            return Op("unknown", (left,), BOOL, (f"目录“{syntax.parts[1].value}”（原文未公布，待本地填写）",))
        if left.type.kind == "ref":
            left = self.name_of(left, syntax.parts[0])
        values = tuple(self.matched(item, left, syntax) for item in items)
        if not all(isinstance(value, Const) for value in values):
            node: Node = Op("or", tuple(Op("compare", (left, value), BOOL, ("=",)) for value in values), BOOL)
        else:
            node = Op("in", (left, *values), BOOL)
        return Op("not", (node,), BOOL) if syntax.value else node

    def items(self, parts: tuple[Syntax, ...], scope: Scope) -> list[Node] | None:
        if len(parts) == 1 and parts[0].kind == "name":
            name = parts[0].value
            values = self.program.catalogues.get(name)
            if values is not None:
                if values.get("values") is None:
                    return None
                return [Const(str(v), TEXT) if isinstance(v, str) else number(v) for v in values["values"]]
            place: Scope | None = scope
            while place is not None:
                found = place.local(name)
                if isinstance(found, Op) and found.op == "list":
                    return list(found.args)
                place = place.outer
            if self.lookup(name, scope) is None:
                raise self.fail(parts[0], f"没有目录“{name}”", nearest(name, self.program.catalogues))
        return [self.node(part, scope) for part in parts]

    def _under(self, syntax: Syntax, scope: Scope) -> Node:
        left = self.node(syntax.parts[0], scope)
        if left.type.kind != "code":
            raise self.fail(syntax, "“属类”只用于代码")
        right = self.constant(syntax.parts[1], scope)
        table = self.program.vocabulary.codes[left.type.target]
        top = self.word(str(right.value), left.type, syntax.parts[1])
        return Op(
            "in", (left, *(Const(name, left.type) for name in sorted(table.under(str(top.value))))), BOOL
        )

    def _contains(self, syntax: Syntax, scope: Scope) -> Node:
        left, right = self.node(syntax.parts[0], scope), self.constant(syntax.parts[1], scope)
        if left.type.kind not in ("text", "code"):
            raise self.fail(syntax, "“含”只用于文本")
        return Op("contains", (left, right), BOOL)

    def _arith(self, syntax: Syntax, scope: Scope) -> Node:
        left, right = (self.node(part, scope) for part in syntax.parts)
        sign = syntax.value
        if left.type.kind == "date" and right.type.kind == "span" and sign in "+-":
            return self.moved(left, right, -1 if sign == "-" else 1)
        if left.type.kind == "date" and right.type.kind == "date" and sign == "-":
            return Op("days", (right, left), Type("num", "days"))
        for node, part in zip((left, right), syntax.parts, strict=True):
            _require(node, NUM, self.source, part, f"“{sign}”两边要是数")
        if sign == "/" and isinstance(right, Const) and right.value == 0:
            raise self.fail(syntax, "除数是 0")
        return Op({"+": "add", "-": "sub", "*": "mul", "/": "div"}[sign], (left, right), NUM)

    def moved(self, day: Node, span: Node, sign: int) -> Node:
        assert isinstance(span, Const)
        unit, amount = span.type.target, number(Fraction(span.value) * sign)  # type: ignore[arg-type]
        if unit in MONTHS_IN:
            return Op("add_months", (day, number(Fraction(amount.value) * MONTHS_IN[unit])), DATE)  # type: ignore[arg-type]
        return Op("add_days" if unit == "days" else "add_workdays", (day, amount), DATE)

    def _negative(self, syntax: Syntax, scope: Scope) -> Node:
        inner = self.num(syntax.parts[0], scope)
        if isinstance(inner, Const) and isinstance(inner.value, Fraction):
            return number(-inner.value)
        return Op("sub", (number(0), inner), NUM)

    def _lookup(self, syntax: Syntax, scope: Scope) -> Node:
        table, key_syntax = syntax.parts
        key = self.node(key_syntax, scope)
        args: list[Node] = []
        default: Node = Const(None, NUM)
        kind: Type | None = None
        for word, value in table.named:
            result = self.node(value, scope)
            kind = kind or result.type
            if result.type.kind != kind.kind:
                raise self.fail(value, "对照表的值要是同一类")
            if word in ("其他", "else") and (
                key.type.kind != "code" or not self.program.vocabulary.codes[key.type.target].canonical(word)
            ):
                default = result
                continue
            wanted: Node = number(Fraction(word)) if key.type.kind == "num" else Const(word, TEXT)
            args += [Op("compare", (key, self.matched(wanted, key, syntax)), BOOL, ("=",)), result]
        if isinstance(default, Const) and default.value is None:
            default = replace(default, type=kind or NUM)
            return Op("if", (*args, default), kind or NUM)
        return Op(
            "if", (Op("is_missing", (key,), BOOL), Const(None, kind or NUM), *args, default), kind or NUM
        )

    def _call(self, syntax: Syntax, scope: Scope) -> Node:
        from ganbu.engine.functions import FUNCTIONS

        function = FUNCTIONS.get(syntax.value)
        if function is None:
            raise self.fail(syntax, f"没有函数“{syntax.value}”", nearest(syntax.value, FUNCTIONS))
        for key, value in syntax.named:
            if key not in function.options:
                raise self.fail(
                    value,
                    f"{syntax.value}() 没有参数“{key}”",
                    nearest(key, function.options) or "、".join(function.options),
                )
        if not function.least <= len(syntax.parts) <= function.most:
            raise self.fail(syntax, f"{syntax.value}() 的参数个数不对", f"写法：{function.usage}")
        return function.bind(self, syntax, scope)


def _lift(node: Node, up: int) -> Node:
    from ganbu.engine.tree import shifted

    return shifted(node, up) if up else node


__all__ = [
    "SPAN",
    "Aggregate",
    "Any",
    "Mapping",
    "Op",
    "Place",
    "Program",
    "Scope",
    "Text",
    "Window",
    "bind",
    "bind_condition",
    "both",
    "looks_out",
    "type_of",
]
