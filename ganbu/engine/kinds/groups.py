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
REST = ("rest", "其余")
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
    breakers = _tie_breakers(ctx)
    order = ((value, str(ctx.body.get("order", "desc")) != "asc"), *breakers)
    groups = tuple(
        ctx.fact(f"组{at}", ctx.any(item)) for at, item in enumerate(ctx.body.get("groups") or (), 1)
    )
    among = ctx.condition(ctx.body["among"]) if ctx.body.get("among") is not None else TRUE
    aside = ctx.condition(ctx.body["off_quota"]) if ctx.body.get("off_quota") is not None else FALSE
    automatic = ctx.clauses("automatic", "automatic", ("counts",)) if ctx.body.get("automatic") else []
    grants = [(clause, spec.get("counts", True) not in (False, "否")) for clause, spec in automatic]
    ties = str(ctx.body.get("ties", "min"))
    if ties not in ("min", "dense", "row"):
        raise PackError(f"ties “{ties}”无效", ctx.body.at("ties"), "min、dense、row")
    # The base of the shares: everybody who is assessed here, granted or not, known or not; not the track aside.
    based = ctx.fact(
        "基数",
        both(holds(ctx.where), holds(among), negate(holds(aside)), *(negate(missing(g)) for g in groups)),
    )
    granted = ctx.fact("直接给", either(*(holds(clause.node) for clause, _ in grants))) if grants else FALSE
    competing = ctx.fact("参加", both(based, negate(granted))) if grants else based
    size = ctx.window("size", None, based, groups)
    seats = _Seats(ctx, competing, groups, value, order, ties)
    shown = seats if not grants else _Seats(ctx, based, groups, value, order, ties)
    bands = _bands(ctx, size, {c.name: _granted(ctx, c, based, groups) for c, counts in grants if counts})
    outcome = _outcome(ctx, seats, bands, size)
    # What is not known of a person, so that neither a place nor a grant can be told.
    tied = (
        Op(
            "and",
            (either(*(missing(node) for node, _ in breakers)), _compare(seats.first_ties(), ">", number(1))),
            BOOL,
        )
        if breakers
        else FALSE
    )
    open_ = either(
        missing(value),
        missing(aside),
        *(missing(g) for g in groups),
        *(missing(c.node) for c, _ in grants),
        tied,
    )
    branches: list[tuple[Node, Node]] = [
        (fails(among), text("不参加")),
        (missing(among), text(UNDECIDED)),
        *((holds(clause.node), text(clause.name)) for clause, _ in grants),
        (holds(aside), text("单列")),
        (open_, text(UNDECIDED)),
    ]
    outcome = choose(*branches, default=outcome)
    unsure = ctx.fact(
        "未定",
        choose(
            (
                both(
                    negate(fails(ctx.where)),
                    negate(fails(among)),
                    either(missing(ctx.where), missing(among), both(negate(granted), open_)),
                ),
                number(1),
            ),
            default=number(0),
        ),
    )
    peers = ctx.window("total", unsure, None, groups)
    lowered = Lowered(
        within_population(ctx, outcome),
        value=value,
        due=NEVER,
        clauses=[
            Clause("排名依据", value, str(ctx.body["value"]), (), "", "must", "value"),
            *(clause for clause, _ in automatic),
        ],
        grounds=[(f"{clause.name}：{clause.label}", holds(clause.node)) for clause, _ in automatic],
        doubts=[
            (
                "同组有人未定，名次与名额可能变动",
                both(competing, negate(open_), _compare(peers, ">", number(0))),
            )
        ],
        asked=[
            ctx.where,
            among,
            value,
            aside,
            *groups,
            *(c.node for c, _ in grants),
            *(node for node, _ in breakers),
        ],
    )
    lowered.extras = {"名次": shown.place, "组内人数": size, "倒数名次": ctx.fact("倒数", shown.bottom)}
    if bands:
        each: list[tuple[Node, Node]] = []
        for at, (name, cut) in enumerate(bands):
            below = bands[at - 1][1] if at else number(0)
            each.append((_compare(outcome, "=", text(name)), Op("sub", (cut, below), NUM)))
        lowered.extras["名额"] = choose(*each, default=Const(None, NUM))
    return lowered


