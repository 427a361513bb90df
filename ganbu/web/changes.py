"""What was recorded when by whom (变更): the history of a person, duplicates merged, changes taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access.middleware import door
from ganbu.access.models import AuditEntry
from ganbu.access.perms import Rights, rights
from ganbu.errors import GanbuError
from ganbu.records import queries
from ganbu.records.local import vocabulary
from ganbu.records.models import Card, Change
from ganbu.records.people import alike as find_alike
from ganbu.records.people import merge_people, undo_merge
from ganbu.records.queries import Held
from ganbu.records.writing import undo
from ganbu.vocabulary import Field, Register
from ganbu.web.people import card_or_404, name_of, over, sensitive_read


@door("people.read", "own.read")
def history(request: HttpRequest, person: str) -> HttpResponse:
    """Who recorded what of a person when, and who looked."""
    (card, may), words = over(request, person), vocabulary()
    everything = queries.held(card.pk)
    wanted = {r.change for of in everything.values() for r in of} | {r.superseded_by for of in everything.values() for r in of if r.superseded_by}  # fmt: skip
    changes = {c.pk: c for c in Change.objects.filter(pk__in=wanted).select_related("undone_by")}
    lines = []
    for name, of in everything.items():
        register = words.registers[name]
        if not may.sees(register) and name != "person":
            continue
        ended = {(r.identity, r.superseded_by): r for r in of if r.superseded_by}
        for row in of:
            before = ended.get((row.identity, row.change))
            told = _difference(may, register, before, row)
            if told:
                lines.append((changes[row.change], register, _("更正") if before else _("登记"), told))
            if row.superseded_by and not any(r.identity == row.identity and r.change == row.superseded_by for r in of):  # fmt: skip
                lines.append((changes[row.superseded_by], register, _("作废"), _difference(may, register, None, row)))  # fmt: skip
    lines.sort(key=lambda line: -line[0].pk)
    refs: dict[str, set[str]] = {}
    for *_rest, told in lines:
        for item, old, new in told:
            if item.kind == "ref":
                refs.setdefault(item.target, set()).update(str(v) for v in (old, new) if v)
    names = {kind: queries.names_of(kind, wanted) for kind, wanted in refs.items()}
    named = [
        (change, register, act, [(i, name_of(names, i, old), name_of(names, i, new)) for i, old, new in told])
        for change, register, act, told in lines
    ]
    looked = AuditEntry.objects.filter(subject=card.pk).exclude(action__startswith="record.")[:50] if may.may("people.write") else []  # fmt: skip
    page = Paginator(named, 50).get_page(request.GET.get("page"))
    undoable = {
        change.pk
        for change, *_told in page
        if may.may("people.write") and _undoable(may, words.registers, change)
    }
    sensitive_read(request, card.pk, sorted({r.name for _c, r, _a, _t in lines if r.secrecy == "sensitive"}))
    return render(
        request, "web/history.html", {"card": card, "page": page, "looked": looked, "undoable": undoable}
    )


def _difference(
    may: Rights, register: Register, before: Held | None, row: Held
) -> list[tuple[Field, Any, Any]]:
    found = []
    for item in register.fields.values():
        if item.name in (register.id_field, register.subject_field):
            continue
        old, new = before.values.get(item.name) if before else None, row.values.get(item.name)
        if old != new:
            if item.secrecy == "sensitive" and register.secrecy != "sensitive":
                old, new = old and "＊＊＊", new and "＊＊＊"
            found.append((item, old, new))
    return found


@door("people.merge", methods=("GET", "POST"))
def alike(request: HttpRequest) -> HttpResponse:
    """People who are probably one, and merging them; the last merges can be undone."""
    cards = queries.visible(rights(request).scope("people.merge"))
    if request.method == "POST":
        keep = card_or_404(request, request.POST.get("keep", ""), "people.merge")
        gone = [
            card_or_404(request, key, "people.merge").pk
            for key in request.POST.getlist("gone")
            if key != keep.pk
        ]
        try:
            merge_people(keep.pk, gone, "")
            messages.success(request, _("已合并到 %(name)s") % {"name": keep.name})
        except GanbuError as error:
            messages.error(request, str(error))
        return redirect("alike")
    merges = [one for one in Change.objects.filter(kind="merge").prefetch_related("undone_by")[:30] if _covers(cards, one)][:10]  # fmt: skip
    for change in merges:
        change.open = not hasattr(change, "undone_by")  # type: ignore[attr-defined]
    return render(request, "web/alike.html", {"groups": find_alike(cards), "merges": merges})


def _covers(cards: QuerySet[Card], merge: Change) -> bool:
    """Whether the person that a merge kept is among some people."""
    return cards.filter(pk=merge.origin.partition(" ←")[0]).exists()


@door("people.merge", "people.write", methods=("POST",))
def undo_change(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a merge back, or what somebody recorded about one person by hand."""
    change = get_object_or_404(Change, pk=pk, kind__in=("merge", *BY_HAND))
    if change.kind != "merge":
        return _undo_by_hand(request, change)
    rights(request).require("people.merge")
    if not _covers(queries.visible(rights(request).scope("people.merge")), change):
        raise Http404
    try:
        undo_merge(change, _("撤销合并"))
        messages.success(request, _("已撤销，各人恢复原样"))
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("alike")


BY_HAND = ("edit", "add", "end", "request")


def _undo_by_hand(request: HttpRequest, change: Change) -> HttpResponse:
    noted = AuditEntry.objects.filter(action=f"record.{change.kind}", detail__change=change.pk).first()
    card, may = over(request, noted.subject if noted else "", "people.write")
    if not _undoable(may, vocabulary().registers, change):
        raise PermissionDenied(f"change {change.pk}")
    try:
        undo(change, _("撤销第 %(n)s 号变更") % {"n": change.pk})
        messages.success(request, _("已撤销，恢复原样"))
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("history", card.pk)


def _undoable(may: Rights, words: Mapping[str, Register], change: Change) -> bool:
    """Whether somebody may take a change back: made by hand, not undone yet, in registers they may change."""
    names = {name.rstrip("-") for name in change.rows}
    known = all(name in words and may.changes(words[name]) for name in names)
    return change.kind in BY_HAND and known and not hasattr(change, "undone_by")
