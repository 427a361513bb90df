"""Correcting the record (更正): edit forms, somebody new, the résumé beside the posts."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.dates import PartialDate
from ganbu.errors import GanbuError, RecordsError
from ganbu.records import queries
from ganbu.records.dossier.issues import contradictions
from ganbu.records.local import vocabulary
from ganbu.records.matching import valid_id_number
from ganbu.records.models import Card, UnitNode
from ganbu.records.queries import Held
from ganbu.records.reconcile import pairs as side_by_side
from ganbu.records.reconcile import settle
from ganbu.records.tables import typed
from ganbu.records.writing import current_row, writing
from ganbu.vocabulary import Register
from ganbu.web.people import masked, number, over, sensitive_read
from ganbu.web.templatetags.ganbu import label, shown


def told_text(text: str) -> str:
    """A text as a form sends it back: without what is around it, and browsers end lines their own way."""
    return text.replace("\r\n", "\n").strip()


def changed(values: dict[str, Any], held: Held | None) -> dict[str, Any]:
    """The values of a form without texts that nobody touched, so that these stay as they were to the last blank."""
    old = held.values if held else {}
    return {n: v for n, v in values.items() if not (isinstance(v, str) and isinstance(old.get(n), str) and told_text(old[n]) == v)}  # fmt: skip


def read_form(register: Register, posted: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Plain values from a form, and what is wrong by field."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, item in register.fields.items():
        if name in (register.id_field, register.subject_field) or name not in posted:
            continue
        text = told_text(posted.get(name, ""))
        if not text:
            values[name] = None
            continue
        if "＊" in text:
            continue  # a masked value that nobody touched
        try:
            values[name] = (
                queries.identified(item, text) if item.kind == "ref" else typed(register, item, text)
            )
        except GanbuError as error:
            wrong[name] = str(error)
    number_told = values.get("id_number") if register.name == "person" else None
    if number_told and not valid_id_number(str(number_told)):
        wrong["id_number"] = _("身份证号不对：应为 18 位，且校验码相符")
    if register.name_field in values and values[register.name_field] is None:
        wrong[register.name_field] = _("不能为空")
    first, last = values.get(register.happened), values.get(register.ended[0]) if register.ended else None
    if isinstance(first, PartialDate) and isinstance(last, PartialDate) and last.last() < first.first():
        wrong[register.ended[0]] = _("不能早于%(field)s") % {
            "field": label(register.fields[register.happened])
        }
    return values, wrong


@door("people.write", "registers.write", methods=("GET", "POST"))
def edit(request: HttpRequest, person: str, register: str, identity: str = "") -> HttpResponse:
    """Correct a row, add one, or end one; the reason goes with it."""
    known = vocabulary().registers.get(register)
    if known is None or (known.subject != "person" and register != "person"):
        raise Http404
    card, may = over(request, person, "registers.write" if known.local else "people.write")
    if not may.changes(known) or not (may.sees(known) or register == "person"):
        raise PermissionDenied(f"{register}")
    row = current_row(known, identity) if identity else None
    rows = queries.known(queries.held(card.pk, registers=[register])).get(register, [])
    held = next((r for r in rows if r.identity == identity), None)
    if identity and (row is None or held is None):
        raise Http404
    wrong: dict[str, str] = {}
    posted = request.POST if request.method == "POST" else None
    if posted is not None:
        reason = posted.get("reason", "").strip()
        values, wrong = read_form(known, posted)
        if register == "person":
            wrong |= contradictions(card.pk, values)
        if not reason:
            wrong["reason"] = _("请写明事由和依据，如文号")
        if (
            "end" in posted
            and row is not None
            and reason
            and register != "person"
            and str(row.row) == posted.get("row")
        ):
            with writing("end", reason) as act:
                act.supersede(known, [row])
            messages.success(request, _("已作废；原记录仍可在变更历史中查到"))
            return redirect("person", card.pk)
        if not wrong:
            try:
                with writing("edit" if row is not None else "add", reason) as act:
                    if row is not None:
                        act.correct(known, identity, changed(values, held), number(posted.get("row")))
                    else:
                        fresh = {known.id_field: f"{register}-{uuid.uuid4().hex[:12]}", **values}
                        if known.subject_field:
                            fresh[known.subject_field] = card.pk
                        act.add(known, [fresh])
                messages.success(request, _("已登记"))
                return redirect(
                    reverse("person", args=[card.pk]) + (f"?tab={register}" if register != "person" else "")
                )
            except GanbuError as error:
                wrong["reason"] = str(error)
    sensitive_read(request, card.pk, [register] if known.secrecy == "sensitive" and held is not None else [])
    return render(request, "web/edit.html", {
        "card": card, "register": known, "fields": form_fields(may, known, posted, held, wrong), "row": row, "wrong": wrong,
        "reason": posted.get("reason", "") if posted else "",
    }, status=200 if not wrong else 422)  # fmt: skip


LONG = ("resume", "note", "content", "summary", "reason")


def form_fields(
    may: Rights, register: Register, posted: Any, held: Held | None, wrong: dict[str, str], names: tuple[str, ...] = ()
) -> list[dict[str, Any]]:  # fmt: skip
    """The fields of a form: what was typed, else what is held; sensitive values masked."""
    codes, found = vocabulary().codes, []
    for name, item in register.fields.items():
        if name in (register.id_field, register.subject_field) or (names and name not in names):
            continue
        if not may.sees_field(register, item):
            continue
        value = held.values.get(name) if held else ""
        if posted is not None:
            value = posted.get(name, "")
        elif held is not None and item.sealed and register.name == "person":
            value = masked(item, held)
        options = codes[item.target].names() if item.kind == "code" else ()
        long = item.kind == "text" and (name in LONG or name.endswith("_text") or len(shown(value)) > 40)
        found.append(
            {"item": item, "value": value, "options": options, "long": long, "wrong": wrong.get(name, "")}
        )
    return found


NEW_FIELDS = ("name", "sex", "birth_date", "ethnic_group", "id_number", "category", "status", "management", "statistics_unit")  # fmt: skip


@door("people.write", methods=("GET", "POST"))
def new_person(request: HttpRequest) -> HttpResponse:
    """Somebody new: name, sex, birth, unit; warned when somebody alike is there. They must be within one's own scope."""
    register, may = vocabulary().registers["person"], rights(request)
    if not may.changes(register):
        raise PermissionDenied("person")
    wrong: dict[str, str] = {}
    same: list[Card] = []
    posted = request.POST if request.method == "POST" else None
    if posted is not None:
        values, wrong = read_form(register, posted)
        if not values.get("name"):
            wrong["name"] = _("请填姓名")
        if not posted.get("reason", "").strip():
            wrong["reason"] = _("请写明事由和依据，如文号")
        if not wrong:
            same = list(queries.visible(may.scope("people.read")).filter(name=values["name"])[:10])
            if not same or posted.get("sure"):
                key = f"P{uuid.uuid4().hex[:10]}"
                try:
                    with writing("add", posted["reason"].strip()) as act:
                        act.add(register, [{"person_id": key, **values}])
                        act.refreshed()
                        if not queries.visible(may.scope("people.write")).filter(pk=key).exists():
                            raise RecordsError(
                                _("新增的人须在您的权限范围内：请填写统计关系所在单位和管理类别")
                            )
                    return redirect("person", key)
                except GanbuError as error:
                    wrong["statistics_unit"] = str(error)
    fields = form_fields(may, register, posted, None, wrong, NEW_FIELDS)
    return render(request, "web/new_person.html", {"fields": fields, "alike": same, "wrong": wrong, "reason": posted.get("reason", "") if posted else ""}, status=422 if wrong else 200)  # fmt: skip