class _Seats:
    """Places of those who compete, with what stands at the edges: ties and the place from the end."""

    def __init__(
        self,
        ctx: Context,
        among: Node,
        groups: tuple[Node, ...],
        value: Node,
        order: tuple[tuple[Node, bool], ...],
        ties: str,
    ) -> None:
        self.ctx, self.among, self.groups, self.value, self.order = ctx, among, groups, value, order
        self.place = ctx.window("place", value, among, groups, order, ties=ties)
        self.strict = (
            self.place if ties != "dense" else ctx.window("place", value, among, groups, order, ties="min")
        )
        self.size = ctx.window("seated", value, among, groups, order, ties=ties)
        tied = number(1) if ties == "row" else ctx.window("ties", value, among, groups, order, ties=ties)
        self.end = Op("sub", (Op("add", (self.strict, tied), NUM), number(1)), NUM)
        self.bottom = Op("add", (Op("sub", (self.size, self.end), NUM), number(1)), NUM)

    def first_ties(self) -> Node:
        """How many share the same value before anything else decides."""
        return self.ctx.window("ties", self.value, self.among, self.groups, self.order[:1], ties="min")


def _granted(ctx: Context, clause: Clause, based: Node, groups: tuple[Node, ...]) -> Node:
    """How many seats of a band are taken by grants."""
    one = ctx.fact(
        f"占:{clause.name}", choose((both(based, holds(clause.node)), number(1)), default=number(0))
    )
    return ctx.window("total", one, None, groups)


def _tie_breakers(ctx: Context) -> list[tuple[Node, bool]]:
    found = []
    for at, item in enumerate(ctx.body.get("then") or (), 1):
        spec = item if isinstance(item, Mapping) else {"value": item}
        found.append(
            (ctx.fact(f"再比{at}", ctx.number(spec["value"])), str(spec.get("order", "desc")) != "asc")
        )
    return found


def _bands(ctx: Context, size: Node, granted: dict[str, Node]) -> list[tuple[str, Node]]:
    """Each band with its cut: the last place among those who compete that still belongs to it.

    `shares` are shares of the base, `counts` numbers of seats; seats already granted are taken off.
    """
    rule = str(ctx.body.get("round", "down"))
    if rule not in ROUNDINGS:
        raise PackError(f"round “{rule}”无效", ctx.body.at("round"), "、".join(ROUNDINGS))
    shares: dict[str, Fraction] = {}
    seats: dict[str, Node | None] = {}
    for name, value in (ctx.body.get("counts") or {}).items():
        seats[name] = None if value in REST else ctx.number(value)
    for name, value in (ctx.body.get("shares") or {}).items():
        if value in REST:
            seats[name] = None
            continue
        node = _share(ctx, value)
        if isinstance(node, Const) and isinstance(node.value, Fraction):
            if node.value > 1:
                raise PackError(f"shares 的“{name}”应写作 20% 或 0.2", ctx.body["shares"].at(name))
            shares[name] = node.value
        exact = Op("mul", (size, node), NUM)
        seats[name] = Op("round", (exact,), NUM, (0, "down" if rule == "largest_remainder" else rule))
    if sum(shares.values(), Fraction(0)) > 1:
        raise PackError("shares 合计超过 100%", ctx.body.at("shares"))
    if rule == "largest_remainder":
        if sum(shares.values(), Fraction(0)) != 1 or len(shares) != len(seats):
            raise PackError("largest_remainder 要求各档合计正好 100%，且没有 rest", ctx.body.at("round"))
        seats = _largest_remainder(size, shares, seats)
    for name, taken in granted.items():
        held = seats.get(name)
        if held is not None:
            seats[name] = Op("greatest", (Op("sub", (held, taken), NUM), number(0)), NUM)
    given = _add(list(granted.values())) if granted else number(0)
    left = Op("sub", (size, given), NUM) if granted else size
    cuts: list[tuple[str, Node]] = []
    used: list[Node] = []
    for at, (name, seat) in enumerate(seats.items()):
        if seat is None:
            # The rest runs to where the bands after it begin, counted from the end.
            after = [node for node in list(seats.values())[at + 1 :] if node is not None]
            cut: Node = Op("sub", (left, _add(after)), NUM) if after else left
            used = [cut]
        else:
            used.append(seat)
            cut = Op("least", (_add(used), left), NUM)
        cuts.append((name, ctx.fact(f"截止:{name}", cut)))
    return cuts


def _share(ctx: Context, value: Any) -> Node:
    """A share as written: 20%, 0.2, 1/5, or an expression that gives one."""
    match = PERCENT.match(value.strip()) if isinstance(value, str) else None
    if match:
        return number(Fraction(match[1]) / 100)
    node = ctx.number(value)
    if isinstance(node, Op) and node.op == "div" and all(isinstance(arg, Const) for arg in node.args):
        return number(ctx.constant(value, "shares"))
    return node


