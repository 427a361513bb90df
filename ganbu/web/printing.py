"""Printing and handing out (打印、导出): the appointment form as docx, pdf and lrmx, rosters and lists."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import rights
from ganbu.errors import GanbuError
from ganbu.formats.form import AppointmentForm
from ganbu.formats.lrmx import write_lrmx
from ganbu.formats.paper import form_docx, form_pdf, form_template
from ganbu.records import queries
from ganbu.records.forms import forms_of
from ganbu.records.models import UnitNode
from ganbu.web.people import COLUMNS, card_or_404
from ganbu.web.setup import form_layout
from ganbu.web.sheets import workbook


def _laid_out(form: AppointmentForm) -> bytes:
    """A form as docx in the department's own layout, where it has one."""
    return form_docx(form, form_layout(settings.HOME))


KINDS: dict[str, tuple[str, Callable[[AppointmentForm], bytes]]] = {
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", _laid_out),
    "pdf": ("application/pdf", form_pdf),
    "lrmx": ("application/xml", write_lrmx),
}
MOST_AT_ONCE = 200


def file_name(form: AppointmentForm, person: str, kind: str) -> str:
    """A name that any file system takes."""
    plain = "".join(c if c.isalnum() or c in "·-" else "_" for c in f"{form.name}-{person}")
    return f"{plain}.{kind}"


@door("people.print")
def form(request: HttpRequest, person: str, kind: str) -> HttpResponse:
    """The 任免审批表 of one person, as docx, pdf or lrmx."""
    card = card_or_404(request, person, "people.print")
    if kind not in KINDS:
        raise Http404
    told = forms_of([card.pk])[card.pk]
    try:
        content = KINDS[kind][1](told)
    except GanbuError as error:
        messages.error(request, str(error))
        return redirect("person", card.pk)
    audit.append("print", card.pk, kind=kind)
    response = HttpResponse(content, content_type=KINDS[kind][0])
    disposition = "inline" if kind == "pdf" else "attachment"
    response["Content-Disposition"] = _named(disposition, file_name(told, card.pk, kind))
    return response


@door("people.print")
def template(request: HttpRequest) -> HttpResponse:
    """The shipped layout of the form, to begin one's own with."""
    response = HttpResponse(form_template(), content_type=KINDS["docx"][0])
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
        cards = cards.filter(pk__in=wanted[:1000])
    if text := request.GET.get("q", "").strip():
        cards = queries.find(cards, text)
    unit = request.GET.get("unit", "")
    node = UnitNode.objects.filter(pk=unit).first() if unit.isdigit() else None
    if node is not None:
        cards = cards.filter(node__path__startswith=node.path)
    cards = cards.order_by("place", "pk")
    count = cards.count()
    if kind == "xlsx":
        audit.append("export", "", kind="roster", rows=count, q=text, unit=node.unit if node else "")
        fields = [name.replace("node.", "node__") for name, _label in COLUMNS]
        head = [_("编号"), *(_(label) for _name, label in COLUMNS)]
        return workbook(
            request, "roster.xlsx", _("花名册"), head, cards.values_list("pk", *fields).iterator(2000)
        )
    if kind not in KINDS:
        raise Http404
    if count > MOST_AT_ONCE and kind != "lrmx":
        messages.error(request, _("一次最多打印 %(most)s 人，现有 %(count)s 人；请缩小范围") % {"most": MOST_AT_ONCE, "count": count})  # fmt: skip
        return redirect("people")
    try:
        made = _zipped(list(cards.values_list("pk", flat=True)), kind)
    except GanbuError as error:
        messages.error(request, str(error))
        return redirect("people")
    audit.append("export", "", kind=kind, rows=count, q=text)
    return made


def _zipped(people: list[str], kind: str) -> HttpResponseBase:
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, told in _many(people):
                archive.writestr(file_name(told, key, kind), KINDS[kind][1](told))
    except GanbuError:
        stream.close()
        raise
    stream.seek(0)
    return FileResponse(stream, as_attachment=True, filename=f"{kind}.zip", content_type="application/zip")


def _many(people: list[str]) -> Iterator[tuple[str, AppointmentForm]]:
    for at in range(0, len(people), 500):
        yield from forms_of(people[at : at + 500]).items()
