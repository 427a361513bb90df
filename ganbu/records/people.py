"""Acts upon whole people (人员): finding those who are probably one, and merging them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Substr

from ganbu.access import audit
from ganbu.access.models import Account, AuditEntry
from ganbu.errors import RecordsError
from ganbu.records.models import MODELS, Card, Change, LocalRow, Request, field_name
from ganbu.records.queries import portrait
from ganbu.records.writing import Writing, all_registers, current_row, row_values, undo, writing
from ganbu.vocabulary import Register

FOLLOWERS: dict[str, type[Account] | type[Request]] = {"accounts": Account, "requests": Request}


@dataclass(frozen=True)
class Alike:
    """People who are probably one (疑似重复), the most complete first."""

    why: str
    cards: list[Card]


def alike(cards: QuerySet[Card], most: int = 100) -> list[Alike]:
    """Those of the same number, then those of the same name, sex and month of birth; four statements in all."""
    found: list[Alike] = []
    seen: set[frozenset[str]] = set()
    plain = cards.order_by().select_related(None)
    marks = plain.exclude(number_mark="").values("number_mark").annotate(n=Count("pk")).filter(n__gt=1)
    for of in _grouped(cards.filter(number_mark__in=[row["number_mark"] for row in marks[:most]]), lambda c: c.number_mark):  # fmt: skip
        _note(found, seen, "身份证号相同", of)
    dated = plain.exclude(birth="").annotate(month=Substr("birth", 1, 7))
    pairs = dated.values("name", "sex", "month").annotate(n=Count("pk")).filter(n__gt=1).order_by("name")
    alike_pairs = {(row["name"], row["sex"], row["month"]) for row in pairs[:most]}
    named = cards.exclude(birth="").filter(name__in={name for name, _sex, _month in alike_pairs})
    for of in _grouped(named, lambda c: (c.name, c.sex, c.birth[:7])):
        first = of[0]
        if (first.name, first.sex, first.birth[:7]) in alike_pairs and len({c.number_mark for c in of if c.number_mark}) < 2:  # fmt: skip
            _note(found, seen, "姓名、性别、出生年月相同", of)
    return found[:most]


def _grouped(cards: Iterable[Card], key: Callable[[Card], Any]) -> list[list[Card]]:
    groups: dict[Any, list[Card]] = {}
    for card in cards:
        groups.setdefault(key(card), []).append(card)
    return [of for of in groups.values() if len(of) > 1]


def _note(found: list[Alike], seen: set[frozenset[str]], why: str, cards: Iterable[Card]) -> None:
    group = sorted(cards, key=lambda card: (-card.completeness, card.pk))
    key = frozenset(card.pk for card in group)
    if len(group) > 1 and key not in seen:
        seen.add(key)
        found.append(Alike(why, group))


def merge_people(keep: str, gone: list[str], reason: str) -> Change:
    """Make several people one (合并): rows of those gone pass to the one kept, who gets what they had and it lacked.

    One change, so that `undo` brings everybody back. Raises RecordsError.
    """
    register = all_registers()["person"]
    kept = current_row(register, keep)
    if kept is None or not gone or keep in gone:
        raise RecordsError("请选一个保留的人，和至少一个并入的人")
    names = "、".join(gone)
    with writing("merge", reason or f"{names} 并入 {keep}", origin=f"{keep} ← {names}") as act:
        values = row_values(register, kept)
        for one in gone:
            row = current_row(register, one)
            if row is None:
                raise RecordsError(f"没有 {one} 这个人")
            values = {**row_values(register, row), **values}
            for other in all_registers().values():
                _pass_on(act, other, one, keep)
            act.supersede(register, [row])
            photo = None if portrait(keep) else portrait(one)
            if photo is not None:
                act.photo(keep, bytes(photo.image), photo.kind)
        follow(act.change, gone, keep)
        values[register.id_field] = keep
        if values != row_values(register, kept):
            act.correct(register, keep, values)
    return act.change


def follow(change: Change, gone: list[str], keep: str) -> None:
    """Accounts and requests of people who were merged go with them; the audit chain keeps whose they were."""
    moved: dict[str, dict[int, str]] = {}
    for kind, model in FOLLOWERS.items():
        rows = model.objects.filter(person__in=gone)
        moved[kind] = dict(rows.values_list("pk", "person"))
        rows.update(person=keep)
    if any(moved.values()):
        audit.append("people.follow", keep, change=change.pk, moved=moved)


def unfollow(change: Change) -> None:
    """They go back when the merge is undone, those that nobody gave to somebody else meanwhile."""
    for noted in AuditEntry.objects.filter(action="people.follow", detail__change=change.pk):
        for kind, rows in noted.detail["moved"].items():
            for pk, person in rows.items():
                FOLLOWERS[kind].objects.filter(pk=pk, person=noted.subject).update(person=person)


@transaction.atomic
def undo_merge(change: Change, reason: str) -> None:
    """Take a merge back (撤销合并). Raises RecordsError when later work builds on it."""
    undo(change, reason)
    unfollow(change)


def _pass_on(act: Writing, register: Register, gone: str, keep: str) -> None:
    """Every row that names the person who goes, in whichever field, names the one who stays."""
    links = [item.name for item in register.links_to("person")]
    for link in links:
        rows = _rows(register, link, gone)
        if rows:
            fresh = [{**row_values(register, row), link: keep} for row in rows]
            act.supersede(register, rows)
            for row, values in zip(rows, fresh, strict=True):
                act.add(register, [values], row.origin)


def _rows(register: Register, link: str, person: str) -> list[Any]:
    if register.local:
        held = LocalRow.objects.filter(register=register.name, superseded_at__isnull=True)
        if link == register.subject_field:
            return list(held.filter(subject=person))
        return [row for row in held.iterator() if row.values.get(link) == person]
    model: Any = MODELS[register.name]
    return list(model.objects.filter(**{field_name(link): person, "superseded_at__isnull": True}))
