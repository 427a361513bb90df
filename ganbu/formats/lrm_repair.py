"""Putting back together what the `.lrm` format cannot keep apart (lrm 错位修复): it has no escaping.

Both repairs are the same question: which neighbouring parts belong to one value, when there are more parts than
values. `regroup` finds the cheapest answer; the two costs say what a field, or a relative's unit, looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

FIELD_COUNT = 33
MOST_EXTRA_PARTS = 40

_DATE_FIELDS = frozenset({2, 8, 30, 32})
_EMPTY_FIELDS = frozenset({12, 13, 14, 15})
_LONG_FIELDS = frozenset({18, 19, 28, 29})
_SEX, _EDUCATION, _RESUME, _FAMILY = 1, (9, 10), 17, range(20, 25)
_DATE = re.compile(r"[\d０-９.．\-/年月日\s]*")
_RESUME_START = re.compile(r"\s*(?:[（(]\s*)?[1１2２][9９0０][\d０-９]{2}")
# Words by which a relative's unit and post begins or is complete by itself, unlike the tail after a comma.
_UNIT = re.compile(
    "省|市|县|区|乡|镇|村|社区|街道|局|厅|委员会|公司|集团|工厂|厂|学校|大学|学院|中学|小学|幼儿园|医院|银行|中心|研究|"
    "部队|法院|检察院|学生|农民|务农|居民|职工|个体|自由职业|无业|待业"
)


def regroup(
    parts: Sequence[str], count: int, cost: Callable[[int, Sequence[str]], float]
) -> list[Sequence[str]]:
    """Neighbouring parts in `count` groups, at least one in each, at the least total cost (分组).

    `cost(index, group)` prices one group in one place; of equal answers the one with the shorter groups first wins.
    """
    most = len(parts) - count + 1
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}  # parts used -> cost so far, ends of the groups
    for index in range(count):
        reached: dict[int, tuple[float, list[int]]] = {}
        for start, (spent, ends) in best.items():
            for end in range(start + 1, min(start + most, len(parts) - (count - index - 1)) + 1):
                total = spent + cost(index, parts[start:end])
                if end not in reached or total < reached[end][0]:
                    reached[end] = (total, [*ends, end])
        best = reached
    ends = best[len(parts)][1]
    return [parts[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def field_cost(index: int, group: Sequence[str]) -> float:
    """How unlike field `index` of an `.lrm` record these parts are (字段代价): anchored on what has a fixed look."""
    text = '","'.join(group)
    extra = len(group) - 1
    if index in _DATE_FIELDS:
        return 0 if not extra and _DATE.fullmatch(text) else 20 + extra
    if index in _EMPTY_FIELDS:
        return 20 if text.strip() else 0
    if index == _SEX:
        return 0 if text.strip() in ("男", "女", "1", "2", "") else 20
    if index in _EDUCATION or index in _FAMILY:
        return (0 if "@" in text or not text else 4) + 3 * extra
    if index == _RESUME:
        return (0 if _RESUME_START.match(text) or not text.strip() else 4) + extra
    return extra * (1.5 if index in _LONG_FIELDS else 2)


def rejoin_units(units: Sequence[str], slots: int, people: int) -> list[str]:
    """A relative's units cut at their commas, joined again into as many slots as there are 称谓 (单位重新拼接).

    >>> rejoin_units(["某县司法局局长", "党组书记", "某县一中教师"], 2, 2)
    ['某县司法局局长,党组书记', '某县一中教师']
    """

    def cost(index: int, group: Sequence[str]) -> float:
        if not any(group):
            return 0.5 * (len(group) - 1)
        beyond = 5 if index >= people else 0
        start = 0 if not group[0] or _UNIT.search(group[0]) else 1
        return beyond + start + sum(3 if _UNIT.search(tail) else 0 if tail else 1 for tail in group[1:])

    return [
        ",".join(group).strip(",") if len(group) > 1 else group[0] for group in regroup(units, slots, cost)
    ]
