"""Declared registers (自建登记表): what packs add to the record has lists, forms and templates without a line of code."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.engine.kinds.events import periods
from ganbu.errors import GanbuError
from ganbu.formats.tables import read_table
from ganbu.records import queries
from ganbu.records.asof import known_at
from ganbu.records.corps import people_where
from ganbu.records.local import local_registers
from ganbu.records.models import Card, LocalRow
from ganbu.records.queries import one_of
from ganbu.records.tables import rows_from_table, template_rows
from ganbu.records.writing import writing
from ganbu.vocabulary import Register
from ganbu.web.asof import AsOf, looked
from ganbu.web.sheets import sheets

SHEET_LIMIT = 20 * 1024 * 1024


def _register(request: HttpRequest, name: str) -> Register:
    register = local_registers().get(name)
    if register is None or not rights(request).sees(register):
        raise Http404
    return register


@door("registers.write")
def registers(request: HttpRequest) -> HttpResponse:
    """The registers that adopted packs declare."""
    may, when = rights(request), looked(request)
    rows = _within(may, LocalRow.objects.filter(known_at(when.moment)))
    counts = dict(rows.order_by().values_list("register").annotate(n=Count("row")))
    lines = [
        {"register": register, "count": counts.get(name, 0)}
        for name, register in local_registers().items()
        if may.sees(register)
    ]
    return render(request, "web/registers.html", {"lines": lines, "when": when})


def _on(known: Register, when: AsOf) -> QuerySet[LocalRow]:
    """The rows of a register that had come true by the day."""
    rows = LocalRow.objects.filter(known_at(when.moment), register=known.name)
    if when.dated and known.happened:
        rows = dated(rows, known).filter(day__lte=when.day.isoformat())
    return rows


def dated(rows: QuerySet[LocalRow], known: Register) -> QuerySet[Any]:
    """Rows with the date on which they came true."""
    return rows.annotate(day=Cast(KeyTextTransform(known.happened, "values"), TextField()))


def _within(may: Rights, rows: QuerySet[LocalRow], known: Register | None = None) -> QuerySet[LocalRow]:
    scope = may.scope("registers.write", known)
    return (
        rows if scope.everybody else rows.filter(subject__in=queries.visible(scope).order_by().values("pk"))
    )


@door("registers.write", methods=("GET", "POST"))
def register(request: HttpRequest, name: str) -> HttpResponse:
    """The rows of a register within the scope; a new row for somebody; a filled template to load."""
    known = _register(request, name)
    may = rights(request)
    if request.method == "POST":
        if not may.changes(known):
            raise Http404
        if "file" in request.FILES:
            return _load(request, known)
        found = queries.find(
            queries.visible(may.scope("registers.write", known)), request.POST.get("who", "").strip()
        )
        people = list(found[:2]) if request.POST.get("who", "").strip() else []
        if len(people) == 1:
            return redirect("add", people[0].pk, name)
        messages.error(request, _("没有这个人") if not people else _("不止一人，请写全姓名或编号"))
        return redirect("register", name)
    when = looked(request)
    rows = _within(may, _on(known, when), known)
    page = Paginator(rows.order_by("-row"), 50).get_page(request.GET.get("page"))
    names = dict(Card.objects.filter(pk__in=[row.subject for row in page]).values_list("pk", "name"))
    items = [f for f in known.fields.values() if f.name not in (known.id_field, known.subject_field) and may.sees_field(known, f)]  # fmt: skip
    lines = [
        {"row": row, "name": names.get(row.subject, row.subject), "cells": [(item, row.values.get(item.name, "")) for item in items]}
        for row in page
    ]  # fmt: skip
    if known.secrecy == "sensitive":
        audit.append("read.sensitive", "", registers=[name], rows=len(lines))
    return render(request, "web/register.html", {"register": known, "items": items, "page": page, "lines": lines, "changes": may.changes(known), "when": when})  # fmt: skip


@door("registers.write")
def due(request: HttpRequest, name: str) -> HttpResponse:
    """Who owes an entry of this period or the last (该填未填), within the scope; only for a register with a cadence."""
    known, may = _register(request, name), rights(request)
    if not known.every:
        raise Http404
    when = looked(request)
    parts = []
    wrong = ""
    cards = queries.visible(may.scope("registers.write", known)).order_by("place", "pk")
    try:
        if known.obliged:
            cards = cards.filter(one_of("pk", people_where(known.obliged, when.day, when.moment)))
        else:
            wrote = LocalRow.objects.filter(known_at(when.moment), register=name).values("subject")
            cards = cards.filter(pk__in=wrote)
        for label, first, last in periods(when.day, known.every, 2):
            done = _written(known, first, last, when)
            page = Paginator(cards.exclude(one_of("pk", sorted(done))), 50).get_page(request.GET.get("page"))
            parts.append({"label": label, "last": last, "late": last < when.day, "page": page})
    except GanbuError as error:
        wrong = str(error)
    return render(request, "web/register_due.html", {"register": known, "parts": reversed(parts), "wrong": wrong, "changes": may.changes(known), "when": when})  # fmt: skip


def _written(known: Register, first: date, last: date, when: AsOf) -> set[str]:
    """Whom a register has an entry about within some days."""
    rows = LocalRow.objects.filter(known_at(when.moment), register=known.name)
    if not known.happened:
        return set(rows.values_list("subject", flat=True))
    found = dated(rows, known).filter(day__gte=first.isoformat(), day__lte=last.isoformat())
    return set(found.values_list("subject", flat=True))


def _load(request: HttpRequest, known: Register) -> HttpResponse:
    """Rows of a filled template: all of them or, with the reasons, none."""
    file: Any = request.FILES["file"]
    scope = rights(request).scope("registers.write", known)
    if not rights(request).changes(known):
        raise Http404
    try:
        if (file.size or 0) > SHEET_LIMIT:
            raise GanbuError(_("文件超过 20 MB，请分几次导入"))
        rows = rows_from_table(
            known, read_table(file.name or "", file.read()), lambda word: _who(scope, word)
        )
        with writing("import", _("填报模板"), origin=str(file.name)[:200]) as act:
            act.add(known, rows)
        messages.success(request, _("已登记 %(count)s 行") % {"count": len(rows)})
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("register", known.name)


def _who(scope: Any, word: str) -> str:
    """The identity of somebody named in a cell: their number or a name that only one has. Raises GanbuError."""
    cards = queries.visible(scope)
    exact = list(cards.filter(pk=word)[:1]) or list(cards.filter(name=word)[:2])
    if len(exact) != 1:
        raise GanbuError(_("不止一人叫“%(word)s”，请写编号") % {"word": word} if exact else _("没有“%(word)s”") % {"word": word})  # fmt: skip
    return str(exact[0].pk)


@door("registers.write")
def template(request: HttpRequest, name: str) -> HttpResponse:
    """An empty workbook to fill in and load."""
    known = _register(request, name)
    head, hints = template_rows(known)
    return sheets(f"{known.label}.xlsx", [(known.label, head, hints)])  # type: ignore[return-value]