def _largest_remainder(
    size: Node, shares: dict[str, Fraction], floors: dict[str, Node | None]
) -> dict[str, Node | None]:
    """Seats left after rounding down go one each to the largest remainders; where equal ones compete nobody knows."""
    names = list(shares)
    rest = {
        name: Op("sub", (Op("mul", (size, number(shares[name])), NUM), floors[name] or number(0)), NUM)
        for name in names
    }
    left = Op("sub", (size, _add([floors[name] or number(0) for name in names])), NUM)

    def counted(name: str, sign: str) -> Node:
        ones = [
            choose((_compare(rest[other], sign, rest[name]), number(1)), default=number(0))
            for other in names
            if other != name
        ]
        return _add(ones) if ones else number(0)

    result: dict[str, Node | None] = {}
    for name in names:
        extra = choose(
            (_compare(counted(name, ">="), "<", left), number(1)),
            (_compare(counted(name, ">"), ">=", left), number(0)),
            default=Const(None, NUM),
        )
        result[name] = Op("add", (floors[name] or number(0), extra), NUM)
    return result


def _outcome(ctx: Context, seats: _Seats, bands: list[tuple[str, Node]], size: Node) -> Node:
    edge = str(ctx.body.get("edge", "exclude"))
    if edge not in ("exclude", "include", "undetermined"):
        raise PackError(f"edge “{edge}”无效", ctx.body.at("edge"), "exclude、include、undetermined")
    branches: list[tuple[Node, Node]] = []
    group = ctx.body.get("min_group")
    if group is not None:
        if not isinstance(group, Mapping) or group.get("size") is None:
            raise PackError("min_group 写作 {size: 5, below: 合并评定}", ctx.body.at("min_group"))
        check_keys(group, ("size", "below"), "min_group ")
        branches.append(
            (_compare(size, "<", ctx.number(group["size"])), text(str(group.get("below", "不排名"))))
        )
    for name, count in ctx.mapping("last", False).items():
        branches.append((_compare(seats.bottom, "<=", ctx.number(count)), text(name)))
    default: Node = text("已排名")
    for at, (name, cut) in enumerate(bands):
        if at == len(bands) - 1 and (ctx.body.get("shares") or {}).get(name) in REST:
            default = text(name)
            break
        branches.append((missing(cut), text(UNDECIDED)))
        if edge == "include":
            branches.append((_compare(seats.strict, "<=", cut), text(name)))
        else:
            if edge == "undetermined":
                across = both(_compare(seats.strict, "<=", cut), _compare(seats.end, ">", cut))
                branches.append((across, text("同分待定")))
            branches.append((_compare(seats.end, "<=", cut), text(name)))
    if bands and default == text("已排名"):
        default = text(bands[-1][0] if _whole(ctx, bands) else "未入围")
    return choose(*branches, default=default)


def _whole(ctx: Context, bands: list[tuple[str, Node]]) -> bool:
    """Whether the shares cover everybody."""
    total = Fraction(0)
    for value in (ctx.body.get("shares") or {}).values():
        match = PERCENT.match(str(value).strip()) if isinstance(value, str) else None
        if match is None:
            return value in REST
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
    lowered.asked.append(ctx.where)
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
    lowered.asked.append(member)
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
            if mode not in ("up", "down", "half_up"):
                raise PackError(f"round “{mode}”无效", spec.at("round"), "up、down、half_up")
            goal = Op("round", (exact,), NUM, (0, mode))
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
    given = ctx.values.get(value) if isinstance(value, str) else None
    if isinstance(given, str) and PERCENT.match(given.strip()):
        return _Want(SIGNS[key], ctx.number(value), True, f"{words[key]} {given}")
    node = ctx.number(value)
    if isinstance(node, Op) and node.op == "div" and all(isinstance(arg, Const) for arg in node.args):
        return _Want(SIGNS[key], number(ctx.constant(value, key)), True, written)
    if not isinstance(node, Const):
        goal = ctx.fact(f"应有值:{label}·{key}", node)
        low, high = (ctx.window(fn, goal, None, keys) for fn in ("lowest", "highest"))
        # What should be one number for the group and is several cannot be told.
        node = choose((_compare(low, "=", high), high), default=Const(None, NUM))
    return _Want(SIGNS[key], node, False, written)


__all__ = ["TEXT", "quota", "rank"]
