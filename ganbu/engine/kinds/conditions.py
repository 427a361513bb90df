"""Kinds that ask yes/no questions (条件类规则): eligibility, alert, composition, coverage, chooser."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from ganbu.engine.bind import bind
from ganbu.engine.kinds.base import (
    CLAUSE,
    FOREVER,
    NEVER,
    UNDECIDED,
    Clause,
    Context,
    Lowered,
    due_date,
    lapse_date,
    shown_due,
    sources,
    within_population,
)
from ganbu.engine.policy import check_keys
from ganbu.engine.source import Mapping, Text, place_of
from ganbu.engine.tree import (
    BOOL,
    DATE,
    FALSE,
    NUM,
    TEXT,
    TRUE,
    Const,
    Node,
    Op,
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
from ganbu.errors import PackError

OUTCOMES = {
    "pass": "符合",
    "fail": "不符合",
    "soft": "原则上不符合",
    "unknown": UNDECIDED,
    "exempt": "免于审查",
}


def _outcomes(ctx: Context, defaults: dict[str, str]) -> dict[str, str]:
    words = dict(defaults)
    given = ctx.body.get("outcomes") or Mapping(ctx.policy.place)
    check_keys(given, tuple(defaults), "outcomes ")
    words.update({key: str(value) for key, value in given.items()})
    return words


def _tally(conditions: list[Node]) -> Node:
    """How many of the conditions are known to be true."""
    total: Node = number(0)
    for condition in conditions:
        total = Op("add", (total, choose((condition, number(1)), default=number(0))), NUM)
    return total


def _requirements(ctx: Context) -> list[Clause]:
    required = [clause for clause, _ in ctx.clauses("require")]
    barred = [
        replace(clause, node=negate(clause.node), role="bar") for clause, _ in ctx.clauses("bars", "bar")
    ]
    if not required and not barred:
        raise PackError(f"规则“{ctx.policy.name}”要写 require: 或 bars:", ctx.policy.place)
    return [
        replace(clause, node=ctx.fact(f"条款:{clause.name}", clause.node)) for clause in (*required, *barred)
    ]


def eligibility(ctx: Context) -> Lowered:
    """资格条件: who may, who may not, and why."""
    ctx.keys("require", "bars", "exempt", "outcomes")
    words = _outcomes(ctx, OUTCOMES)
    clauses = _requirements(ctx)
    must = [c.node for c in clauses if c.strictness in ("must", "about", "plan")]
    soft = [c.node for c in clauses if c.strictness == "in_principle"]
    preferred = [c.node for c in clauses if c.strictness == "prefer"]
    unmet = [c for c in clauses if c.strictness != "prefer"]
    hard, gentle = both(*must), both(*soft)
    branches: list[tuple[Node, Node]] = []
    whole = both(hard, gentle)
    asked = [ctx.where, *(c.node for c in unmet)]
    if ctx.body.get("exempt") is not None:
        exempt = ctx.fact("免审", ctx.condition(ctx.body["exempt"]))
        branches.append((holds(exempt), text(words["exempt"])))
        # Whether somebody is exempt matters only to those who would not pass.
        branches.append((both(missing(exempt), negate(holds(whole))), text(words["unknown"])))
        asked.append(exempt)
    branches += [
        (fails(hard), text(words["fail"])),
        (missing(hard), text(words["unknown"])),
        (fails(gentle), text(words["soft"])),
        (missing(gentle), text(words["unknown"])),
    ]
    outcome = choose(*branches, default=text(words["pass"]))
    due = due_date(ctx.program, ctx.register.name, whole)
    later = _to_come(ctx, due, whole)
    lowered = Lowered(
        within_population(ctx, outcome),
        value=_tally([fails(c.node) for c in unmet]),
        due=choose((both(fails(whole), later), due), default=NEVER),
        clauses=clauses,
        grounds=[(c.label, fails(c.node)) for c in unmet],
        asked=asked,
    )
    if preferred:
        lowered.extras["优先项数"] = _tally([holds(node) for node in preferred])
    return lowered


def _to_come(ctx: Context, due: Node, condition: Node) -> Node:
    """Whether the day lies ahead and what holds until then still does on it."""
    lapse = lapse_date(ctx.program, ctx.register.name, condition)
    return both(
        Op("compare", (due, Const(ctx.program.as_of, DATE)), BOOL, (">",)),
        Op("compare", (due, lapse), BOOL, ("<",)) if lapse != FOREVER else None,
    )


def alert(ctx: Context) -> Lowered:
    """预警、亮牌、应办: the heaviest level whose grounds hold."""
    ctx.keys("levels", "accumulate", "none")
    levels: list[tuple[str, list[Clause], Mapping]] = []
    for name, value in ctx.mapping("levels").items():
        levels.append((name, *_level(ctx, name, value)))
    _accumulate(ctx, levels)
    conditions = [ctx.fact(f"等级:{name}", either(*(c.node for c in grounds))) for name, grounds, _ in levels]
    none = str(ctx.body.get("none", "无"))
    branches: list[tuple[Node, Node]] = [
        (condition, text(name)) for condition, (name, _, _) in zip(conditions, levels, strict=True)
    ]
    unknown = either(*(missing(condition) for condition in conditions))
    outcome = choose(*branches, (unknown, text(UNDECIDED)), default=text(none))
    dues = [
        due_date(ctx.program, ctx.register.name, either(*(c.node for c in grounds)))
        for _, grounds, _ in levels
    ]
    due = choose(*((c, d) for c, d in zip(conditions, dues, strict=True)), default=NEVER)
    due = ctx.fact("期限日", shown_due(due)) if due != NEVER else due
    lowered = Lowered(
        within_population(ctx, outcome),
        value=_tally([holds(c.node) for _, grounds, _ in levels for c in grounds]),
        due=due,
        clauses=[c for _, grounds, _ in levels for c in grounds],
        grounds=[(c.label, holds(c.node)) for _, grounds, _ in levels for c in grounds],
        asked=[ctx.where, *(c.node for _, grounds, _ in levels for c in grounds)],
    )
    for at, (name, _, _) in enumerate(levels):
        lowered.doubts.append(
            (name, both(missing(conditions[at]), *(negate(holds(c)) for c in conditions[:at])))
        )
    _consequences(ctx, levels, conditions, due, lowered)
    if ctx.body.get("forecast") is not None:
        _forecast(ctx, levels, conditions, dues, lowered)
    return lowered


def _level(ctx: Context, name: str, value: object) -> tuple[list[Clause], Mapping]:
    more = ("action", "expires", "any")
    if isinstance(value, list):
        spec = Mapping(place_of(value) or ctx.policy.place)
        spec["any"] = value
    elif isinstance(value, Mapping):
        spec = value
        check_keys(spec, (*CLAUSE, *more), f"等级“{name}”")
    else:
        spec = Mapping(ctx.body["levels"].at(name))
        spec["when"] = value
    if spec.get("any") is None:
        clause, _ = ctx.clause(name, spec, ctx.body["levels"], "level", more)
        return [_own(ctx, clause, name)], spec
    grounds = []
    outer = sources(spec)
    for at, item in enumerate(spec["any"], 1):
        clause, inner = ctx.clause(f"{name}{at}", item, ctx.body["levels"], "level")
        if isinstance(item, Mapping):
            check_keys(inner, CLAUSE, f"等级“{name}”的情形")
        clause = replace(
            clause, source=clause.source or tuple(outer), say=clause.say or f"{name}：{clause.written}"
        )
        grounds.append(_own(ctx, clause, f"{name}{at}"))
    return grounds, spec


def _own(ctx: Context, clause: Clause, name: str) -> Clause:
    return replace(clause, node=ctx.fact(f"情形:{name}", clause.node))


def _accumulate(ctx: Context, levels: list[tuple[str, list[Clause], Mapping]]) -> None:
    """Grounds from cards already on record: two yellow within a window make red."""
    for target, spec in (ctx.body.get("accumulate") or {}).items():
        check_keys(
            spec, ("of", "at_least", "within", "plus_current", "consume", "source", "say"), "accumulate"
        )
        names = [name for name, _, _ in levels]
        for word in (target, spec.get("of")):
            if word not in names:
                raise PackError(
                    f"accumulate：没有等级“{word}”", ctx.body["accumulate"].at(target), "、".join(names)
                )
        where = f"办法 = '{ctx.policy.name}' and 等级 = '{spec['of']}' and 撤销日期 is missing"
        if spec.get("consume") is True or spec.get("consume") == "是":
            where += " and 是否已累计转换 is not yes"
        window = f", last: {spec['within']}" if spec.get("within") is not None else ""
        earlier = bind(Text(f"count(预警, {where}{window})", spec.at("of")), ctx.scope)
        if spec.get("plus_current") in (True, "是"):
            current = next(
                either(*(c.node for c in grounds)) for name, grounds, _ in levels if name == spec["of"]
            )
            earlier = Op(
                "add",
                (
                    earlier,
                    choose((missing(current), Const(None, NUM)), (current, number(1)), default=number(0)),
                ),
                NUM,
            )
        node = Op("compare", (earlier, ctx.number(spec.get("at_least"))), BOOL, (">=",))
        say = str(spec.get("say") or f"{target}：累计{spec['of']}达到 {spec['at_least']} 次")
        clause = Clause(
            f"{target}·累计",
            node,
            f"累计 {spec['of']} 次数 >= {spec['at_least']}",
            tuple(sources(spec)),
            say,
            "must",
            "level",
        )
        next(grounds for name, grounds, _ in levels if name == target).append(
            _own(ctx, clause, f"{target}累计")
        )


def _consequences(
    ctx: Context,
    levels: list[tuple[str, list[Clause], Mapping]],
    conditions: list[Node],
    due: Node,
    lowered: Lowered,
) -> None:
    actions, expiries = [], []
    today = Const(ctx.program.as_of, DATE)
    for condition, (_, _, spec) in zip(conditions, levels, strict=True):
        action = spec.get("action")
        words = "、".join(str(item) for item in action) if isinstance(action, list) else str(action or "")
        actions.append((condition, text(words)))
        expires = spec.get("expires")
        begin = Op("or_else", (due, today), DATE) if due != NEVER else today
        expiries.append((condition, ctx.after(begin, expires, "expires") if expires is not None else NEVER))
    if any(spec.get("action") for _, _, spec in levels):
        lowered.extras["措施"] = choose(*actions, default=text(""))
    if any(spec.get("expires") for _, _, spec in levels):
        lowered.extras["到期"] = choose(*expiries, default=NEVER)


def _forecast(
    ctx: Context,
    levels: list[tuple[str, list[Clause], Mapping]],
    conditions: list[Node],
    dues: list[Node],
    lowered: Lowered,
) -> None:
    """The next heavier level that time alone will bring, within the horizon."""
    amount, unit = ctx.duration(ctx.body["forecast"], "forecast")
    today = ctx.program.as_of
    end: Node = Const(today, DATE)
    end = Op("add_months" if unit == "months" else "add_days", (end, number(amount)), DATE)
    soon: list[tuple[str, Node]] = []
    for at, (condition, due) in enumerate(zip(conditions, dues, strict=True)):
        coming = both(
            _to_come(ctx, due, either(*(c.node for c in levels[at][1]))),
            Op("compare", (due, end), BOOL, ("<=",)),
            *(negate(holds(c)) for c in (*conditions[:at], condition)),
        )
        soon.append((levels[at][0], ctx.fact(f"将至:{levels[at][0]}", choose((coming, due), default=NEVER))))
    first = (
        ctx.fact("将至", Op("earliest", tuple(node for _, node in soon), DATE))
        if len(soon) > 1
        else soon[0][1]
    )
    inside = ctx.where
    lowered.extras["预测等级"] = choose(
        (negate(holds(inside)), Const(None, TEXT)),
        *((Op("compare", (node, first), BOOL, ("=",)), text(name)) for name, node in soon),
        default=Const(None, TEXT),
    )
    lowered.extras["预测日期"] = choose((holds(inside), first), default=NEVER)
    lowered.horizon = amount


def composition(ctx: Context) -> Lowered:
    """班子结构: what a team must have, what it lacks, and what all teams together must reach."""
    ctx.keys("require", "targets", "overall", "outcomes")
    words = _outcomes(ctx, {"pass": "达标", "fail": "不达标", "soft": "原则上不达标", "unknown": UNDECIDED})
    clauses: list[Clause] = []
    gaps: list[tuple[str, Node]] = []
    for section in ("require", "targets"):
        for name, value in ctx.mapping(section, False).items():
            spec = value
            if isinstance(value, Mapping) and value.get("when") is None and value.get("have") is not None:
                spec = Mapping(value.place)
                spec.update(value)
                spec.places.update(value.places)
                spec["when"] = Text(f"({value['have']}) >= ({value['need']})", value.at("have"))
            clause, held = ctx.clause(name, spec, ctx.body[section], "require", ("have", "need"))
            clause = replace(clause, node=ctx.fact(f"条款:{name}", clause.node))
            clauses.append(clause)
            if held.get("have") is not None:
                lack = Op("sub", (ctx.number(held["need"]), ctx.number(held["have"])), NUM)
                gaps.append((clause.label, ctx.fact(f"缺口:{name}", Op("greatest", (lack, number(0)), NUM))))
    if not clauses and not ctx.body.get("overall"):
        raise PackError(f"规则“{ctx.policy.name}”要写 require:、targets: 或 overall:", ctx.policy.place)
    must = both(*(c.node for c in clauses if c.strictness in ("must", "about", "plan")))
    soft = both(*(c.node for c in clauses if c.strictness == "in_principle"))
    outcome = choose(
        (fails(must), text(words["fail"])), (missing(must), text(words["unknown"])),
        (fails(soft), text(words["soft"])), (missing(soft), text(words["unknown"])), default=text(words["pass"]),
    )  # fmt: skip
    failing = [c for c in clauses if c.strictness != "prefer"]
    lowered = Lowered(
        within_population(ctx, outcome),
        value=_tally([fails(c.node) for c in failing]),
        clauses=clauses,
        grounds=[(c.label, fails(c.node)) for c in failing],
        asked=[ctx.where, *(c.node for c in failing)],
    )
    if gaps:
        total: Node = number(0)
        for _, gap in gaps:
            total = Op("add", (total, gap), NUM)
        lowered.extras["缺口数"] = total
        words_of = [Op("compare", (gap, number(0)), BOOL, (">",)) for _, gap in gaps]
        lowered.extras["缺口"] = Op("words", tuple(words_of), TEXT, tuple(label for label, _ in gaps))
    _overall(ctx, lowered)
    return lowered


def _overall(ctx: Context, lowered: Lowered) -> None:
    """Second order: a share of all teams must have something."""
    groups = tuple(ctx.any(item) for item in ctx.body.get("groups") or ())
    for name, spec in ctx.mapping("overall", False).items():
        check_keys(
            spec, ("of", "at_least", "at_most", "more_than", "source", "say", "replace"), f"overall“{name}”"
        )
        member = ctx.fact(f"全体:{name}", ctx.condition(spec.get("of")))
        one = choose((holds(member), number(1)), default=number(0))
        maybe = choose((missing(both(ctx.where, member)), number(1)), default=number(0))
        among = None if ctx.where == TRUE else ctx.where
        have = ctx.window("total", ctx.fact(f"全体数:{name}", one), among, groups)
        open_ = ctx.window("total", ctx.fact(f"全体未定:{name}", maybe), None, groups)
        size = ctx.window("size", None, among, groups)
        sign, key = next(
            (sign, key)
            for key, sign in (("at_least", ">="), ("more_than", ">"), ("at_most", "<="))
            if spec.get(key) is not None
        )
        bound = ctx.constant(spec[key], f"overall“{name}”的 {key}")
        settled = Op("compare", (open_, number(0)), BOOL, ("=",))
        share = choose((settled, Op("div", (have, size), NUM)), default=Const(None, NUM))
        goal = Op("mul", (size, number(bound)), NUM)
        least, most = (Op("compare", (n, goal), BOOL, (sign,)) for n in (have, Op("add", (have, open_), NUM)))
        # Those not known either way matter only where the share hangs on them.
        met = ctx.fact(
            f"全体达标:{name}",
            choose(
                (Op("compare", (size, number(0)), BOOL, ("=",)), Const(None, BOOL)),
                (both(least, most), Const(True, BOOL)),
                (both(negate(least), negate(most)), Const(False, BOOL)),
                default=Const(None, BOOL),
            ),
        )
        wanted = Op("mul", (size, number(bound)), NUM)
        need = Op("round", (wanted,), NUM, (0, "floor" if key != "at_least" else "ceil"))
        if key == "more_than":
            need = Op("add", (need, number(1)), NUM)
        lowered.extras[name] = choose(
            (missing(met), text(UNDECIDED)), (met, text("达标")), default=text("不达标")
        )
        lowered.extras[f"{name}·比例"] = share
        if key != "at_most":
            lack = Op("greatest", (Op("sub", (need, have), NUM), number(0)), NUM)
            lowered.extras[f"{name}·还差"] = choose((settled, lack), default=Const(None, NUM))
        lowered.clauses.append(
            Clause(
                name,
                met,
                f"{spec['of']} 的比例 {sign} {bound}",
                tuple(sources(spec)),
                str(spec.get("say", "")),
                "must",
                "overall",
            )
        )
        lowered.asked.append(member)


def coverage(ctx: Context) -> Lowered:
    """覆盖率: who has been reached, and what share of the group."""
    ctx.keys("covered", "groups", "target")
    if ctx.body.get("covered") is None:
        raise PackError("coverage 规则要写 covered:", ctx.policy.place)
    node = ctx.fact("覆盖", ctx.condition(ctx.body["covered"]))
    clause = Clause("已覆盖", node, str(ctx.body["covered"]), (), "", "must", "covered")
    groups = tuple(ctx.any(item) for item in ctx.body.get("groups") or ())
    among = None if ctx.where == TRUE else ctx.where
    one = ctx.fact("覆盖数", choose((holds(node), number(1)), default=number(0)))
    maybe = ctx.fact("未定数", choose((missing(both(ctx.where, node)), number(1)), default=number(0)))
    have, size = ctx.window("total", one, among, groups), ctx.window("size", None, among, groups)
    open_ = ctx.window("total", maybe, None, groups)
    settled = Op("compare", (open_, number(0)), BOOL, ("=",))
    share = choose((settled, Op("div", (have, size), NUM)), default=Const(None, NUM))
    outcome = choose((missing(node), text(UNDECIDED)), (node, text("已覆盖")), default=text("未覆盖"))
    lowered = Lowered(
        within_population(ctx, outcome),
        value=share,
        clauses=[clause],
        grounds=[("未覆盖", fails(node))],
        asked=[ctx.where, node],
    )
    lowered.extras = {"组内人数": size, "已覆盖人数": have, "未定人数": open_, "覆盖率": share}
    if ctx.body.get("target") is not None:
        goal = Op("mul", (size, number(ctx.constant(ctx.body["target"], "target"))), NUM)
        # Who is not known either way matters only where the target hangs on them.
        most = Op("add", (have, open_), NUM)
        lowered.extras["达标"] = choose(
            (both(settled, Op("compare", (size, number(0)), BOOL, ("=",))), Const(None, BOOL)),
            (Op("compare", (have, goal), BOOL, (">=",)), Const(True, BOOL)),
            (Op("compare", (most, goal), BOOL, ("<",)), Const(False, BOOL)),
            default=Const(None, BOOL),
        )
    return lowered


def chooser(ctx: Context) -> Lowered:
    """选用: which procedure applies; two that both match and none that matches are said, not settled."""
    ctx.keys("rules", "hit", "on_overlap", "on_gap")
    rules = ctx.body.get("rules")
    if not isinstance(rules, list) or not rules:
        raise PackError("chooser 规则要写 rules: 列表", ctx.body.at("rules"))
    hit = str(ctx.body.get("hit", "unique"))
    if hit not in ("unique", "first"):
        raise PackError("hit 只能是 unique 或 first", ctx.body.at("hit"))
    overlap, gap = str(ctx.body.get("on_overlap", "AMBIGUOUS")), str(ctx.body.get("on_gap", "UNDETERMINED"))
    clauses, results = [], []
    for at, item in enumerate(rules, 1):
        if not isinstance(item, Mapping) or item.get("then") is None:
            raise PackError("每条要写 when: 和 then:", place_of(item, ctx.policy.place))
        clause, spec = ctx.clause(f"第{at}条", item, item, "rule", ("then",))
        then = str(spec["then"])
        clauses.append(
            replace(
                clause, node=ctx.fact(f"第{at}条", clause.node), say=clause.say or f"{then}：{clause.written}"
            )
        )
        results.append(then)
    names = list(dict.fromkeys(results))
    chosen = {
        name: either(*(c.node for c, r in zip(clauses, results, strict=True) if r == name)) for name in names
    }
    unknown = either(*(missing(node) for node in chosen.values())) if chosen else FALSE
    if hit == "first":
        branches: list[tuple[Node, Node]] = []
        for clause, result in zip(clauses, results, strict=True):
            branches += [(missing(clause.node), text(UNDECIDED)), (clause.node, text(result))]
        outcome = choose(*branches, default=text(gap))
    else:
        matched = ctx.fact("符合数", _tally([holds(node) for node in chosen.values()]))
        outcome = choose(
            (Op("compare", (matched, number(1)), BOOL, (">",)), text(overlap)),
            (unknown, text(UNDECIDED)),
            *((node, text(name)) for name, node in chosen.items()),
            default=text(gap),
        )
    return Lowered(
        within_population(ctx, outcome),
        clauses=clauses,
        grounds=[(c.label, holds(c.node)) for c in clauses],
        doubts=[(name, missing(node)) for name, node in chosen.items()],
        asked=[ctx.where, *(c.node for c in clauses)],
    )


__all__ = ["Fraction", "alert", "chooser", "composition", "coverage", "eligibility", "timedelta"]
