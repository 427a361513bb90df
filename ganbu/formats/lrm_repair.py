"""Putting back together what the `.lrm` format cannot keep apart (lrm 错位修复): it has no escaping.

Both repairs are the same question: which neighbouring parts belong to one value, when there are more parts than
values. `Grouping` finds the cheapest answers; the two costs say what a field, or a relative's unit, looks like.
The work grows with the cube of the parts, so both callers refuse long lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

FIELD_COUNT = 33
MOST_EXTRA_PARTS = 40
MOST_SLOTS = 60

Cost = Callable[[int, int, int], float]  # of the parts from..to as the group at an index

_DATE_FIELDS = frozenset({2, 8, 30, 32})
_EMPTY_FIELDS = frozenset({12, 13, 14, 15})
_LONG_FIELDS = frozenset({18, 19, 28, 29})
_SEX, _EDUCATION, _RESUME, _FAMILY = 1, (9, 10), 17, range(20, 25)
_DATE = re.compile(r"[\d０-９.．\-/年月日\s]*")
_RESUME_START = re.compile(r"\s*(?:[（(]\s*)?[1１2２][9９0０][\d０-９]{2}")
# A bare post is what stands after the comma of `某局局长，党组书记`; nobody's whole entry begins with it.
_BARE_POST = re.compile(
    "(?:兼任?|副|原|总|常务|党组|党委|党总支|支部|工会|机关|[一二三四]级)*"
    "(?:书记|成员|委员|主席|主任|.{0,2}长|经理|总监|调研员|巡视员|主任科员|科员|职员)"
)


class Grouping:
    """Neighbouring parts in `count` groups, at least one in each, at the least total cost (分组)."""

    def __init__(self, parts: int, count: int, cost: Cost) -> None:
        self.parts, self.count, self.cost = parts, count, cost
        self.before = self._costs(range(count))
        self.after = self._costs_after()

    def _ends(self, index: int, start: int) -> range:
        most = self.parts - self.count + 1
        return range(start + 1, min(start + most, self.parts - (self.count - index - 1)) + 1)

    def _costs(self, indexes: range) -> list[dict[int, float]]:
        """For each index, the cheapest cost of all groups before it by the number of parts they take."""
        best: list[dict[int, float]] = [{0: 0.0}]
        for index in indexes:
            reached: dict[int, float] = {}
            for start, spent in best[-1].items():
                for end in self._ends(index, start):
                    total = spent + self.cost(index, start, end)
                    if total < reached.get(end, float("inf")):
                        reached[end] = total
            best.append(reached)
        return best

    def _costs_after(self) -> list[dict[int, float]]:
        """For each index, the cheapest cost of it and all groups after it by the part it begins at."""
        costs: list[dict[int, float]] = [{self.parts: 0.0}]
        for index in reversed(range(self.count)):
            later = costs[0]
            costs.insert(
                0,
                {
                    start: min(
                        self.cost(index, start, end) + later[end]
                        for end in self._ends(index, start)
                        if end in later
                    )
                    for start in self.before[index]
                },
            )
        return costs

    def best(self, index: int) -> Iterator[tuple[int, int]]:
        """The groups at this index that are in some cheapest answer."""
        least = self.before[-1][self.parts]
        for start, spent in self.before[index].items():
            for end in self._ends(index, start):
                total = spent + self.cost(index, start, end) + self.after[index + 1].get(end, float("inf"))
                if abs(total - least) < 1e-9:
                    yield start, end

    def first(self) -> list[tuple[int, int]]:
        """One cheapest answer: of equal ones, that with the shorter groups first."""
        groups, start = list[tuple[int, int]](), 0
        for index in range(self.count):
            end = min(end for begin, end in self.best(index) if begin == start)
            groups.append((start, end))
            start = end
        return groups


def regroup_fields(parts: Sequence[str]) -> list[Sequence[str]]:
    """The parts of an `.lrm` record as its 33 fields (字段重新拼接): anchored on what has a fixed look."""
    date = [bool(_DATE.fullmatch(part)) for part in parts]
    blank = [not part.strip() for part in parts]
    sex = [part.strip() in ("男", "女", "1", "2", "") for part in parts]
    slots = list(accumulate(("@" in part for part in parts), initial=0))
    resume = [bool(_RESUME_START.match(part)) for part in parts]

    def cost(index: int, start: int, end: int) -> float:
        extra = end - start - 1
        if index in _DATE_FIELDS:
            return 0 if not extra and date[start] else 20 + extra
        if index in _EMPTY_FIELDS:
            return 0 if not extra and blank[start] else 20
        if index == _SEX:
            return 0 if not extra and sex[start] else 20
        if index in _EDUCATION or index in _FAMILY:
            empty = not extra and not parts[start]
            return (0 if empty or slots[end] > slots[start] else 4) + 3 * extra
        if index == _RESUME:
            return (0 if resume[start] or (not extra and blank[start]) else 4) + extra
        return extra * (1.5 if index in _LONG_FIELDS else 2)

    return [parts[start:end] for start, end in Grouping(len(parts), FIELD_COUNT, cost).first()]


def rejoin_units(units: Sequence[str], slots: int, people: int) -> list[str | None]:
    """The relatives' units cut at their commas, joined again into as many slots as there are 称谓 (单位重新拼接).

    Only what is certain is joined: a bare post goes with the unit before it, and nothing is known about other
    pieces. None where two answers are as good: a unit given to the wrong relative is worse than none.

    >>> rejoin_units(["某县司法局局长", "党组书记", "某县一中教师"], 2, 2)
    ['某县司法局局长,党组书记', '某县一中教师']
    >>> rejoin_units(["某县委办公室", "某县政府办公室", "某县一中教师"], 2, 2)
    [None, None]
    """
    bare = [bool(_BARE_POST.match(unit)) for unit in units]
    filled = list(accumulate((bool(unit) for unit in units), initial=0))

    def cost(index: int, start: int, end: int) -> float:
        beyond = index >= people and filled[end] > filled[start]
        return (20 if beyond else 0) + (10 if bare[start] else 0)

    grouping = Grouping(len(units), slots, cost)
    answers = [
        {",".join(units[start:end]).strip(",") for start, end in grouping.best(index)}
        for index in range(slots)
    ]
    return [next(iter(texts)) if len(texts) == 1 else None for texts in answers]
