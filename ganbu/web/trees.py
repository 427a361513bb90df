"""The unit tree as pages ask for it (机构树): kept for today, made for any other day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import OuterRef, QuerySet

from ganbu.access.perms import Scope
from ganbu.records import queries
from ganbu.records.asof import sitting, tree_on
from ganbu.records.models import Seat, UnitNode
from ganbu.web.asof import AsOf

MOST_BELOW = 200  # units shown at once on one level; the rest are found by name


class Today:
    """The units inside a scope, as they are."""

    def __init__(self, scope: Scope) -> None:
        self.nodes = queries.visible_units(scope)

    def named(self, text: str) -> QuerySet[UnitNode]:
        """Those with a text in their name."""
        return self.nodes.filter(name__contains=text).order_by("place")

    def top(self) -> list[UnitNode]:
        """The highest level that may be seen."""
        depth = self.nodes.order_by("depth").values_list("depth", flat=True).first() or 0
        return list(self.nodes.filter(depth=depth).order_by("place")[:MOST_BELOW])

    def get(self, unit: str) -> UnitNode | None:
        """One of them."""
        return self.nodes.filter(unit=unit).first()

    def below(self, node: UnitNode) -> list[UnitNode]:
        """The level below one."""
        return list(node.children.order_by("place")[:MOST_BELOW])

    def above(self, node: UnitNode) -> list[UnitNode]:
        """The way down to one."""
        return list(UnitNode.objects.filter(pk__in=node.path.strip("/").split("/")[:-1]).order_by("depth"))

    def parents(self, nodes: Sequence[UnitNode]) -> set[str]:
        """Which of some have others below them."""
        return set(UnitNode.objects.filter(parent__in=nodes).values_list("parent__unit", flat=True))

    def seats(self, node: UnitNode) -> QuerySet[Any]:
        """The posts that the person of a card has in one or below it."""
        return Seat.objects.filter(card=OuterRef("pk"), node__path__startswith=node.path)


class Then:
    """The units inside a scope as they were on a day; what stood below the units of the scope then is inside it."""

    def __init__(self, scope: Scope, when: AsOf) -> None:
        self.when, self.tree = when, tree_on(when.day, when.moment)
        whole = any(not part.unit for part in scope.parts)
        self.nodes = (
            list(self.tree.nodes.values()) if whole else self.tree.under(part.unit for part in scope.parts)
        )

    def named(self, text: str) -> list[UnitNode]:
        """Those with a text in their name."""
        return [node for node in self.nodes if text in node.name]

    def top(self) -> list[UnitNode]:
        """The highest level that may be seen."""
        depth = min((node.depth for node in self.nodes), default=0)
        return [node for node in self.nodes if node.depth == depth][:MOST_BELOW]

    def get(self, unit: str) -> UnitNode | None:
        """One of them."""
        return next((node for node in self.nodes if node.unit == unit), None)

    def below(self, node: UnitNode) -> list[UnitNode]:
        """The level below one."""
        return self.tree.below.get(node.unit, [])[:MOST_BELOW]

    def above(self, node: UnitNode) -> list[UnitNode]:
        """The way down to one."""
        return self.tree.way(node.unit)

    def parents(self, nodes: Sequence[UnitNode]) -> set[str]:
        """Which of some have others below them."""
        return {node.unit for node in nodes if self.tree.below.get(node.unit)}

    def seats(self, node: UnitNode) -> QuerySet[Any]:
        """The posts that the person of a card had in one or below it."""
        inside = [one.unit for one in self.tree.under([node.unit])]
        held = sitting(self.when.day, self.when.moment)
        return held.filter(queries.one_of("f_unit", inside), f_person=OuterRef("pk"))


def units_of(scope: Scope, when: AsOf | None = None) -> Today | Then:
    """The units inside a scope on the day a page looks from, or today."""
    return Then(scope, when) if when and when.dated else Today(scope)
