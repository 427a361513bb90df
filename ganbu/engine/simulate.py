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
    one = {str(row["对象"]): row for row in evaluate(pack, store, as_of, [policy], known_at).rows(policy)}
    two = {
        str(row["对象"]): row
        for row in evaluate(against, store, as_of, [other], known_at, parameters).rows(other)
    }
    changes, moves, groups = [], Counter(), {}  # type: ignore[var-annotated]
    for key in [*one, *(k for k in two if k not in one)]:
        before, after = one.get(key), two.get(key)
        was, now = (str(row["结果"]) if row else NOBODY for row in (before, after))
        old, new = (row.get("数值") if row else None for row in (before, after))
        if was == now and old == new:
            continue
        known = after or before or {}
        group = str(known.get(by, "")) if by else ""
        changes.append(Change(key, str(known.get("名称", key)), was, now, old, new, group))
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


def _counted(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return dict(Counter(str(row["结果"]) for row in rows.values()).most_common())
