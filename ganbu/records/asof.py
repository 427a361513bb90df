"""The record on a day (看哪一天): who held which post, what units there were, by what was known at a moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Value, When, Window
from django.db.models.functions import RowNumber

from ganbu.records.cards import NEEDED, Row, arranged, card_of, partial
from ganbu.records.models import MODELS, Card, Change, UnitNode
from ganbu.records.snapshot import snapshot


def known_at(moment: datetime | None) -> Q:
    """That a row was known at a moment; for none, that it is known now."""
    if moment is None:
        return Q(superseded_at__isnull=True)
    return Q(recorded_at__lte=moment) & (Q(superseded_at__isnull=True) | Q(superseded_at__gt=moment))


def begun(field: str, day: date) -> Q:
    """That a date had come by a day; one of which only the year or month is known is the first day of it."""
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__lte": day.isoformat()})


def lasting(field: str, day: date) -> Q:
    """That an end had not come by a day; one of which only the year or month is known is the last day of it."""
    told = day.isoformat()
    vague = {told[:4]} if told[5:] != "12-31" else set()
    vague |= {told[:7]} if (day + timedelta(days=1)).month == day.month else set()
    open_ = Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gt": told})
    return open_ | Q(**{f"{field}__in": vague})


def sitting(day: date, moment: datetime | None = None) -> QuerySet[Any]:
    """The posts held on a day, by what is known now or was known at a moment (当日在任)."""
    appointment: Any = MODELS["appointment"]
    found: QuerySet[Any] = appointment.objects.filter(
        known_at(moment), begun("f_start_date", day), lasting("f_end_date", day)
    )
    return found


def at_work(cards: QuerySet[Card], day: date, moment: datetime | None = None) -> QuerySet[Card]:
    """Those of some people who were known at a moment and had begun to work by a day (当日已参加工作)."""
    person: Any = MODELS["person"]
    rows = person.objects.filter(known_at(moment), begun("f_work_start", day), begun("f_birth_date", day))
    return cards.filter(Exists(rows.filter(f_person_id=OuterRef("pk"))))


# -- units ------------------------------------------------------------------------------------------------------


class Tree:
    """The units of a day (当日机构树), from the top down, each with the number of people whose main post was there; none is stored."""

    def __init__(self, day: date, moment: datetime | None) -> None:
        unit: Any = MODELS["unit"]
        rows = unit.objects.filter(
            known_at(moment), begun("f_founded_on", day), lasting("f_abolished_on", day)
        )
        told = {
            key: {"name": name, "parent": parent}
            for key, name, parent in rows.order_by("row").values_list("f_unit_id", "f_name", "f_parent")
        }
        self.nodes: dict[str, UnitNode] = {}
        self.above: dict[str, str] = {}
        self.below: dict[str, list[UnitNode]] = defaultdict(list)
        people = _people(day, moment)
        for place, (key, above) in enumerate(arranged(told)):
            depth = self.nodes[above].depth + 1 if above else 0
            name = str(told[key]["name"] or key)[:300]
            node = UnitNode(unit=key, name=name, depth=depth, place=place, people=people[key], people_under=people[key])  # fmt: skip
            self.nodes[key], self.above[key] = node, above
            self.below[above].append(node)
        for key in reversed(self.nodes):
            if above := self.above[key]:
                self.nodes[above].people_under += self.nodes[key].people_under

    def way(self, unit: str) -> list[UnitNode]:
        """The units above one, from the top."""
        found: list[UnitNode] = []
        while unit := self.above.get(unit, ""):
            found.insert(0, self.nodes[unit])
        return found

    def under(self, tops: Iterable[str]) -> list[UnitNode]:
        """Some units and everything below them, in the order of the tree."""
        wanted = set(tops)
        for key, above in self.above.items():
            if above in wanted:
                wanted.add(key)
        return [node for key, node in self.nodes.items() if key in wanted]


def _people(day: date, moment: datetime | None) -> Counter[str]:
    """How many people had their main post in each unit; of several or none so marked, the one held longest."""
    rank = Window(
        RowNumber(),
        partition_by="f_person",
        order_by=[Case(When(f_main=True, then=Value(0)), default=Value(1)), "f_start_date", "row"],
    )
    held = sitting(day, moment).order_by().annotate(nth=rank).filter(nth=1)
    return Counter(str(unit) for unit in held.values_list("f_unit", flat=True))


@lru_cache(maxsize=4)
def _tree(day: date, moment: datetime | None, _change: tuple[int, str] | None) -> Tree:
    return Tree(day, moment)


def tree_on(day: date, moment: datetime | None = None) -> Tree:
    """The units of a day, kept until the record changes."""
    return _tree(day, moment, Change.objects.order_by("-pk").values_list("pk", "digest").first())


# -- cards ------------------------------------------------------------------------------------------------------


def cards_on(people: Iterable[str], day: date, moment: datetime | None = None) -> dict[str, Card]:
    """What lists would have shown of some people on a day, by what was known at a moment (当日卡片); none is stored.

    The post is the one that the appointments tell: the text of the current post is about now.
    """
    chosen = sorted(set(people))
    if not chosen:
        return {}
    found = snapshot(NEEDED, chosen, history=True)
    rows = {
        name: [row for row in found.rows(name) if _known(row, moment) and _finished(row, day)] for name in found.tables
    }  # fmt: skip
    of: dict[str, dict[str, list[Row]]] = {}
    for name in NEEDED[1:]:
        of[name] = defaultdict(list)
        for row in rows.get(name, ()):
            of[name][str(row.get("person"))].append(row)
    nodes = tree_on(day, moment).nodes
    return {
        str(row["person_id"]): card_of(
            str(row["person_id"]), {**row, "current_post_text": None}, of, {}, nodes, (), day
        )[0]
        for row in rows.get("person", ())
    }


def _known(row: Row, moment: datetime | None) -> bool:
    ended = row.get("superseded_at")
    if moment is None:
        return ended is None
    return bool(row["recorded_at"] <= moment) and (ended is None or ended > moment)


def _finished(row: Row, day: date) -> bool:
    """Whether a study had been finished by a day; other rows are asked by their own dates."""
    ended = row.get("end_date") if "school" in row else None
    return not ended or partial(ended).first() <= day
