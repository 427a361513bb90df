"""Requests to correct a field (更正申请): made by the person or the unit, decided by the section."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import rights
from ganbu.engine.record_files import plain_text
from ganbu.errors import GanbuError
from ganbu.records import queries
from ganbu.records.dossier.issues import contradictions
from ganbu.records.local import vocabulary
from ganbu.records.models import Card, Request
from ganbu.records.writing import current_row, row_values, writing
from ganbu.web.corrections import read_form
from ganbu.web.people import over


@door("requests.make", methods=("GET", "POST"))
def make(request: HttpRequest, person: str) -> HttpResponse:
    """Ask for one field to be corrected: which, to what, why."""
    (card, may), words = over(request, person), vocabulary()
    rows = queries.known(queries.held(card.pk))
    choices = []
    for name, of in rows.items():
        register = words.registers[name]
        if register.local or not (may.sees(register) or name == "person"):
            continue
        for row in of:
            for item in register.fields.values():
                if (
                    item.sealed
                    or item.secrecy == "sensitive"
                    or item.name in (register.id_field, register.subject_field)
                ):
                    continue  # fmt: skip
                if name == "person" or item.name in row.values:
                    choices.append((f"{name}|{row.identity}|{item.name}", register, item, row.values.get(item.name)))  # fmt: skip
    wrong = ""
    if request.method == "POST":
        key, text, reason = (request.POST.get(n, "").strip() for n in ("what", "value", "reason"))
        chosen = next((c for c in choices if c[0] == key), None)
        if chosen is None:
            wrong = _("请选择要更正的项目")
        elif len(reason) < 2:
            wrong = _("请写明理由和依据")
        else:
            _values, problems = read_form(chosen[1], {chosen[2].name: text})
            wrong = _("；").join(problems.values())
        if not wrong and chosen is not None:
            name, identity, field = key.split("|")
            with transaction.atomic():
                made = Request.objects.create(
                    account_id=may.account.pk, person=card.pk, register=name, identity=identity, reason=reason,
                    values={"field": field, "old": plain_text(chosen[3]) if chosen[3] is not None else "", "new": text},
                )  # fmt: skip
                audit.append("request.make", card.pk, request=made.pk, register=name, field=field)
            messages.success(request, _("已提交，干部科办理后可在“更正申请”里看到答复"))
            return redirect("requests")
    return render(
        request, "web/request.html", {"card": card, "choices": choices, "wrong": wrong, "posted": request.POST},
        status=422 if wrong else 200,
    )  # fmt: skip


@door("requests.make", "requests.decide")
def requests(request: HttpRequest) -> HttpResponse:
    """One's own requests, or those to decide."""
    may = rights(request)
    found = Request.objects.select_related("account", "decided_by").order_by("-pk")
    if may.may("requests.decide"):
        found = found.filter(person__in=queries.visible(may.scope("requests.decide")).order_by().values("pk"))
    else:
        found = found.filter(account_id=may.account.pk)
    state = request.GET.get("state", "")
    if state:
        found = found.filter(state=state)
    page = Paginator(found, 30).get_page(request.GET.get("page"))
    names = dict(Card.objects.filter(pk__in=[one.person for one in page]).values_list("pk", "name"))
    registers = vocabulary().registers
    lines = [
        {"request": one, "name": names.get(one.person, one.person), "register": registers[one.register], "item": registers[one.register].fields[one.values["field"]]}
        for one in page
        if one.register in registers
    ]  # fmt: skip
    return render(request, "web/requests.html", {"page": page, "lines": lines, "decides": may.may("requests.decide"), "state": state})  # fmt: skip


@door("requests.decide", methods=("POST",))
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Grant or refuse; what is granted is recorded at once, as a change of the record with the request as its reason."""
    words = vocabulary()
    found = get_object_or_404(Request, pk=pk)
    _card, may = over(request, found.person, "requests.decide")
    register = words.registers.get(found.register)
    answer = request.POST.get("answer", "").strip()
    if register is None or not may.changes(register):
        raise Http404
    granted = request.POST.get("act") == "grant"
    if not granted and not answer:
        messages.error(request, _("退回时请写明理由"))
        return redirect("requests")
    try:
        with transaction.atomic():
            if not Request.objects.filter(pk=pk, state="open").update(
                state="granted" if granted else "refused"
            ):
                raise GanbuError(_("这一件已经办理"))
            change = None
            if granted:
                values, wrong = read_form(register, {found.values["field"]: found.values["new"]})
                if register.name == "person":
                    wrong |= contradictions(found.person, values)
                if wrong:
                    raise GanbuError(_("；").join(wrong.values()))
                row = current_row(register, found.identity)
                now = row_values(register, row).get(found.values["field"]) if row is not None else None
                if row is None or plain_text("" if now is None else now) != found.values["old"]:
                    raise GanbuError(_("申请之后这一项已经更正过，请核对后退回或另行更正"))
                with writing(
                    "request", f"申请 {found.pk}：{found.reason}", origin=f"更正申请 {found.pk}"
                ) as act:
                    act.correct(register, found.identity, values, row.row)
                change = act.change
            found.state, found.answer, found.change = ("granted" if granted else "refused"), answer, change
            found.decided_by_id, found.decided_at = may.account.pk, datetime.now()
            found.save()
            audit.append(f"request.{found.state}", found.person, request=found.pk, answer=answer)
        messages.success(request, _("已办理"))
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("requests")
