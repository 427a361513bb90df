"""The functions of the rule language (函数表): nothing outside this table can be called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from ganbu.engine.syntax import Syntax, parse
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
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
    negate,
    number,
    shifted,
    walk,
)
from ganbu.errors import nearest
from ganbu.vocabulary import Register

if TYPE_CHECKING:
    from ganbu.engine.bind import Scope, _Binder

Bind = Callable[["_Binder", Syntax, "Scope"], Node]
MOMENTS = ("last", "from", "to", "latest", "where", "via", "expect")
PIECES = {
    "sum": "合计",
    "count": "个数",
    "since": "起算日",
    "pick": "所取的行",
    "any": "有无",
    "top_sum": "前几之和",
    "cumulative": "累计月数",
}
ROUNDINGS = ("half_up", "half_even", "down", "up")


@dataclass(frozen=True)
class Function:
    """A function: how it is written, how many plain arguments, which named ones, and how it binds."""

    usage: str
    least: int
    most: int
    bind: Bind
    options: tuple[str, ...] = ()


FUNCTIONS: dict[str, Function] = {}


def _function(
    names: str, usage: str, least: int, most: int, options: tuple[str, ...] = ()
) -> Callable[[Bind], Bind]:
    def register(bind: Bind) -> Bind:
        for name in names.split():
            FUNCTIONS[name] = Function(usage, least, most, bind, options)
        return bind

    return register


@dataclass
class _Rows:
    """The rows an aggregate looks at: register, link, the way to the subject, scope of the rows, conditions."""

    register: Register
    link: str
    hop: str
    scope: Scope
    where: list[Node]
    options: dict[str, object]
    field: str = ""


def _rows(b: _Binder, syntax: Syntax, scope: Scope, condition: Syntax | None = None) -> _Rows:
    """Resolve the first argument and the common options of an aggregate call."""
    first, dotted = syntax.parts[0], ""
    if first.kind == "dot" and first.parts[0].kind == "name":
        first, dotted = first.parts[0], first.value
    if first.kind != "name":
        raise b.fail(first, "第一个参数应是登记表名")
    named = dict(syntax.named)
    view = _view(b, first.value, scope)
    view_via = None
    where: list[Node] = []
    if view is not None:
        _view_source, view_syntax, view_binder = view
        register = _register(b, view_syntax.parts[0], scope)
        view_via = dict(view_syntax.named).get("via")
        inner = scope.inside(register.name)
        where += [view_binder.condition(part, inner) for part in view_syntax.parts[1:]]
    else:
        register = _register(b, first, scope)
        inner = scope.inside(register.name)
    link, hop = _link(b, syntax, scope, register, named.get("via") or view_via)
    for part in (condition, named.get("where")):
        if part is not None:
            where.append(b.condition(part, inner))
    if b.program.virtual(register.name) is not None:
        # An effect that may or may not have come about makes what is asked of the effects not known.
        where.append(Field(Row(register.name), "成立", BOOL))
    options: dict[str, object] = {}
    where += _moment(b, syntax, scope, register, named)
    if "latest" in named:
        latest = b.constant(named["latest"], scope).value
        if not isinstance(latest, Fraction) or latest.denominator != 1 or latest < 1:
            raise b.fail(named["latest"], "latest: 应是正整数，如 latest: 3")
        options["latest"] = int(latest)
        options["latest_by"] = Field(Row(register.name), register.order, DATE) if register.order else None
    return _Rows(register, link, hop, inner, where, options, dotted)


def _view(b: _Binder, name: str, scope: Scope) -> tuple[str, Syntax, _Binder] | None:
    from ganbu.engine.bind import _Binder

    place: Scope | None = scope
    while place is not None:
        source = (
            place.local_text(name)
            or b.program.local.get(place.register, {}).get(name)
            or b.program.shared.get(place.register, {}).get(name)
        )
        if source is not None:
            syntax = parse(source)
            if syntax.kind == "call" and syntax.value == "view":
                return source, syntax, _Binder(source, b.program)
        place = place.outer
    return None


def _register(b: _Binder, syntax: Syntax, scope: Scope) -> Register:
    name = syntax.value
    found = b.program.vocabulary.find(name) or b.program.virtual(name)
    if found is None:
        known = [text for r in b.program.vocabulary.registers.values() for text in (r.label, r.name)]
        raise b.fail(syntax, f"没有登记表“{name}”", nearest(name, known))
    b.program.virtual(found.name)
    return found


def _link(
    b: _Binder, syntax: Syntax, scope: Scope, register: Register, via: Syntax | None
) -> tuple[str, str]:
    """The reference field of `register` to follow back, and the field of the subject that leads there."""
    own = b.program.vocabulary.registers[scope.register]
    links = register.links_to(own.name)
    if via is not None:
        spec = register.find(str(via.value))
        if spec is None or spec.kind != "ref":
            raise b.fail(
                via,
                f"“{register.label}”没有引用字段“{via.value}”",
                nearest(str(via.value), [f.label for f in register.fields.values() if f.kind == "ref"]),
            )
        if spec.target == own.name:
            return spec.name, ""
        hops = own.links_to(spec.target)
        if hops:
            return spec.name, hops[0].name
        raise b.fail(via, f"从“{own.label}”够不到“{register.label}.{spec.label}”")
    if len(links) == 1:
        return links[0].name, ""
    if links:
        main = [f for f in links if f.name == own.name or (register.subject == own.name and f is links[0])]
        if main:
            return main[0].name, ""
        raise b.fail(
            syntax,
            f"“{register.label}”有几个字段指向“{own.label}”",
            "请写 via: " + " 或 ".join(f.label for f in links),
        )
    for preferred in dict.fromkeys((register.subject, "person")):
        hops = own.links_to(preferred) if preferred else []
        back = register.links_to(preferred) if preferred else []
        if hops and back and preferred != own.name:
            return back[0].name, hops[0].name
    raise b.fail(
        syntax, f"“{register.label}”与“{own.label}”之间没有引用关系", "可在 define: 里给中间的登记表定义事实"
    )


def _moment(
    b: _Binder, syntax: Syntax, scope: Scope, register: Register, named: dict[str, Syntax]
) -> list[Node]:
    """Conditions from `last:`, `from:` and `to:`, on the field that says when a row happened."""
    if not {"last", "from", "to"} & named.keys():
        return []
    if not register.happened:
        raise b.fail(syntax, f"“{register.label}”没有发生日期，不能用 last/from/to")
    spec = register.fields[register.happened]
    yearly = spec.kind == "int"
    field = Field(Row(register.name), spec.name, NUM if yearly else DATE)
    found: list[Node] = []
    if "last" in named:
        span = b.node(named["last"], scope)
        if not isinstance(span, Const) or span.type.kind not in ("span", "num"):
            raise b.fail(named["last"], "last: 应是时段，如 last: 3 年")
        unit = span.type.target if span.type.kind == "span" else "years"
        amount = Fraction(span.value)  # type: ignore[arg-type]
        if yearly:
            years = amount if unit == "years" else amount / 12
            if unit not in ("years", "months") or years.denominator != 1:
                raise b.fail(named["last"], f"“{register.label}”按年度登记，last: 要写整年")
            assessed = (
                b.program.as_of.year
                if (b.program.as_of.month, b.program.as_of.day) == (12, 31)
                else b.program.as_of.year - 1
            )
            found.append(Op("compare", (field, number(assessed - years)), BOOL, (">",)))
            found.append(Op("compare", (field, number(assessed)), BOOL, ("<=",)))
        else:
            start = b.moved(Const(b.program.as_of, DATE, "基准日"), Const(amount, Type("span", unit)), -1)
            found.append(Op("compare", (field, start), BOOL, (">",)))
    for key, sign in (("from", ">="), ("to", "<=")):
        if key in named:
            edge = shifted(b.node(named[key], scope), 1)
            if yearly and edge.type.kind == "date":
                edge = Op("year", (edge,), NUM)
            found.append(Op("compare", (field, edge), BOOL, (sign,)))
    return found


def _make(
    b: _Binder,
    syntax: Syntax,
    scope: Scope,
    rows: _Rows,
    fn: str,
    value: Node | None,
    kind: Type,
    order: Node | None = None,
    **options: object,
) -> Node:
    """The aggregate as a hidden fact of the subject, or of the one the subject refers to."""
    where = both(*rows.where)
    node = Aggregate(
        rows.register.name,
        rows.link,
        fn,
        value,
        None if where == both() else where,
        order,
        kind,
        tuple(sorted({**rows.options, **options}.items(), key=lambda item: item[0])),
    )
    parts = [value, node.where, order]
    if any(
        isinstance(n, (Field, Fact)) and n.row.root.up > 1
        for part in parts
        if part is not None
        for n in walk(part)
    ):
        raise b.fail(syntax, "聚合里的聚合只能看到紧邻的外层", "请用 define: 把内层写成那张登记表的事实")
    text = b.text(syntax)
    if fn != syntax.value and fn in PIECES:
        text = f"{PIECES[fn]}：{text}"
    if rows.hop and not any(looks_out(part) and _beyond_item(part) for part in parts):
        target = b.program.vocabulary.registers[scope.register].fields[rows.hop].target
        return Fact(Row(target, Row(scope.register), rows.hop), b.program.hide(target, node, text), kind)
    if rows.hop:
        node = replace(node, key=rows.hop)
    found = Fact(Row(scope.register), b.program.hide(scope.register, node, text), kind)
    if rows.hop and kind.kind != "row":
        # Who refers to nobody known has nobody whose rows could be counted.
        target = b.program.vocabulary.registers[scope.register].fields[rows.hop].target
        whose = b.program.vocabulary.registers[target]
        reached = Field(Row(target, Row(scope.register), rows.hop), whose.id_field, TEXT)
        return Op("if", (Op("is_missing", (reached,), BOOL), Const(None, kind), found), kind)
    return found


def _beyond_item(node: Node | None) -> bool:
    return looks_out(node)


def _expecting(b: _Binder, syntax: Syntax, scope: Scope, rows: _Rows, node: Node) -> Node:
    expect = dict(syntax.named).get("expect")
    if expect is None:
        return node
    wanted = b.constant(expect, scope)
    # How many there should be is asked of the period, not of the condition.
    free = replace(rows, where=_moment(b, syntax, scope, rows.register, dict(syntax.named)))
    found = _make(b, syntax, scope, free, "count", None, NUM)
    return Op("if", (Op("compare", (found, wanted), BOOL, (">=",)), node, Const(None, node.type)), node.type)


@_function("count 计数", "count(登记表[, 条件])", 1, 2, MOMENTS)
def _count(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows = _rows(b, s, scope, s.parts[1] if len(s.parts) > 1 else None)
    return _expecting(b, s, scope, rows, _make(b, s, scope, rows, "count", None, NUM))


def _valued(b: _Binder, s: Syntax, scope: Scope) -> tuple[_Rows, Node]:
    rows = _rows(b, s, scope, s.parts[2] if len(s.parts) > 2 else None)
    return rows, b.node(s.parts[1], rows.scope)


@_function("sum 求和", "sum(登记表, 值[, 条件])", 2, 3, MOMENTS)
def _sum(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    if value.type.kind != "num":
        raise b.fail(s.parts[1], "sum 要一个数")
    return _expecting(b, s, scope, rows, _make(b, s, scope, rows, "sum", value, NUM))


@_function("avg 平均", "avg(登记表, 值[, 条件])", 2, 3, MOMENTS)
def _avg(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    if value.type.kind != "num":
        raise b.fail(s.parts[1], "avg 要一个数")
    total, size = _make(b, s, scope, rows, "sum", value, NUM), _make(b, s, scope, rows, "count", None, NUM)
    return _expecting(b, s, scope, rows, Op("div", (total, size), NUM))


def _extreme(fn: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        rows, value = _valued(b, s, scope)
        if value.type.kind == "code":
            order = b.program.vocabulary.codes[value.type.target].order
            if not order:
                raise b.fail(s.parts[1], "这种代码没有高低之分")
            steps = b.program.vocabulary.codes[value.type.target].steps
            ordinal = _make(b, s, scope, rows, fn, Op("ordinal", (value,), NUM, (steps,)), NUM)
            return Op("from_ordinal", (ordinal,), value.type, (steps,))
        if value.type.kind not in ("num", "date"):
            raise b.fail(s.parts[1], f"{value.type}不能比较大小")
        return _expecting(b, s, scope, rows, _make(b, s, scope, rows, fn, value, value.type))

    return bind


_function("max 最大", "max(登记表, 值[, 条件])", 2, 3, MOMENTS)(_extreme("max"))
_function("min 最小", "min(登记表, 值[, 条件])", 2, 3, MOMENTS)(_extreme("min"))


@_function("distinct 不同", "distinct(登记表, 值[, 条件])", 2, 3, MOMENTS)
def _distinct(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    return _expecting(b, s, scope, rows, _make(b, s, scope, rows, "distinct", value, NUM))


@_function("any 有", "any(登记表[, 条件])", 1, 2, MOMENTS)
def _any(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows = _rows(b, s, scope, s.parts[1] if len(s.parts) > 1 else None)
    return _expecting(b, s, scope, rows, _make(b, s, scope, rows, "any", None, BOOL))


@_function("every 都", "every(登记表, 条件)", 2, 2, MOMENTS)
def _every(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows = _rows(b, s, scope)
    size = _make(b, s, scope, rows, "count", None, NUM)
    failing = replace(rows, where=[*rows.where, negate(b.condition(s.parts[1], rows.scope))])
    some = _make(b, s, scope, failing, "any", None, BOOL)
    every = Op("if", (Op("compare", (size, number(0)), BOOL, (">",)), negate(some), Const(None, BOOL)), BOOL)
    return _expecting(b, s, scope, rows, every)


@_function("share 占比", "share(登记表, 条件[, of: 分母条件])", 2, 2, (*MOMENTS, "of"))
def _share(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows = _rows(b, s, scope)
    of = dict(s.named).get("of")
    base = replace(rows, where=[*rows.where, *([b.condition(of, rows.scope)] if of else [])])
    part = replace(base, where=[*base.where, b.condition(s.parts[1], rows.scope)])
    counts = (_make(b, s, scope, part, "count", None, NUM), _make(b, s, scope, base, "count", None, NUM))
    return _expecting(b, s, scope, rows, Op("div", counts, NUM))


def _pick(fn: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        rows = _rows(b, s, scope, s.parts[1] if len(s.parts) > 1 else None)
        by = dict(s.named).get("by")
        if by is None and not rows.register.order:
            raise b.fail(s, f"“{rows.register.label}”没有默认次序，请写 by: 字段")
        order = b.node(by, rows.scope) if by else b.of_row(Row(rows.register.name), rows.register.order)
        return _make(b, s, scope, rows, "pick", None, Type("row", rows.register.name), order, which=fn)

    return bind


_function("last 最近", "last(登记表[, 条件][, by: 字段])", 1, 2, (*MOMENTS, "by"))(_pick("last"))
_function("first 最早", "first(登记表[, 条件][, by: 字段])", 1, 2, (*MOMENTS, "by"))(_pick("first"))


@_function("top 最高一行", "top(登记表, 值[, 条件])", 2, 3, MOMENTS)
def _top(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    if value.type.kind == "code":
        value = Op("ordinal", (value,), NUM, (b.program.vocabulary.codes[value.type.target].steps,))
    return _make(b, s, scope, rows, "pick", None, Type("row", rows.register.name), value, which="last")


@_function("top_sum 前几之和", "top_sum(登记表, 值, n: 3[, 条件])", 2, 3, (*MOMENTS, "n"))
def _top_sum(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    found = _make(b, s, scope, rows, "top_sum", value, NUM, n=_count_of(b, s, scope))
    return _expecting(b, s, scope, rows, found)


@_function("top_avg 前几平均", "top_avg(登记表, 值, n: 3[, 条件])", 2, 3, (*MOMENTS, "n"))
def _top_avg(b: _Binder, s: Syntax, scope: Scope) -> Node:
    rows, value = _valued(b, s, scope)
    n = _count_of(b, s, scope)
    total = _make(b, s, scope, rows, "top_sum", value, NUM, n=n)
    size = _make(b, s, scope, rows, "count", None, NUM)
    return Op("div", (total, Op("least", (size, number(n)), NUM)), NUM)


def _count_of(b: _Binder, s: Syntax, scope: Scope) -> int:
    option = dict(s.named).get("n")
    if option is None:
        raise b.fail(s, "请写 n: 个数")
    value = b.constant(option, scope).value
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 < value <= 1000:
        raise b.fail(option, "n: 应是 1 到 1000 的整数")
    return int(value)


def _flag(b: _Binder, s: Syntax, key: str, allowed: tuple[str, ...], default: str) -> str:
    option = dict(s.named).get(key)
    if option is None:
        return default
    if option.kind not in ("name", "text") or option.value not in allowed:
        raise b.fail(option, f"{key}: 只能是 {'、'.join(allowed)}")
    return str(option.value)


def _streak_of(fn: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        rows = _rows(b, s, scope)
        condition = b.condition(s.parts[1], rows.scope)
        by = dict(s.named).get("by")
        order = b.node(by, rows.scope) if by else b.of_row(Row(rows.register.name), rows.register.order)
        gap = _flag(b, s, "gap", ("breaks", "skip"), "breaks")
        if order is None or (order.type.kind != "num" and gap == "breaks"):
            gap = "skip"  # days follow each other only as entries do; years have gaps
        to = dict(s.named).get("to")
        end = b.constant(to, scope) if to else None
        last = int(str(end.value)) if end is not None else None
        found = _make(b, s, scope, rows, fn, condition, NUM, order, gap=gap, to=last)
        return _expecting(b, s, scope, rows, found)

    return bind


_function(
    "streak 连续",
    "streak(登记表, 条件[, by: 年度][, gap: breaks|skip][, to: 年度])",
    2,
    2,
    (*MOMENTS, "by", "gap", "to"),
)(_streak_of("streak"))
_function("run 最长连续", "run(登记表, 条件[, by: 年度][, gap: breaks|skip])", 2, 2, (*MOMENTS, "by", "gap"))(
    _streak_of("run")
)


def _span_fields(b: _Binder, s: Syntax, rows: _Rows) -> tuple[Node, Node]:
    """Start and end of the rows of a register that has both."""
    register = rows.register
    start = register.fields.get(register.happened)
    ends = [register.fields[name] for name in register.ended if register.fields[name].kind == "date"]
    if register.subject and not ends:
        ends = [f for f in register.fields.values() if f.name == "end_date"]
    if start is None or start.kind != "date" or not ends:
        raise b.fail(s, f"“{register.label}”没有起止日期")
    return Field(Row(register.name), start.name, DATE), Field(Row(register.name), ends[0].name, DATE)


def _held_node(b: _Binder, s: Syntax, scope: Scope, per: str) -> Node:
    rows = _rows(b, s, scope, s.parts[1] if len(s.parts) > 1 else None)
    start, end = _span_fields(b, s, rows)
    if per == "total":
        return _make(b, s, scope, rows, "held", end, Type("num", "months"), start)
    until = Op(
        "least",
        (Op("or_else", (end, Const(b.program.as_of, DATE)), DATE), Const(b.program.as_of, DATE)),
        DATE,
    )
    # A span that ends before it begins is a slip, and how long it was nobody knows.
    backward = Op("compare", (until, start), BOOL, ("<",))
    months: Node = Op("if", (backward, Const(None, NUM), Op("months", (start, until), NUM)), NUM)
    if s.value in ("full_years", "满年数"):
        months = Op("round", (Op("div", (months, number(12)), NUM),), NUM, (0, "floor"))
    return _make(b, s, scope, rows, "sum", months, NUM)


@_function("held 累计月数", "held(登记表[, 条件][, per: total|row])", 1, 2, (*MOMENTS, "per"))
def _held(b: _Binder, s: Syntax, scope: Scope) -> Node:
    return _held_node(b, s, scope, _flag(b, s, "per", ("total", "row"), "total"))


@_function("full_years 满年数", "full_years(登记表[, 条件][, per: total|row])", 1, 2, (*MOMENTS, "per"))
def _full_years(b: _Binder, s: Syntax, scope: Scope) -> Node:
    per = _flag(b, s, "per", ("total", "row"), "total")
    node = _held_node(b, s, scope, per)
    if per == "row":
        return node
    return Op("round", (Op("div", (node, number(12)), NUM),), Type("num", "years"), (0, "floor"))


def _since_node(b: _Binder, s: Syntax, scope: Scope, fn: str, kind: Type) -> Node:
    rows = _rows(b, s, scope, s.parts[1] if len(s.parts) > 1 else None)
    start, end = _span_fields(b, s, rows)
    value = None
    if rows.field:
        value = b.of_row(Row(rows.register.name), rows.field)
        if value is None:
            raise b.fail(
                s.parts[0],
                f"“{rows.register.label}”没有“{rows.field}”",
                nearest(rows.field, [f.label for f in rows.register.fields.values()]),
            )
    gap = dict(s.named).get("gap")
    days = int(b.constant(gap, scope).value) if gap else 1  # type: ignore[arg-type]
    of = _flag(b, s, "of", ("longest", "latest"), "longest")
    return _make(b, s, scope, rows, fn, value, kind, start, end=end, gap=days, of=of)


@_function(
    "since 起算日",
    "since(登记表[.字段][, 条件][, gap: 天数][, of: longest|latest])",
    1,
    2,
    (*MOMENTS, "gap", "of"),
)
def _since(b: _Binder, s: Syntax, scope: Scope) -> Node:
    return _since_node(b, s, scope, "since", DATE)


@_function(
    "clock 任期",
    "clock(登记表[.字段][, 条件][, gap: 天数][, mode: continuous|cumulative][, of: longest|latest])",
    1,
    2,
    (*MOMENTS, "gap", "of", "mode"),
)
def _clock(b: _Binder, s: Syntax, scope: Scope) -> Node:
    if _flag(b, s, "mode", ("continuous", "cumulative"), "continuous") == "cumulative":
        months = _since_node(b, s, scope, "cumulative", Type("num", "months"))
        return Op("round", (Op("div", (months, number(12)), NUM),), Type("num", "years"), (0, "floor"))
    since = _since_node(b, s, scope, "since", DATE)
    return Op("years", (since, Const(b.program.as_of, DATE, "基准日")), Type("num", "years"))


@_function("view 视图", "view(登记表, 条件)", 1, 2, ("via",))
def _view_call(b: _Binder, s: Syntax, scope: Scope) -> Node:
    raise b.fail(s, "view() 定义的名称只能作聚合的第一个参数", "例如 count(成员, …)")


# -- over all rows of the register ---------------------------------------------------------------------------


def _groups(b: _Binder, s: Syntax, scope: Scope) -> tuple[tuple[Node, ...], Node | None]:
    named = dict(s.named)
    within = named.get("in")
    parts = () if within is None else within.parts if within.kind == "tuple" else (within,)
    among = b.condition(named["among"], scope) if "among" in named else None
    return tuple(b.node(part, scope) for part in parts), among


def _window(
    b: _Binder,
    s: Syntax,
    scope: Scope,
    fn: str,
    value: Node | None,
    order: tuple[tuple[Node, bool], ...] = (),
    **options: object,
) -> Node:
    groups, among = _groups(b, s, scope)
    for part in (value, among, *groups):
        if looks_out(part):
            raise b.fail(s, "这里只能用同一登记表自己的事实")
    kind = value.type if value is not None and fn in ("lowest", "highest") else NUM
    node = Window(fn, value, among, groups, order, kind, tuple(sorted(options.items())))
    return Fact(Row(scope.register), b.program.hide(scope.register, node, b.text(s)), kind)


@_function(
    "place 名次",
    "place(值, in: (分组…), among: 条件, order: desc|asc, ties: min|dense)",
    1,
    1,
    ("in", "among", "order", "ties"),
)
def _place(b: _Binder, s: Syntax, scope: Scope) -> Node:
    value = b.num(s.parts[0], scope)
    descending = _flag(b, s, "order", ("desc", "asc"), "desc") == "desc"
    return _window(
        b, s, scope, "place", value, ((value, descending),), ties=_flag(b, s, "ties", ("min", "dense"), "min")
    )


@_function("size 组内个数", "size(in: (分组…), among: 条件)", 0, 0, ("in", "among"))
def _size(b: _Binder, s: Syntax, scope: Scope) -> Node:
    return _window(b, s, scope, "size", None)


def _over_all(fn: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        value = b.num(s.parts[0], scope)
        if fn == "mean":
            return Op(
                "div", (_window(b, s, scope, "total", value), _window(b, s, scope, "known", value)), NUM
            )
        return _window(b, s, scope, fn, value)

    return bind


for _name, _chinese in (
    ("total", "组内合计"),
    ("mean", "组内平均"),
    ("lowest", "组内最低"),
    ("highest", "组内最高"),
):
    _function(f"{_name} {_chinese}", f"{_name}(值, in: (分组…), among: 条件)", 1, 1, ("in", "among"))(
        _over_all(_name)
    )


# -- scalars -------------------------------------------------------------------------------------------------


def _between_dates(op: str, unit: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        start = b.date(s.parts[0], scope)
        end = b.date(s.parts[1], scope) if len(s.parts) > 1 else Const(b.program.as_of, DATE, "基准日")
        inclusive = dict(s.named).get("inclusive")
        if inclusive is not None and b.constant(inclusive, scope).value is True:
            if op == "workdays":
                start = Op("add_days", (start, number(-1)), DATE)
            else:
                end = Op("add_days", (end, number(1)), DATE)
        return Op(op, (start, end), Type("num", unit))

    return bind


for _name, _chinese in (("years", "周年"), ("months", "月数"), ("days", "天数"), ("workdays", "工作日数")):
    _function(f"{_name} {_chinese}", f"{_name}(日期[, 到][, inclusive: 是])", 1, 2, ("inclusive",))(
        _between_dates(_name, _name)
    )


def _add(op: str, factor: int) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        amount = b.num(s.parts[1], scope)
        if isinstance(amount, Const) and isinstance(amount.value, Fraction):
            amount = number(amount.value * factor)
        elif factor != 1:
            amount = Op("mul", (amount, number(factor)), NUM)
        return Op(op, (b.date(s.parts[0], scope), amount), DATE)

    return bind


for _name, _op, _factor in (
    ("add_years", "add_months", 12), ("add_months", "add_months", 1), ("add_days", "add_days", 1), ("add_workdays", "add_workdays", 1),
):  # fmt: skip
    _function(_name, f"{_name}(日期, 数)", 2, 2)(_add(_op, _factor))


def _part(op: str) -> Bind:
    return lambda b, s, scope: Op(op, (b.date(s.parts[0], scope),), NUM)


for _name in ("year", "month", "day"):
    _function(_name, f"{_name}(日期)", 1, 1)(_part(_name))


@_function("date 日期", "date(年, 月, 日)", 3, 3)
def _date(b: _Binder, s: Syntax, scope: Scope) -> Node:
    return Op("make_date", tuple(b.num(part, scope) for part in s.parts), DATE)


def _same_type(b: _Binder, s: Syntax, nodes: list[Node]) -> Type:
    kinds = [node.type for node in nodes if not (isinstance(node, Const) and node.value is None)]
    if not kinds:
        return nodes[0].type
    families = {"code": "text", "ref": "text"}
    if len({families.get(kind.kind, kind.kind) for kind in kinds}) > 1:
        raise b.fail(s, "各个分支的值要是同一类：" + "、".join(dict.fromkeys(str(kind) for kind in kinds)))
    return (
        kinds[0]
        if all(kind == kinds[0] for kind in kinds)
        else Type(families.get(kinds[0].kind, kinds[0].kind))
    )


@_function("if 如果", "if(条件, 甲, 乙)", 3, 3)
def _if(b: _Binder, s: Syntax, scope: Scope) -> Node:
    condition = b.condition(s.parts[0], scope)
    one, two = b.node(s.parts[1], scope), b.node(s.parts[2], scope)
    kind = _same_type(b, s, [one, two])
    one, two = _retyped(one, kind), _retyped(two, kind)
    return Op("if", (Op("is_missing", (condition,), BOOL), Const(None, kind), condition, one, two), kind)


def _retyped(node: Node, kind: Type) -> Node:
    return replace(node, type=kind) if isinstance(node, Const) and node.value is None else node


@_function("case 情形", "case(条件1, 值1, 条件2, 值2, …, 否则)", 3, 99)
def _case(b: _Binder, s: Syntax, scope: Scope) -> Node:
    if len(s.parts) % 2 == 0:
        raise b.fail(s, "case() 最后要有“否则”的值")
    conditions = [b.condition(part, scope) for part in s.parts[:-1:2]]
    values = [b.node(part, scope) for part in (*s.parts[1::2], s.parts[-1])]
    kind = _same_type(b, s, values)
    values = [_retyped(value, kind) for value in values]
    node: Node = values[-1]
    for condition, value in reversed(list(zip(conditions, values, strict=False))):
        node = Op(
            "if", (Op("is_missing", (condition,), BOOL), Const(None, kind), condition, value, node), kind
        )
    return node


@_function("round 取整", "round(x[, 位数][, mode: half_up|half_even|down|up])", 1, 2, ("mode",))
def _round(b: _Binder, s: Syntax, scope: Scope) -> Node:
    digits = b.constant(s.parts[1], scope).value if len(s.parts) > 1 else Fraction(0)
    if not isinstance(digits, Fraction) or digits.denominator != 1 or not 0 <= digits <= 8:
        raise b.fail(s.parts[1], "位数应是 0 到 8 的整数")
    return Op(
        "round", (b.num(s.parts[0], scope),), NUM, (int(digits), _flag(b, s, "mode", ROUNDINGS, "half_up"))
    )


def _to_whole(mode: str) -> Bind:
    return lambda b, s, scope: Op("round", (b.num(s.parts[0], scope),), NUM, (0, mode))


for _name in ("floor", "ceil"):
    _function(_name, f"{_name}(x)", 1, 1)(_to_whole(_name))


@_function("abs 绝对值", "abs(x)", 1, 1)
def _abs(b: _Binder, s: Syntax, scope: Scope) -> Node:
    return Op("abs", (b.num(s.parts[0], scope),), NUM)


def _least(op: str) -> Bind:
    def bind(b: _Binder, s: Syntax, scope: Scope) -> Node:
        values = [b.node(part, scope) for part in s.parts]
        kind = _same_type(b, s, values)
        if kind.kind not in ("num", "date"):
            raise b.fail(s, "这里要数或日期")
        return Op(op, tuple(values), kind)

    return bind


_function("least cap 封顶", "least(a, b, …)", 2, 9)(_least("least"))
_function("greatest 至少取", "greatest(a, b, …)", 2, 9)(_least("greatest"))


@_function("between 介于", "between(x, 低, 高)", 3, 3)
def _between(b: _Binder, s: Syntax, scope: Scope) -> Node:
    low = Syntax("compare", ">=", (s.parts[0], s.parts[1]), (), s.start, s.end)
    high = Syntax("compare", "<=", (s.parts[0], s.parts[2]), (), s.start, s.end)
    return Op("and", (b.node(low, scope), b.node(high, scope)), BOOL)


@_function("about 左右", "about(x, 目标, tolerance: 容差)", 2, 2, ("tolerance",))
def _about(b: _Binder, s: Syntax, scope: Scope) -> Node:
    tolerance = dict(s.named).get("tolerance")
    if tolerance is None:
        raise b.fail(s, "“左右”要写容差", "about(年龄, 40, tolerance: 2)")
    x, goal = b.num(s.parts[0], scope), b.num(s.parts[1], scope)
    return Op(
        "compare", (Op("abs", (Op("sub", (x, goal), NUM),), NUM), b.num(tolerance, scope)), BOOL, ("<=",)
    )


@_function("or_else 缺省", "or_else(x, y)", 2, 2)
def _or_else(b: _Binder, s: Syntax, scope: Scope) -> Node:
    values = [b.node(part, scope) for part in s.parts]
    return Op("or_else", tuple(values), _same_type(b, s, values))
