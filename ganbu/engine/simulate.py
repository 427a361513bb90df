"""Simulating (试算): two versions of a policy over the same people: who changes, how, and how many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from ganbu.engine.policy import Pack
from ganbu.engine.records import Records
from ganbu.engine.run import Store, evaluate
from ganbu.errors import PackError, nearest

NOBODY = "不适用"


@dataclass(frozen=True)
class Change:
    """One subject whose outcome or value differs (变化)."""

    subject: str
    name: str
    before: str
    after: str
    value_before: Any
    value_after: Any
    group: str = ""


@dataclass(frozen=True)
class Simulation:
    """The comparison (试算结果): totals before and after, the moves between outcomes, and who moved."""

    policy: str
    against: str
    before: dict[str, int]
    after: dict[str, int]
    moves: dict[tuple[str, str], int]
    groups: dict[str, dict[tuple[str, str], int]]
    changes: list[Change]


def simulate(
    pack: Pack, policy: str, against: Pack, records: Records | Store, as_of: date, known_at: str = "", by: str = "",
    parameters: Mapping[str, Mapping[str, Any]] | None = None, against_policy: str = "",
) -> Simulation:  # fmt: skip
    """Run `policy` of `pack` and of `against` over the same records.

    `by` is an expression column shown by both (`show:`) to total by; the policy of the same name is compared unless
    `against_policy` names another. Raises PackError.
    """
    other = against_policy or policy
    if other not in against.reach:
        raise PackError(f"对照的规则包里没有规则“{other}”", hint=nearest(other, against.reach))
    store = records if isinstance(records, Store) else Store(records)
    runs = (
        (evaluate(pack, store, as_of, [policy], known_at), policy),
        (evaluate(against, store, as_of, [other], known_at, parameters), other),
    )
    one, two = (keyed(run.rows(name), run.evaluator.judge(name).lowered.layout) for run, name in runs)
    changes, moves, groups = [], Counter(), {}  # type: ignore[var-annotated]
    for key in [*one, *(k for k in two if k not in one)]:
        before, after = one.get(key), two.get(key)
        was, now = (_outcome(row) for row in (before, after))
        old, new = (_value(row) for row in (before, after))
        if was == now and old == new:
            continue
        known = after or before or {}
        group = str(known.get(by, "")) if by else ""
        changes.append(Change(key, str(known.get("名称") or key), was, now, old, new, group))
        moves[was, now] += 1
        groups.setdefault(group, Counter())[was, now] += 1
    return Simulation(
        policy,
        against.name,
        _counted(one),
        _counted(two),
        dict(moves.most_common()),
        {g: dict(c) for g, c in groups.items()},
        changes,
    )


def keyed(rows: list[dict[str, Any]], layout: str) -> dict[str, dict[str, Any]]:
    """Findings by what they are about: a subject, a part of a group, or one of several effects on a person."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = str(row["对象"])
        if layout == "groups":
            key = f"{key}/{row['名称']}"
        elif layout == "effects":
            key = f"{key}/{row['后果']}"
            key += f"/{sum(other.startswith(key) for other in found) + 1}" if key in found else ""
        found[key] = row
    return found


def _outcome(row: dict[str, Any] | None) -> str:
    if row is None:
        return NOBODY
    if "后果" in row:
        return f"{row['结果']} {row['起始日'] or ''}—{row['截止日'] or ''}"
    return str(row["结果"])


def _value(row: dict[str, Any] | None) -> Any:
    return None if row is None else row.get("数值", row.get("差额"))


def _counted(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return dict(Counter(str(row["结果"]) for row in rows.values()).most_common())
