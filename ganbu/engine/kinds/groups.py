"""Kinds about groups (分组类规则): rank and quota."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ganbu.engine.kinds.base import NEVER, UNDECIDED, Clause, Context, Lowered, sources, within_population
from ganbu.engine.policy import check_keys
from ganbu.engine.source import Mapping, place_of
from ganbu.engine.tree import (
    BOOL,
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

PERCENT = re.compile(r"^(\d+(?:\.\d+)?)%$")
ROUNDINGS = ("down", "up", "half_up", "largest_remainder")


def _add(nodes: list[Node]) -> Node:
    total: Node = number(0)
    for node in nodes:
        total = Op("add", (total, node), NUM) if total != number(0) else node
    return total


def _compare(one: Node, sign: str, two: Node) -> Node:
    return Op("compare", (one, two), BOOL, (sign,))


# -- rank ----------------------------------------------------------------------------------------------------


def rank(ctx: Context) -> Lowered:
    """排名、等次: places in groups, forced shares, automatic grants, a track outside the quota."""
    ctx.keys(
        "value",
        "order",
        "then",
        "groups",
        "among",
        "ties",
        "shares",
        "counts",
        "last",
        "round",
        "edge",
        "automatic",
        "off_quota",
        "min_group",
    )
    if ctx.body.get("value") is None:
        raise PackError("rank 规则要写 value:", ctx.policy.place)
    value = ctx.fact("值", ctx.number(ctx.body["value"]))
    order = [(value, str(ctx.body.get("order", "desc")) != "asc"), *_tie_breakers(ctx)]
    groups = tuple(
        ctx.fact(f"组{at}", ctx.any(item)) for at, item in enumerate(ctx.body.get("groups") or (), 1)
    )
    among = ctx.condition(ctx.body["among"]) if ctx.body.get("among") is not None else TRUE
    aside = ctx.condition(ctx.body["off_quota"]) if ctx.body.get("off_quota") is not None else None
    automatic = ctx.clauses("automatic", "automatic", ("counts",)) if ctx.body.get("automatic") else []
    free = [holds(clause.node) for clause, spec in automatic if spec.get("counts", True) in (False, "否")]
    seated = [
        holds(clause.node) for clause, spec in automatic if spec.get("counts", True) not in (False, "否")
    ]
    competing = ctx.fact(
        "参加",
        both(
            holds(ctx.where),
            holds(among),
            *(negate(node) for node in free),
            *([negate(holds(aside))] if aside is not None else []),
        ),
    )
    if seated:
        # Those granted a seat take it first, so that the seats left are the ones competed for.
        order.insert(0, (ctx.fact("先占", choose((either(*seated), number(1)), default=number(0))), True))
    ties = str(ctx.body.get("ties", "min"))
    if ties not in ("min", "dense", "row"):
        raise PackError(f"ties “{ties}”无效", ctx.body.at("ties"), "min、dense、row")
    place = ctx.window("place", value, competing, groups, tuple(order), ties=ties)
    strict = (
        place if ties != "dense" else ctx.window("place", value, competing, groups, tuple(order), ties="min")
    )
    size = ctx.window("seated", value, competing, groups, tuple(order), ties=ties)
    tied = (
        number(1) if ties == "row" else ctx.window("ties", value, competing, groups, tuple(order), ties=ties)
    )
    end = Op("sub", (Op("add", (strict, tied), NUM), number(1)), NUM)
    bottom = ctx.fact("倒数", Op("add", (Op("sub", (size, end), NUM), number(1)), NUM))
    bands = _bands(ctx, size)
    outcome = _outcome(ctx, value, strict, end, bottom, bands, size)
    granted = [(holds(clause.node), text(clause.name)) for clause, _ in automatic]
    branches: list[tuple[Node, Node]] = [
        (fails(among), text("不参加")),
        (missing(among), text(UNDECIDED)),
        *granted,
    ]
    if aside is not None:
        branches.append((holds(aside), text("单列")))
    branches.append((missing(value), text(UNDECIDED)))
    outcome = choose(*branches, default=outcome)
    unknown_peers = ctx.window("unseated", value, competing, groups, tuple(order), ties=ties)
    lowered = Lowered(
        within_population(ctx, outcome),
        value=value,
        due=NEVER,
        clauses=[
            Clause("排名依据", value, str(ctx.body["value"]), (), "", "must", "value"),
            *(clause for clause, _ in automatic),
        ],
        grounds=[
            (f"{clause.name}：{clause.label}", node)
            for (clause, _), (node, _) in zip(automatic, granted, strict=True)
        ],
        doubts=[("同组有人数值未知，名次可能变动", both(competing, _compare(unknown_peers, ">", number(0))))],
        asked=[ctx.where, among, value],
    )
    lowered.extras = {"名次": place, "组内人数": size, "倒数名次": bottom}
    if bands:
        seats: list[tuple[Node, Node]] = []
        for name, cut in bands:
            below = next((c for n, c in reversed(bands[: [b[0] for b in bands].index(name)])), number(0))
            seats.append((_compare(outcome, "=", text(name)), Op("sub", (cut, below), NUM)))
        lowered.extras["名额"] = choose(*seats, default=Const(None, NUM))
    return lowered


def _tie_breakers(ctx: Context) -> list[tuple[Node, bool]]:
    found = []
    for at, item in enumerate(ctx.body.get("then") or (), 1):
        spec = item if isinstance(item, Mapping) else {"value": item}
        found.append(
            (ctx.fact(f"再比{at}", ctx.number(spec["value"])), str(spec.get("order", "desc")) != "asc")
        )
    return found


def _bands(ctx: Context, size: Node) -> list[tuple[str, Node]]:
    """Each band with its cut: the last place that still belongs to it."""
    items: dict[str, Any] = {**(ctx.body.get("counts") or {}), **(ctx.body.get("shares") or {})}
    rule = str(ctx.body.get("round", "down"))
    if rule not in ROUNDINGS:
        raise PackError(f"round “{rule}”无效", ctx.body.at("round"), "、".join(ROUNDINGS))
    shares: dict[str, Fraction] = {}
    seats: dict[str, Node | None] = {}
    for name, value in items.items():
        if value in ("rest", "其余"):
            seats[name] = None
            continue
        match = PERCENT.match(str(value).strip()) if isinstance(value, str) else None
        fraction = Fraction(match[1]) / 100 if match else None
        if fraction is None and name in (ctx.body.get("shares") or {}):
            node = ctx.number(value)
            if isinstance(node, Const) and isinstance(node.value, Fraction) and node.value < 1:
                fraction = node.value
            elif isinstance(node, Op) and node.op == "div":
                fraction = ctx.constant(value, "shares")
            elif (isinstance(node, Const) and node.value is None) or (isinstance(node, Const) and node.label):
                fraction = None
                exact = Op("mul", (size, node), NUM)
                seats[name] = Op("round", (exact,), NUM, (0, "down" if rule == "largest_remainder" else rule))
                continue
        if fraction is not None:
            shares[name] = fraction
            exact = Op("mul", (size, number(fraction)), NUM)
            seats[name] = Op("round", (exact,), NUM, (0, "down" if rule == "largest_remainder" else rule))
        else:
            seats[name] = ctx.number(value)
    if sum(shares.values(), Fraction(0)) > 1:
        raise PackError("shares 合计超过 100%", ctx.body.at("shares"))
    if rule == "largest_remainder":
        if sum(shares.values(), Fraction(0)) != 1 or len(shares) != len(items):
            raise PackError("largest_remainder 要求各档合计正好 100%，且没有 rest", ctx.body.at("round"))
        seats = _largest_remainder(size, shares, seats)
    cuts: list[tuple[str, Node]] = []
    used: list[Node] = []
    for at, (name, seat) in enumerate(seats.items()):
        if seat is None:
            # The rest runs to where the bands after it begin, counted from the end.
            after = [node for node in list(seats.values())[at + 1 :] if node is not None]
            cut: Node = Op("sub", (size, _add(after)), NUM) if after else size
            used = [cut]
        else:
            used.append(seat)
            cut = Op("least", (_add(used), size), NUM)
        cuts.append((name, ctx.fact(f"截止:{name}", cut)))
    return cuts


def _largest_remainder(
    size: Node, shares: dict[str, Fraction], floors: dict[str, Node | None]
) -> dict[str, Node | None]:
    """Seats left after rounding down go one each to the largest remainders; equal ones in the order written."""
    names = list(shares)
    rest = {
        name: Op("sub", (Op("mul", (size, number(shares[name])), NUM), floors[name] or number(0)), NUM)
        for name in names
    }
    left = Op("sub", (size, _add([floors[name] or number(0) for name in names])), NUM)
    result: dict[str, Node | None] = {}
    for at, name in enumerate(names):
        ahead = [
            choose((_compare(rest[o], ">=" if i < at else ">", rest[name]), number(1)), default=number(0))
            for i, o in enumerate(names)
            if o != name
        ]
        extra = choose(
            (_compare(_add(ahead) if ahead else number(0), "<", left), number(1)), default=number(0)
        )
        result[name] = Op("add", (floors[name] or number(0), extra), NUM)
    return result


def _outcome(
    ctx: Context, value: Node, place: Node, end: Node, bottom: Node, bands: list[tuple[str, Node]], size: Node
) -> Node:
    edge = str(ctx.body.get("edge", "exclude"))
    if edge not in ("exclude", "include", "undetermined"):
        raise PackError(f"edge “{edge}”无效", ctx.body.at("edge"), "exclude、include、undetermined")
    branches: list[tuple[Node, Node]] = []
    group = ctx.body.get("min_group")
    if group is not None:
        if not isinstance(group, Mapping):
            raise PackError("min_group 写作 {size: 5, below: 合并评定}", ctx.body.at("min_group"))
        branches.append(
            (_compare(size, "<", ctx.number(group["size"])), text(str(group.get("below", "不排名"))))
        )
    for name, count in (ctx.body.get("last") or {}).items():
        branches.append((_compare(bottom, "<=", ctx.number(count)), text(name)))
    default: Node = text("已排名")
    for at, (name, cut) in enumerate(bands):
        if at == len(bands) - 1 and (ctx.body.get("shares") or {}).get(name) in ("rest", "其余"):
            default = text(name)
            break
        if edge == "include":
            branches.append((_compare(place, "<=", cut), text(name)))
        else:
            if edge == "undetermined":
                across = both(_compare(place, "<=", cut), _compare(end, ">", cut))
                branches.append((across, text("同分待定")))
            branches.append((_compare(end, "<=", cut), text(name)))
    if bands and default == text("已排名"):
        default = text(bands[-1][0] if _whole(ctx, bands) else "未入围")
    return choose(*branches, default=default)


def _whole(ctx: Context, bands: list[tuple[str, Node]]) -> bool:
    """Whether the shares cover everybody."""
    total = Fraction(0)
    for value in (ctx.body.get("shares") or {}).values():
        match = PERCENT.match(str(value).strip()) if isinstance(value, str) else None
        if match is None:
            return value in ("rest", "其余")
        total += Fraction(match[1]) / 100
    return total == 1


# -- quota ---------------------------------------------------------------------------------------------------


@dataclass
class _Want:
    """What a part must reach: the sign, the amount, and whether it is a share of the part above."""

    sign: str
    amount: Node
    share: bool
    written: str


SIGNS = {"at_least": ">=", "at_most": "<=", "exactly": "=", "more_than": ">", "less_than": "<"}
PART = (*SIGNS, "where", "parts", "round", "source", "say", "about", "replace", "note")


def quota(ctx: Context) -> Lowered:
    """职数、名额: how many there are against how many there should be, part by part."""
    ctx.keys("total", "parts", "groups")
    groups = tuple(
        (str(item), ctx.fact(f"组{at}", ctx.any(item)))
        for at, item in enumerate(ctx.body.get("groups") or (), 1)
    )
    lowered = Lowered(text("达标"), layout="groups", groups=list(groups))
    keys = tuple(node for _, node in groups)
    inside = ctx.fact("范围", ctx.where)
    base = _have(ctx, inside, keys, "总数")
    if ctx.body.get("total") is not None:
        spec = ctx.body["total"]
        if not isinstance(spec, Mapping):
            raise PackError("total 写作 {exactly: 260} 或 {at_most: 核定职数}", ctx.body.at("total"))
        _measure(ctx, "合计", spec, base, base, inside, keys, lowered)
    for name, spec in ctx.mapping("parts", False).items():
        _quota_part(ctx, name, spec, inside, base, keys, lowered)
    if not lowered.parts:
        raise PackError(f"规则“{ctx.policy.name}”要写 total: 或 parts:", ctx.policy.place)
    lowered.outcome = within_population(ctx, text("计入"))
    lowered.asked = [ctx.where]
    return lowered


def _have(ctx: Context, member: Node, keys: tuple[Node, ...], label: str) -> Node:
    one = choose((missing(member), Const(None, NUM)), (member, number(1)), default=number(0))
    return ctx.fact(f"实有:{label}", ctx.window("total", ctx.fact(f"计数:{label}", one), None, keys))


def _quota_part(
    ctx: Context,
    name: str,
    spec: Any,
    inside: Node,
    base: Node,
    keys: tuple[Node, ...],
    lowered: Lowered,
    path: str = "",
) -> None:
    if not isinstance(spec, Mapping) or spec.get("where") is None:
        raise PackError(
            f"部分“{name}”要写 where: 和 at_least / at_most / exactly", place_of(spec, ctx.policy.place)
        )
    check_keys(spec, PART, f"部分“{name}”")
    label = f"{path}{name}"
    member = ctx.fact(f"部分:{label}", both(inside, ctx.condition(spec["where"])))
    have = _have(ctx, member, keys, label)
    if any(spec.get(key) is not None for key in SIGNS):
        _measure(ctx, label, spec, have, base, member, keys, lowered)
    for key, inner in (spec.get("parts") or {}).items():
        _quota_part(ctx, key, inner, member, have, keys, lowered, f"{label}·")


def _measure(
    ctx: Context,
    label: str,
    spec: Mapping,
    have: Node,
    base: Node,
    member: Node,
    keys: tuple[Node, ...],
    lowered: Lowered,
) -> None:
    wants = [_want(ctx, spec, key, keys, label) for key in SIGNS if spec.get(key) is not None]
    if not wants:
        raise PackError(f"“{label}”要写 at_least、at_most 或 exactly", spec.place)
    for want in wants:
        goal = want.amount
        if want.share:
            exact = Op("mul", (base, want.amount), NUM)
            mode = str(spec.get("round") or ("up" if want.sign in (">=", ">") else "down"))
            goal = Op("round", (exact,), NUM, (0, {"up": "up", "down": "down", "half_up": "half_up"}[mode]))
            met = _compare(have, want.sign, goal) if spec.get("round") else _compare(have, want.sign, exact)
        else:
            met = _compare(have, want.sign, goal)
        short = (
            TRUE
            if want.sign in (">=", ">")
            else FALSE
            if want.sign in ("<=", "<")
            else _compare(have, "<", goal)
        )
        outcome = choose(
            (missing(met), text(UNDECIDED)), (met, text("达标")), (short, text("不足")), default=text("超出")
        )
        shown = label if len(wants) == 1 else f"{label}（{want.written}）"
        lowered.parts.append(
            (
                shown,
                {"实有": have, "应有": goal, "差额": Op("sub", (have, goal), NUM), "结果": outcome},
                want.sign,
            )
        )
        lowered.clauses.append(
            Clause(shown, met, want.written, tuple(sources(spec)), str(spec.get("say", "")), "must", "part")
        )


def _want(ctx: Context, spec: Mapping, key: str, keys: tuple[Node, ...], label: str) -> _Want:
    value = spec[key]
    words = {
        "at_least": "不少于",
        "at_most": "不超过",
        "exactly": "正好",
        "more_than": "超过",
        "less_than": "少于",
    }
    written = f"{words[key]} {value}"
    match = PERCENT.match(value.strip()) if isinstance(value, str) else None
    if match:
        return _Want(SIGNS[key], number(Fraction(match[1]) / 100), True, written)
    if isinstance(value, Fraction):
        return _Want(SIGNS[key], number(value), True, written)
    node = ctx.number(value)
    if isinstance(node, Op) and node.op == "div" and all(isinstance(arg, Const) for arg in node.args):
        return _Want(SIGNS[key], number(ctx.constant(value, key)), True, written)
    if not isinstance(node, Const):
        node = ctx.window("highest", ctx.fact(f"应有值:{label}", node), None, keys)
    return _Want(SIGNS[key], node, False, written)


__all__ = ["TEXT", "quota", "rank"]
