"""Kinds about time (时间类规则): duty and consequence."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from ganbu.dates import add_months
from ganbu.engine import calendar
from ganbu.engine.bind import bind
from ganbu.engine.kinds.base import (
    CLAUSE,
    NEVER,
    OUTSIDE,
    UNDECIDED,
    Clause,
    Context,
    Lowered,
    sources,
    within_population,
)
from ganbu.engine.policy import check_keys
from ganbu.engine.source import Mapping, Text
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    TEXT,
    Const,
    Field,
    Node,
    Op,
    Row,
    both,
    choose,
    either,
    fails,
    holds,
    missing,
    negate,
    number,
    text,
)
from ganbu.errors import PackError, nearest
from ganbu.vocabulary import Register

MONTHS = {"month": 1, "two_months": 2, "quarter": 3, "half_year": 6, "year": 12}
EVERY = ("day", "week", "half_month", *MONTHS)
DONE, PENDING, OVERDUE, LATE = "已履行", "未到期", "逾期", "逾期补办"


def _compare(one: Node, sign: str, two: Node) -> Node:
    return Op("compare", (one, two), BOOL, (sign,))


def _count(nodes: list[Node]) -> Node:
    total: Node = number(0)
    for node in nodes:
        total = Op("add", (total, choose((holds(node), number(1)), default=number(0))), NUM)
    return total


def duty(ctx: Context) -> Lowered:
    """应尽职责: who owes what by when, and who is overdue."""
    ctx.keys(
        "owes",
        "every",
        "trigger",
        "within",
        "fulfilled_by",
        "zero_report",
        "grace",
        "periods",
        "start",
    )
    spec = ctx.mapping("fulfilled_by")
    check_keys(spec, ("in", "where", "times", "via", "from", "period_field", "source"), "fulfilled_by")
    if ctx.body.get("every") is not None:
        return _recurring(ctx, spec)
    if ctx.body.get("trigger") is not None:
        return _triggered(ctx, spec)
    raise PackError("duty 规则要写 every:（定期）或 trigger:（由事件触发）", ctx.policy.place)


def _call(ctx: Context, spec: Mapping, fn: str, extra: list[str], window: str = "") -> Node:
    """An aggregate over the fulfilling register, written in the rule language itself."""
    where = [f"({part})" for part in (spec.get("where"), *extra) if part is not None]
    parts = [str(spec["in"]), *([" and ".join(where)] if where else [])]
    if spec.get("via") is not None:
        parts.append(f"via: {spec['via']}")
    if window:
        parts.append(window)
    return bind(Text(f"{fn}({', '.join(parts)})", spec.at("in")), ctx.scope)


def periods(today: date, every: str, count: int) -> list[tuple[str, date, date]]:
    """The last `count` periods up to the current one: label, first and last day. Weeks begin on Monday."""
    if every in MONTHS:
        return _of_months(today, MONTHS[every], count)
    found: list[tuple[str, date, date]] = []
    end = today
    while len(found) < count:
        if every == "day":
            start, end = end, end
            label = start.isoformat()
        elif every == "week":
            start = end - timedelta(days=end.weekday())
            end = start + timedelta(days=6)
            year, week, _ = start.isocalendar()
            label = f"{year}-W{week:02}"
        else:
            late = end.day > 15
            start = end.replace(day=16 if late else 1)
            end = add_months(start.replace(day=1), 1) - timedelta(days=1) if late else start.replace(day=15)
            label = f"{start.year}-{start.month:02}{'下' if late else '上'}"
        found.insert(0, (label, start, end))
        end = start - timedelta(days=1)
    return found


def _of_months(today: date, months: int, count: int) -> list[tuple[str, date, date]]:
    first = date(today.year, (today.month - 1) // months * months + 1, 1)
    found = []
    for at in range(count - 1, -1, -1):
        start = add_months(first, -at * months)
        found.append((_label(start, months), start, add_months(start, months) - timedelta(days=1)))
    return found


def _label(start: date, months: int) -> str:
    match months:
        case 1:
            return f"{start.year}-{start.month:02}"
        case 2:
            return f"{start.year}-{start.month:02}~{start.month + 1:02}"
        case 3:
            return f"{start.year}Q{(start.month + 2) // 3}"
        case 6:
            return f"{start.year}H{1 if start.month == 1 else 2}"
    return str(start.year)


def _deadline(ctx: Context, end: date) -> date:
    if ctx.body.get("grace") is None:
        return end
    amount, unit = ctx.duration(ctx.body["grace"], "grace")
    if unit == "workdays":
        return calendar.add_workdays(end, amount)
    return add_months(end, amount) if unit == "months" else end + timedelta(days=amount)


def _recurring(ctx: Context, spec: Mapping) -> Lowered:
    every = str(ctx.body["every"])
    if every not in EVERY:
        raise PackError(f"every “{every}”无效", ctx.body.at("every"), "、".join(EVERY))
    count = int(ctx.constant(ctx.body.get("periods", 12 if every == "month" else 4), "periods"))
    if not 1 <= count <= 60:
        raise PackError("periods 应在 1 到 60 之间", ctx.body.at("periods"))
    today = ctx.program.as_of
    effective = ctx.body.get("effective")
    start = ctx.date(ctx.body["start"]) if ctx.body.get("start") is not None else None
    times = ctx.number(spec.get("times", 1))
    done: list[Node] = []
    overdue: list[Node] = []
    pending: list[Node] = []
    asked: list[Node] = []
    owed: list[Node] = []
    labels: list[str] = []
    first_due: list[tuple[Node, Node]] = []
    borrowed: Node = number(0)
    for label, begin, end in periods(today, every, count):
        if effective is not None and end < effective:
            continue
        deadline = _deadline(ctx, end)
        if deadline > end and spec.get("period_field") is None:
            met, borrowed = _with_grace(ctx, spec, times, label, begin, end, deadline, borrowed)
        else:
            met = _fulfilled(ctx, spec, times, label, begin, end)
        met = ctx.fact(f"履行:{label}", met)
        obliged = _compare(start, "<=", Const(end, DATE)) if start is not None else Const(True, BOOL)
        passed = deadline < today
        failing = ctx.fact(f"未履行:{label}", both(holds(obliged), fails(met)))
        owed.append(obliged)
        done.append(both(holds(obliged), holds(met)))
        (overdue if passed else pending).append(failing)
        if passed:
            labels.append(label)
        first_due.append((failing, Const(deadline, DATE)))
        if passed or end >= today:
            asked.append(met)
    unknown = either(*(missing(node) for node in asked))
    late = either(*overdue) if overdue else Const(False, BOOL)
    waiting = either(*pending) if pending else Const(False, BOOL)
    outcome = choose(
        (late, text(OVERDUE)), (unknown, text(UNDECIDED)), (waiting, text(PENDING)), default=text(DONE)
    )
    owes = str(ctx.body.get("owes", ctx.policy.name))
    clause = Clause(
        owes,
        negate(late),
        f"每期 {spec['in']} 不少于 {spec.get('times', 1)}",
        tuple(sources(spec)),
        "",
        "must",
        "duty",
    )
    lowered = Lowered(
        within_population(ctx, outcome), value=_count(overdue), due=choose(*first_due, default=NEVER), clauses=[clause],
        grounds=[(f"{owes} {label} 未履行", node) for label, node in zip(labels, overdue, strict=True)],
        doubts=[(OVERDUE, both(unknown, negate(late)))], asked=[ctx.where, *asked],
    )  # fmt: skip
    lowered.extras = {"应履行": _count(owed), "已履行": _count(done), "逾期": _count(overdue)}
    if overdue:
        lowered.extras["逾期期次"] = Op("words", tuple(overdue), TEXT, tuple(labels))
    return lowered


def _with_grace(
    ctx: Context, spec: Mapping, times: Node, label: str, begin: date, end: date, deadline: date, borrowed: Node
) -> tuple[Node, Node]:  # fmt: skip
    """Whether a period is fulfilled in time, and how many acts of the days of grace it took from the next period."""

    def acts(start: date, stop: date) -> Node:
        return _call(ctx, spec, "count", [], f"from: {start.isoformat()}, to: {stop.isoformat()}")

    own = ctx.fact(f"本期:{label}", Op("sub", (acts(begin, end), borrowed), NUM))
    late = ctx.fact(f"宽限:{label}", acts(end + timedelta(days=1), deadline))
    met = _compare(Op("add", (own, late), NUM), ">=", times)
    lack = Op("greatest", (Op("sub", (times, own), NUM), number(0)), NUM)
    zero = ctx.body.get("zero_report")
    if zero is not None:
        window = f"from: {begin.isoformat()}, to: {deadline.isoformat()}"
        met = either(met, _call(ctx, _without_where(spec), "any", [f"{zero} is yes"], window))
    return met, ctx.fact(f"借用:{label}", Op("least", (lack, late), NUM))


def _fulfilled(ctx: Context, spec: Mapping, times: Node, label: str, begin: date, end: date) -> Node:
    extra = []
    window = f"from: {begin.isoformat()}, to: {end.isoformat()}"
    if spec.get("period_field") is not None:
        extra.append(f"{spec['period_field']} = '{label}'")
        window = ""
    met = _compare(_call(ctx, spec, "count", extra, window), ">=", times)
    zero = ctx.body.get("zero_report")
    if zero is not None:
        # Silence is not a zero report: only an explicit one counts.
        met = Op(
            "or", (met, _call(ctx, _without_where(spec), "any", [*extra, f"{zero} is yes"], window)), BOOL
        )
    return met


def _without_where(spec: Mapping) -> Mapping:
    plain = Mapping(spec.place)
    plain.update({key: value for key, value in spec.items() if key in ("in", "via", "where")})
    plain.places.update(spec.places)
    return plain


def _triggered(ctx: Context, spec: Mapping) -> Lowered:
    trigger = ctx.fact("触发日", ctx.date(ctx.body["trigger"]))
    if ctx.body.get("within") is None:
        raise PackError("由事件触发的职责要写 within: 时限", ctx.policy.place)
    due = ctx.fact("应办日", ctx.after(trigger, ctx.body["within"], "within"))
    register = _register(ctx, spec)
    window = f"from: {spec['from']}" if spec.get("from") is not None else ""
    happened = register.fields[register.happened].label if register.happened else ""
    if not happened:
        raise PackError(f"登记表“{register.label}”没有发生日期，不能用来履行职责", spec.at("in"))
    dated = Mapping(spec.place)
    dated.update(spec)
    dated.places.update(spec.places)
    dated["in"] = Text(f"{spec['in']}, {happened}", spec.at("in"))
    ctx.builtin["应办日"] = due
    count = ctx.fact("履行次数", _call(ctx, spec, "count", [], window))
    timely = ctx.fact("按期次数", _call(ctx, spec, "count", [f"{happened} <= 应办日"], window))
    first = ctx.fact("履行日", _call(ctx, dated, "min", [], window))
    today = Const(ctx.program.as_of, DATE, "基准日")
    times = ctx.number(spec.get("times", 1))
    met = _compare(count, ">=", times)
    late = _compare(timely, "<", times)
    passed = _compare(due, "<", today)
    outcome = choose(
        (either(missing(met), missing(due)), text(UNDECIDED)),
        (both(met, late), text(LATE)),
        (met, text(DONE)),
        (passed, text(OVERDUE)),
        default=text(PENDING),
    )
    owes = str(ctx.body.get("owes", ctx.policy.name))
    overdue = both(fails(met), holds(passed))
    clause = Clause(
        owes, met, f"{spec['in']} 在 {ctx.body['within']} 内", tuple(sources(spec)), "", "must", "duty"
    )
    effective = ctx.body.get("effective")
    if effective is not None:
        # What happened before the rule was in force owes nothing under it.
        outcome = choose((_compare(trigger, "<", Const(effective, DATE)), text(OUTSIDE)), default=outcome)
    lowered = Lowered(
        within_population(ctx, outcome), value=choose((overdue, number(1)), default=number(0)), due=due, clauses=[clause],
        grounds=[(f"{owes} 未在期限内履行", overdue), (f"{owes} 逾期补办", holds(both(met, late)))], asked=[ctx.where, met, due],
    )  # fmt: skip
    lowered.extras = {"履行日": first, "应办日": due}
    return lowered


def _register(ctx: Context, spec: Mapping) -> Register:
    name = str(spec.get("in"))
    found = ctx.program.vocabulary.find(name)
    if found is None:
        raise PackError(
            f"没有登记表“{name}”",
            spec.at("in"),
            nearest(name, [r.label for r in ctx.program.vocabulary.registers.values()]),
        )
    return found


def consequence(ctx: Context) -> Lowered:
    """后果: what a finding does over time; each effect is a dated row that other policies can ask for."""
    ctx.keys("effects")
    target = ctx.register.links_to("person") or ctx.register.links_to("unit") or ctx.register.links_to("team")
    whom: Node
    if ctx.register.name in ("person", "unit", "team"):
        whom = Field(Row(ctx.register.name), ctx.register.id_field, TEXT)
    elif target:
        whom = Field(Row(ctx.register.name), target[0].name, TEXT)
    else:
        raise PackError(f"“{ctx.register.label}”没有指向人员或机构的字段，不能产生后果", ctx.policy.place)
    lowered = Lowered(text("已处理"), layout="effects")
    in_force = _in_force(ctx)
    for name, value in ctx.mapping("effects").items():
        clause, spec = ctx.clause(
            name, value, ctx.body["effects"], "effect", (*CLAUSE, "from", "until", "months", "within")
        )
        begin = ctx.date(spec["from"]) if spec.get("from") is not None else _happened(ctx)
        end: Node = NEVER
        if spec.get("until") is not None:
            end = ctx.date(spec["until"])
        elif spec.get("months") is not None:
            end = Op(
                "add_days", (Op("add_months", (begin, ctx.number(spec["months"])), DATE), number(-1)), DATE
            )
        elif spec.get("within") is not None:
            end = ctx.after(begin, spec["within"], "within")
        condition = both(ctx.where, in_force, clause.node)
        today = Const(ctx.program.as_of, DATE)
        # An end that is not known leaves it open whether the effect still works; no end at all does not.
        active = _compare(begin, "<=", today)
        if end != NEVER:
            active = both(active, _compare(end, ">=", today))
        columns: dict[str, Node] = {
            "成立": condition, "起始日": begin, "截止日": end, "对象": whom, "生效中": both(condition, active),
        }  # fmt: skip
        lowered.effects.append((name, clause, columns))
        lowered.clauses.append(clause)
        lowered.asked.append(clause.node)
    return lowered


def _happened(ctx: Context) -> Node:
    spec = ctx.register.fields.get(ctx.register.happened)
    if spec is None or spec.kind != "date":
        raise PackError("后果要写 from: 起始日期", ctx.policy.place)
    return Field(Row(ctx.register.name), spec.name, DATE)


def _in_force(ctx: Context) -> Node:
    """The rule in force when the finding was made: nothing works backwards."""
    start, end = ctx.body.get("effective"), ctx.body.get("until")
    spec = ctx.register.fields.get(ctx.register.happened)
    if spec is None or (start is None and end is None):
        return Const(True, BOOL)
    yearly = spec.kind == "int"
    day: Node = Field(Row(ctx.register.name), spec.name, NUM if yearly else DATE)

    def edge(value: Any) -> Node:
        return number(value.year) if yearly else Const(value, DATE)

    parts = []
    if start is not None:
        parts.append(_compare(day, ">=", edge(start)))
    if end is not None:
        parts.append(_compare(day, "<", edge(end)))
    return both(*parts)
