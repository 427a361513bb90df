"""Kinds that add up numbers (计分类规则): score and index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from ganbu.engine.kinds.bands import band_of, read_bands
from ganbu.engine.kinds.base import NEVER, UNDECIDED, Clause, Context, Lowered, sources, within_population
from ganbu.engine.policy import check_keys
from ganbu.engine.source import Mapping, place_of
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    TRUE,
    Const,
    Node,
    Op,
    both,
    choose,
    either,
    holds,
    missing,
    number,
    text,
)
from ganbu.errors import PackError

PART = (
    "value",
    "points",
    "when",
    "weight",
    "cap",
    "floor",
    "parts",
    "take",
    "source",
    "say",
    "about",
    "replace",
    "round",
    "missing",
    "note",
)
MISSING = ("not_computable", "zero", "renormalise")
_TOP = re.compile(r"^top (\d+)$")


@dataclass
class _Part:
    """A component: its value before the weight, the weight, and its clause."""

    name: str
    node: Node
    weight: Fraction


def _rounding(ctx: Context, spec: object) -> tuple[int, str]:
    if isinstance(spec, int):
        return spec, "half_up"
    if not isinstance(spec, Mapping):
        raise PackError("round 写作 {digits: 2, mode: half_up}", place_of(spec, ctx.policy.place))
    check_keys(spec, ("digits", "mode", "at"), "round")
    mode = str(spec.get("mode", "half_up"))
    if mode not in ("half_up", "half_even", "down", "up"):
        raise PackError(f"舍入方式“{mode}”无效", spec.at("mode"), "half_up、half_even、down、up")
    digits = spec.get("digits", 0)
    if not isinstance(digits, int) or not 0 <= digits <= 8:
        raise PackError("round 的 digits 应是 0 到 8 的整数", spec.at("digits"))
    return digits, mode


def _rounded(ctx: Context, node: Node, spec: object) -> Node:
    return node if spec is None else Op("round", (node,), NUM, _rounding(ctx, spec))


def _bounded(ctx: Context, node: Node, spec: Mapping) -> Node:
    if spec.get("cap") is not None:
        node = Op("least", (node, ctx.number(spec["cap"])), NUM)
    if spec.get("floor") is not None:
        node = Op("greatest", (node, ctx.number(spec["floor"])), NUM)
    return node


def _part(ctx: Context, name: str, value: Any, holder: Mapping, lowered: Lowered, path: str) -> _Part:
    spec = value
    if not isinstance(value, Mapping):
        spec = Mapping(holder.at(name))
        spec["value"] = value
    check_keys(spec, PART, f"计分项“{name}”")
    label = f"{path}{name}"
    if spec.get("parts") is not None:
        node = _taken(
            ctx,
            [
                _part(ctx, key, item, spec["parts"], lowered, f"{label}·")
                for key, item in spec["parts"].items()
            ],
            spec,
        )
    elif spec.get("when") is not None:
        condition = ctx.condition(spec["when"])
        points = ctx.number(spec.get("points", spec.get("value", 1)))
        node = choose((missing(condition), Const(None, NUM)), (condition, points), default=number(0))
    else:
        written = spec.get("value") if spec.get("value") is not None else spec.get("points")
        if written is None:
            raise PackError(f"计分项“{name}”要写 value:、parts: 或 when:", spec.place)
        node = ctx.number(written)
    if spec.get("missing") == "zero":
        node = Op("or_else", (node, number(0)), NUM)
    node = _bounded(ctx, _rounded(ctx, node, spec.get("round")), spec)
    weight = Fraction(1) if spec.get("weight") is None else ctx.constant(_percent(spec["weight"]), "weight")
    node = ctx.fact(f"分项:{label}", node)
    written = str(spec.get("value") or spec.get("points") or spec.get("when") or "各分项")
    lowered.clauses.append(
        Clause(label, node, written, tuple(sources(spec)), str(spec.get("say", "")), "must", "part")
    )
    lowered.extras[label] = node if weight == 1 else Op("mul", (node, number(weight)), NUM)
    return _Part(name, node, weight)


def _percent(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?%", value.strip()):
        return Fraction(value.strip()[:-1]) / 100
    return value


def _taken(ctx: Context, parts: list[_Part], spec: Mapping) -> Node:
    """Parts put together: their sum, the best or worst only, the mean, or the best few."""
    take = str(spec.get("take", "sum"))
    nodes = [
        part.node if part.weight == 1 else Op("mul", (part.node, number(part.weight)), NUM) for part in parts
    ]
    if take == "sum":
        return _sum(nodes)
    if take == "mean":
        return Op("div", (_sum(nodes), number(len(nodes))), NUM)
    if take in ("max", "min"):
        return Op("greatest" if take == "max" else "least", tuple(nodes), NUM) if len(nodes) > 1 else nodes[0]
    match = _TOP.match(take)
    if not match or not 0 < int(match[1]) <= len(nodes):
        raise PackError(f"take “{take}”无效", spec.at("take"), "sum、max、min、mean 或 top 2")
    return _best(nodes, int(match[1]))


def _best(nodes: list[Node], count: int) -> Node:
    """The sum of the best `count`: what is left when the worst are taken away one by one."""
    total: Node = number(0)
    left = list(nodes)
    for _ in range(count):
        best = left[0] if len(left) == 1 else Op("greatest", tuple(left), NUM)
        total = Op("add", (total, best), NUM)
        # Push the maximum out by one bubble pass: every position keeps the smaller of the pair.
        rest: list[Node] = []
        top = left[0]
        for node in left[1:]:
            rest.append(Op("least", (top, node), NUM))
            top = Op("greatest", (top, node), NUM)
        left = rest
        if not left:
            break
    return total


def _sum(nodes: list[Node]) -> Node:
    total = nodes[0] if nodes else number(0)
    for node in nodes[1:]:
        total = Op("add", (total, node), NUM)
    return total


def _weighted(parts: list[_Part], rule: str) -> Node:
    if rule == "zero":
        return _sum([_times(Op("or_else", (part.node, number(0)), NUM), part.weight) for part in parts])
    if rule == "renormalise":
        known = [choose((missing(part.node), number(0)), default=number(part.weight)) for part in parts]
        total = _sum([_times(Op("or_else", (part.node, number(0)), NUM), part.weight) for part in parts])
        return Op(
            "div",
            (Op("mul", (total, number(sum((part.weight for part in parts), Fraction(0)))), NUM), _sum(known)),
            NUM,
        )
    return _sum([_times(part.node, part.weight) for part in parts])


def _times(node: Node, weight: Fraction) -> Node:
    return node if weight == 1 else Op("mul", (node, number(weight)), NUM)


def _period(ctx: Context) -> None:
    """本期起 and 本期止: the period that resets the points."""
    period = ctx.body.get("period")
    if period is None:
        return
    today = ctx.program.as_of
    months = {"year": 12, "half_year": 6, "quarter": 3, "month": 1}.get(str(period))
    if months is None:
        raise PackError(f"period “{period}”无效", ctx.body.at("period"), "year、half_year、quarter、month")
    first = (today.month - 1) // months * months + 1
    start = date(today.year, first, 1)
    after = date(today.year + (first + months > 12), (first + months - 1) % 12 + 1, 1)
    ctx.builtin["本期起"] = Const(start, DATE, "本期起")
    ctx.builtin["本期止"] = Const(date.fromordinal(after.toordinal() - 1), DATE, "本期止")


def score(ctx: Context) -> Lowered:
    """积分、评分: parts with weights and caps, deductions, vetoes, rounded once, in bands."""
    ctx.keys(
        "base",
        "components",
        "deductions",
        "veto",
        "floor",
        "cap",
        "round",
        "missing",
        "period",
        "bands",
        "scale",
    )
    _period(ctx)
    rule = str(ctx.body.get("missing", "not_computable"))
    if rule not in MISSING:
        raise PackError(f"missing “{rule}”无效", ctx.body.at("missing"), "、".join(MISSING))
    lowered = Lowered(number(0))
    parts = [
        _part(ctx, name, value, ctx.body["components"], lowered, "")
        for name, value in ctx.mapping("components").items()
    ]
    total = _weighted(parts, rule)
    minus = [
        _part(ctx, name, value, ctx.body["deductions"], lowered, "")
        for name, value in ctx.mapping("deductions", False).items()
    ]
    if minus:
        total = Op("sub", (total, _weighted(minus, rule if rule == "zero" else "not_computable")), NUM)
    if ctx.body.get("base") is not None:
        total = Op("add", (ctx.number(ctx.body["base"]), total), NUM)
    total = _rounded(ctx, _bounded(ctx, total, ctx.body), ctx.body.get("round"))
    vetoes = ctx.clauses("veto", "veto", ("to",))
    asked = [ctx.where, *(part.node for part in (*parts, *minus))]
    if vetoes:
        conditions = [ctx.fact(f"否决:{clause.name}", clause.node) for clause, _ in vetoes]
        doubt = missing(either(*conditions))
        settled = [
            (condition, ctx.number(spec.get("to", 0)))
            for condition, (_, spec) in zip(conditions, vetoes, strict=True)
        ]
        total = choose(*settled, (doubt, Const(None, NUM)), default=total)
        lowered.clauses += [clause for clause, _ in vetoes]
        lowered.grounds += [
            (clause.label, holds(condition))
            for condition, (clause, _) in zip(conditions, vetoes, strict=True)
        ]
        lowered.extras["否决"] = Op(
            "words",
            tuple(holds(c) for c in conditions),
            text("").type,
            tuple(clause.label for clause, _ in vetoes),
        )
        asked += conditions
    _finish(ctx, lowered, total, asked)
    return lowered


def _finish(ctx: Context, lowered: Lowered, total: Node, asked: list[Node]) -> None:
    """The total as a column, its band as the outcome."""
    total = ctx.fact("总分", total)
    done: Node = text("已计分")
    if ctx.body.get("bands") is not None:
        done = band_of(total, read_bands(ctx.mapping("bands")))
    lowered.outcome = within_population(ctx, choose((missing(total), text(UNDECIDED)), default=done))
    lowered.value = (
        total if ctx.where == TRUE else choose((holds(ctx.where), total), default=Const(None, NUM))
    )
    lowered.due = NEVER
    lowered.asked = asked


def index(ctx: Context) -> Lowered:
    """指数: indicators standardised over all subjects, weighted, in bands, ranked."""
    ctx.keys("indicators", "groups", "scale", "round", "bands", "missing", "floor", "cap")
    lowered = Lowered(number(0))
    groups = tuple(ctx.any(item) for item in ctx.body.get("groups") or ())
    parts: list[_Part] = []
    for name, value in ctx.mapping("indicators").items():
        spec = value
        if not isinstance(value, Mapping):
            spec = Mapping(ctx.body["indicators"].at(name))
            spec["value"] = value
        check_keys(
            spec,
            (
                "value",
                "weight",
                "direction",
                "standardise",
                "cap",
                "floor",
                "source",
                "say",
                "bands",
                "replace",
                "about",
                "note",
            ),
            f"指标“{name}”",
        )
        if spec.get("value") is None:
            raise PackError(f"指标“{name}”要写 value:", spec.place)
        raw = ctx.fact(f"原值:{name}", _bounded(ctx, ctx.number(spec["value"]), spec))
        node = ctx.fact(f"指标:{name}", _standardised(ctx, raw, spec, groups))
        weight = (
            Fraction(1) if spec.get("weight") is None else ctx.constant(_percent(spec["weight"]), "weight")
        )
        parts.append(_Part(name, node, weight))
        lowered.clauses.append(
            Clause(
                name,
                raw,
                str(spec["value"]),
                tuple(sources(spec)),
                str(spec.get("say", "")),
                "must",
                "indicator",
            )
        )
        lowered.extras[name] = raw
        if node != raw:
            lowered.extras[f"{name}·标准值"] = node
    rule = str(ctx.body.get("missing", "not_computable"))
    if rule not in MISSING:
        raise PackError(f"missing “{rule}”无效", ctx.body.at("missing"), "、".join(MISSING))
    total = _weighted(parts, rule)
    if ctx.body.get("scale") is not None:
        total = Op("mul", (total, ctx.number(ctx.body["scale"])), NUM)
    total = _rounded(ctx, _bounded(ctx, total, ctx.body), ctx.body.get("round"))
    _finish(ctx, lowered, total, [ctx.where, *(clause.node for clause in lowered.clauses)])
    assert lowered.value is not None
    shown = ctx.fact("指数", lowered.value)
    among = None if ctx.where == TRUE else ctx.where
    lowered.extras["名次"] = ctx.window("place", shown, among, groups, ((shown, True),), ties="min")
    return lowered


def _standardised(ctx: Context, raw: Node, spec: Mapping, groups: tuple[Node, ...]) -> Node:
    method, direction = str(spec.get("standardise", "none")), str(spec.get("direction", "up"))
    if direction not in ("up", "down"):
        raise PackError("direction 只能是 up 或 down", spec.at("direction"))
    among = None if ctx.where == TRUE else ctx.where
    up = direction == "up"
    if method == "none":
        return raw if up else Op("sub", (number(0), raw), NUM)
    low, high = (ctx.window(fn, raw, among, groups) for fn in ("lowest", "highest"))
    if method == "minmax":
        span = Op("sub", (high, low), NUM)
        gain = Op("sub", (raw, low) if up else (high, raw), NUM)
        same = Op("compare", (high, low), BOOL, ("=",))
        # When all are equal nobody is behind: each counts in full.
        return choose(
            (missing(raw), Const(None, NUM)), (same, number(1)), default=Op("div", (gain, span), NUM)
        )
    if method == "of_max":
        if up:
            return Op("div", (raw, high), NUM)
        # The least is the best: it counts in full, also when it is nought.
        return choose(
            (Op("compare", (raw, low), BOOL, ("=",)), number(1)), default=Op("div", (low, raw), NUM)
        )
    if method == "rank":
        size = ctx.window("known", raw, among, groups)
        place = ctx.window("place", raw, among, groups, ((raw, up),), ties="min")
        return Op("div", (Op("add", (Op("sub", (size, place), NUM), number(1)), NUM), size), NUM)
    if method == "zscore":
        plain = ctx.fact(f"定点:{spec['value']}", Op("round", (raw,), NUM, (6, "half_up")))
        size = ctx.window("known", plain, among, groups)
        total, squares = (ctx.window(fn, plain, among, groups) for fn in ("sum_known", "squares"))
        z = Op("zscore", (plain, size, total, squares), NUM)
        return z if up else Op("sub", (number(0), z), NUM)
    raise PackError(
        f"standardise “{method}”无效", spec.at("standardise"), "none、minmax、zscore、rank、of_max"
    )


__all__ = ["both", "index", "score"]