@door("people.write", methods=("GET", "POST"))
def reconcile(request: HttpRequest, person: str) -> HttpResponse:
    """The résumé text beside the registered posts; either may follow the other."""
    (card, may), words = over(request, person, "people.write"), vocabulary().registers
    if not (may.changes(words["appointment"]) and may.changes(words["person"])):
        raise PermissionDenied("appointment")
    rows = queries.known(queries.held(card.pk, registers=["person", "appointment"]))
    about = next(iter(rows.get("person", ())), None)
    resume = str(about.values.get("resume", "")) if about else ""
    posts = [r.values for r in rows.get("appointment", ())]
    units = queries.names_of("unit", {str(p["unit"]) for p in posts if p.get("unit")})
    found = side_by_side(resume, posts, units)
    labels = {"same": _("一致"), "dates": _("时间不同"), "text": _("写法不同"), "only_text": _("登记里没有"), "only_row": _("简历里没有")}  # fmt: skip
    if request.method == "POST":
        reason = request.POST.get("reason", "").strip()
        if len(reason) < 2:
            messages.error(request, _("请写明事由和依据"))
            return redirect("reconcile", card.pk)
        with writing("edit", reason) as act:
            done = settle(
                act, words["appointment"], words["person"], card.pk, resume, found, request.POST, _placed
            )
        messages.success(request, _("已登记 %(count)s 处") % {"count": done})
        return redirect("reconcile", card.pk)
    pairs = [{"text": p.text, "row_text": p.row_text, "state": p.state, "label": labels[p.state], "key": p.key} for p in found]  # fmt: skip
    return render(request, "web/reconcile.html", {"card": card, "pairs": pairs, "open": any(p.state != "same" for p in found)})  # fmt: skip


def _placed(text: str) -> tuple[str | None, str]:
    """The unit that a post text begins with, the longest known name winning, and the rest of the text."""
    starts = [text[:n] for n in range(len(text), 1, -1)]
    named = {node.name: node.unit for node in UnitNode.objects.filter(name__in=starts)}
    name = max(named, key=len, default="")
    return (named[name], text[len(name) :] or text) if name else (None, text)
