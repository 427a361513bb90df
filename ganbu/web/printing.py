"""Printing and handing out (打印、导出): the appointment form as docx, pdf and lrmx, rosters and lists."""

from __future__ import annotations

import tempfile
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import rights
from ganbu.errors import GanbuError
from ganbu.formats.paper import form_template
from ganbu.records import queries
from ganbu.records.forms import forms_of
from ganbu.records.models import Handout
from ganbu.records.queries import one_of
from ganbu.vocabulary import load_vocabulary
from ganbu.web.handouts import AT_ONCE, KEPT_DAYS, KINDS, ask, file_name, folder, reach, shown_to, write
from ganbu.web.people import below, over
from ganbu.web.sheets import mark_of
from ganbu.web.trees import units_of

MOST_NOTED = 5000  # people whose identities an audit entry lists


@door("people.print")
def form(request: HttpRequest, person: str, kind: str) -> HttpResponse:
    """The 任免审批表 of one person, as docx, pdf, lrmx or lrm, without what the account may not see of them."""
    card, may = over(request, person, "people.print")
    make = KINDS[kind].form if kind in KINDS else None
    if make is None:
        raise Http404
    family = may.sees(load_vocabulary().registers["family"])
    told = shown_to(forms_of([card.pk])[card.pk], may.may("people.reveal"), family)
    try:
        content = make(told)[0][1]
    except GanbuError as error:
        messages.error(request, str(error))
        return redirect("person", card.pk)
    audit.append("print", card.pk, kind=kind, number=bool(told.id_number), family=bool(told.family))
    response = HttpResponse(content, content_type=KINDS[kind].type)
    disposition = "inline" if kind == "pdf" else "attachment"
    response["Content-Disposition"] = _named(disposition, file_name(told, card.pk, kind))
    return response


@door("people.print")
def template(request: HttpRequest) -> HttpResponse:
    """The shipped layout of the form, to begin one's own with."""
    response = HttpResponse(form_template(), content_type=KINDS["docx"].type)
    response["Content-Disposition"] = _named("attachment", "form.docx")
    return response


def _named(disposition: str, name: str) -> str:
    return f"{disposition}; filename*=UTF-8''{quote(name)}"


@door("people.export")
def roster(request: HttpRequest) -> HttpResponseBase:
    """Those ticked, or all that a search finds: a roster as xlsx, or their forms as one zip."""
    kind = request.GET.get("kind", "xlsx")
    cards = queries.visible(rights(request).scope("people.export"))
    wanted = request.GET.getlist("person")
    if wanted:
        cards = cards.filter(one_of("pk", wanted))
    if text := request.GET.get("q", "").strip():
        cards = queries.find(cards, text)
    cards, node = below(cards, units_of(rights(request).scope("people.export")), request.GET.get("unit", ""))
    people = list(cards.order_by("place", "pk").values_list("pk", flat=True))
    if kind not in KINDS:
        raise Http404
    may = rights(request)
    seen = reach(may, "people.export")
    noted: dict[str, Any] = {"kind": kind, "rows": len(people), "q": text, "unit": node.unit if node else "", "people": people[:MOST_NOTED], "number": seen[0], "family": seen[1]}  # fmt: skip
    if len(people) > AT_ONCE and kind != "xlsx":
        ask(may.account, kind, people, seen)
        audit.append("export", "", **noted)
        messages.success(request, _("人数较多，已排队生成；完成后在这里下载"))
        return redirect("exports")
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        write(kind, people, stream, seen, mark_of(may.account))
    except GanbuError as error:
        stream.close()
        messages.error(request, str(error))
        return redirect("people")
    audit.append("export", "", **noted)
    stream.seek(0)
    name = f"{kind}.{KINDS[kind].together}"
    return FileResponse(stream, as_attachment=True, filename=name)


@door("people.export")
def exports(request: HttpRequest) -> HttpResponse:
    """One's own large exports: being made, ready to fetch, or what went wrong."""
    found = list(
        Handout.objects.filter(account_id=rights(request).account.pk).defer("people").order_by("-pk")[:50]
    )
    busy = any(one.state in ("waiting", "making") for one in found)
    lines = [(one, KINDS[one.kind].label) for one in found if one.kind in KINDS]
    return render(request, "web/exports.html", {"lines": lines, "busy": busy, "days": KEPT_DAYS})


@door("people.export")
def export(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Fetch one."""
    found = get_object_or_404(Handout, pk=pk, account_id=rights(request).account.pk, state="ready")
    path = folder() / found.file
    if not path.is_file():
        raise Http404
    audit.append("export.fetch", str(found.pk), kind=found.kind, rows=found.total)
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{found.kind}{path.suffix}")
