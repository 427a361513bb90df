"""Pages about people (人员): list and search, the page of one person, comparison, corrections, history."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.models import AuditEntry
from ganbu.access.perms import Rights, rights
from ganbu.dates import PartialDate, full_years
from ganbu.errors import GanbuError, RecordsError
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.records import queries
from ganbu.records.cards import WANTED, WANTED_ROWS
from ganbu.records.dossier.issues import contradictions
from ganbu.records.local import vocabulary
from ganbu.records.matching import valid_id_number
from ganbu.records.models import Card, Change, Seat, UnitNode
from ganbu.records.people import alike as find_alike
from ganbu.records.people import merge_people
from ganbu.records.queries import Held
from ganbu.records.reconcile import pairs as side_by_side
from ganbu.records.reconcile import settle
from ganbu.records.tables import typed
from ganbu.records.writing import current_row, undo, writing
from ganbu.vocabulary import Field, Register
from ganbu.web.templatetags.ganbu import label, shown
from ganbu.web.timeline import timeline

DRAWN = ("sanction",)  # the sensitive registers that the timeline shows
COLUMNS = (
    ("name", "姓名"), ("sex", "性别"), ("birth", "出生"), ("post", "现任职务"), ("level", "职务层次"), ("rank", "职级"),
    ("education", "最高学历"), ("political_status", "政治面貌"), ("node.name", "所在机构"), ("completeness", "完整度"),
)  # fmt: skip


def card_or_404(request: HttpRequest, person: str, action: str = "people.read") -> Card:
    """The card of a person inside the scope; 404 for anybody else, so that a guess tells nothing."""
    card = queries.visible(rights(request).scope(action)).filter(pk=person).first()
    if card is None:
        audit.append("refused", request.path[:200], wanted=action)
        raise Http404
    return card


def over(request: HttpRequest, person: str, action: str = "people.read") -> tuple[Card, Rights]:
    """The card of a person and the rights over them; 404 where no grant that covers them has the action."""
    card = card_or_404(request, person, action)
    return card, queries.rights_on(rights(request), card)


@door("people.find")
def people(request: HttpRequest) -> HttpResponse:
    """The list: search by name, pinyin, initials, number; by unit; paged."""
    cards = queries.visible(rights(request).scope("people.find"))
    text, unit = request.GET.get("q", "").strip(), request.GET.get("unit", "")
    node = queries.visible_units(rights(request).scope("people.find")).filter(pk=number(unit)).first()
    if node is not None:
        cards = cards.filter(
            Exists(Seat.objects.filter(card=OuterRef("pk"), node__path__startswith=node.path))
        )
    if text:
        cards = queries.find(cards, text)
    page = Paginator(cards.order_by("place", "pk"), 50).get_page(request.GET.get("page"))
    told = {"page": page, "q": text, "node": node, "listing": True}
    if request.headers.get("HX-Request"):
        return render(request, "web/people_table.html", told)
    return render(request, "web/people.html", told)


def as_of(request: HttpRequest) -> tuple[date, datetime | None, str]:
    """The day and moment the page looks from, and what was wrong with them."""
    day, moment, wrong = date.today(), None, ""
    try:
        if told := request.GET.get("as_of", ""):
            day = date.fromisoformat(told)
        if told := request.GET.get("known_at", ""):
            moment = datetime.fromisoformat(told).replace(tzinfo=None)
            if len(told) == 10:
                moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
        if not 1900 <= day.year <= 2200:
            raise ValueError
    except ValueError:
        day, moment, wrong = date.today(), None, _("日期应写作 2026-06-30")
    return day, moment, wrong


def sensitive_read(request: HttpRequest, person: str, registers: list[str]) -> None:
    """Whoever reads a sensitive register leaves an entry in the audit chain."""
    if registers:
        audit.append("read.sensitive", person, registers=registers)


@door("people.read", "own.read")
def person(request: HttpRequest, person: str) -> HttpResponse:
    """One person: header, timeline, what is found, and one tab per register."""
    (card, may), words = over(request, person), vocabulary()
    day, moment, wrong = as_of(request)
    if wrong:
        messages.error(request, wrong)
    everything = queries.held(card.pk)
    rows = queries.known(everything, moment)
    allowed = {name: of for name, of in rows.items() if may.sees(words.registers[name]) or name == "person"}
    happened = {name: [r for r in of if r.happened_by(day)] for name, of in allowed.items()}
    tabs: list[dict[str, Any]] = [
        {"register": register, "count": len(happened.get(name, ())), "here": False}
        for name, register in words.registers.items()
        if register.subject == "person" and may.sees(register)
        and (happened.get(name) or (may.changes(register) and not register.local))
    ]  # fmt: skip
    chosen = request.GET.get("tab", "")
    context: dict[str, Any] = {
        "card": card, "tabs": tabs, "tab": chosen, "day": day, "moment": moment, "rights": may,
        "dated": bool(request.GET.get("as_of") or request.GET.get("known_at")), "query": request.GET.urlencode(),
    }  # fmt: skip
    context["bare"] = [tab for tab in tabs if not tab["count"] and tab["register"].name != chosen]
    about = next(iter(happened.get("person", ())), None)
    context["header"] = _header(about, happened, day) | (
        {"otherwise": ""}
        if context["dated"]
        else {"level": card.level, "rank": card.rank, "otherwise": card.post}
    )
    context["photo"] = queries.portraits([card.pk]).exists()
    if chosen and chosen in words.registers and may.sees(words.registers[chosen]):
        register = words.registers[chosen]
        for tab in tabs:
            tab["here"] = tab["register"].name == chosen
        if register.secrecy == "sensitive":
            sensitive_read(request, card.pk, [chosen])
        context |= {"register": register, "table": table_of(may, register, happened.get(chosen, []))}
        context["changes"] = may.changes(register)
        return render(request, "web/person_tab.html", context)
    if about is not None:
        register = words.registers["person"]
        context["facts"] = [
            (item, masked(item, about) if item.secrecy == "sensitive" else about.values.get(item.name), item.sealed)
            for item in register.fields.values()
            if item.name not in ("person_id", "name", "resume") and may.sees_field(register, item)
        ]  # fmt: skip
        context["resume"] = about.values.get("resume", "")
        context["about"] = about
    context["drawing"] = timeline(happened, day, _named(happened))
    sensitive_read(request, card.pk, [name for name in DRAWN if happened.get(name)])
    context["missing"] = _missing(may, about, happened)
    if may.may("rules.read") or may.may("own.read"):
        run = EvaluationRun.objects.first()
        context["run"] = run
        context["found"] = findings_on(may, card, run) if run else []
    return render(request, "web/person.html", context)


def findings_on(may: Rights, card: Card, run: EvaluationRun) -> QuerySet[Finding]:
    """What a run found of one person, without what rests on registers that the account may not see of them."""
    found = Finding.objects.filter(run=run, register="person", subject=card.pk)
    hidden = [r.name for r in vocabulary().registers.values() if r.secrecy == "sensitive" and not may.sees(r)]
    for name in hidden:
        found = found.exclude(reads__contains=f"|{name}|")
    return found


def _header(about: Held | None, rows: dict[str, list[Held]], day: date) -> dict[str, Any]:
    if about is None:
        return {}
    values = about.values
    born = values.get("birth_date")
    posts = [r for r in rows.get("appointment", ()) if r.holds_on(day)]
    ranks = [str(r.values["rank"]) for r in rows.get("rank", ()) if r.holds_on(day) and r.values.get("rank")]
    order = vocabulary().codes["post_level"].order
    levels = [str(r.values["level"]) for r in posts if r.values.get("level") in order]
    names = queries.names_of("unit", {str(r.values["unit"]) for r in posts if r.values.get("unit")})
    return {
        "name": values.get("name"),
        "age": full_years(born.first(), day) if isinstance(born, PartialDate) and born.month else None,
        "values": values,
        "level": max(levels, key=order.index, default=""),
        "rank": ranks[-1] if ranks else "",
        "posts": [
            f"{names.get(str(r.values.get('unit')), '')}{r.values.get('title') or ''}"
            for r in sorted(posts, key=lambda r: r.values.get("main") is not True)
        ],
    }


def _named(rows: dict[str, list[Held]]) -> dict[str, str]:
    return queries.names_of(
        "unit", {str(r.values["unit"]) for r in rows.get("appointment", ()) if r.values.get("unit")}
    )


def _missing(may: Rights, about: Held | None, rows: dict[str, list[Held]]) -> list[str]:
    words = vocabulary().registers
    if about is None:
        return []
    gone = [label(words["person"].fields[name]) for name in WANTED if name not in about.values]
    return gone + [label(words[name]) for name in WANTED_ROWS if not rows.get(name)]


def masked(item: Field, row: Held) -> str:
    """A sensitive value with its middle hidden."""
    value = str(row.values.get(item.name) or "")
    if not value:
        return ""
    if item.name == "id_number" and len(value) == 18:
        return f"{value[:4]}{'＊' * 10}{value[-4:]}"
    return f"{value[:1]}{'＊' * max(len(value) - 2, 2)}{value[-1:] if len(value) > 2 else ''}"


def table_of(may: Rights, register: Register, rows: list[Held]) -> dict[str, Any]:
    """The rows of a register as a table: only columns that hold something, names instead of identities."""
    shown = [
        item for item in register.fields.values()
        if item.name not in (register.id_field, register.subject_field)
        and may.sees_field(register, item) and any(item.name in row.values for row in rows)
    ]  # fmt: skip
    names: dict[str, dict[str, str]] = {}
    for item in shown:
        if item.kind == "ref":
            wanted = {str(row.values[item.name]) for row in rows if row.values.get(item.name)}
            names[item.name] = queries.names_of(item.target, wanted)
    lines = [
        {
            "row": row,
            "cells": [
                (item, names[item.name].get(str(row.values.get(item.name)), row.values.get(item.name)) if item.name in names else row.values.get(item.name))
                for item in shown
            ],
        }
        for row in reversed(rows)
    ]  # fmt: skip
    return {"columns": shown, "lines": lines}


def told_of(may: Rights, rows: list[Held]) -> list[list[tuple[Field, Any]]]:
    """What each of some rows of any registers says, names instead of identities; a statement per kind of reference."""
    cells = [
        [
            (item, row.values[item.name])
            for item in row.register.fields.values()
            if item.name in row.values and may.sees_field(row.register, item)
            and item.name not in (row.register.id_field, row.register.subject_field, row.register.happened)
        ]
        for row in rows
    ]  # fmt: skip
    wanted: dict[str, set[str]] = {}
    for item, value in (cell for of in cells for cell in of):
        if item.kind == "ref":
            wanted.setdefault(item.target, set()).add(str(value))
    names = {kind: queries.names_of(kind, of) for kind, of in wanted.items()}
    return [[(item, _name(names, item, value)) for item, value in of] for of in cells]


@door("people.read", "own.read")
def photo(request: HttpRequest, person: str) -> HttpResponse:
    """The portrait."""
    card = card_or_404(request, person)
    found = queries.portrait(card.pk)
    if found is None:
        raise Http404
    response = HttpResponse(bytes(found.image), content_type=found.kind)
    response["Cache-Control"] = "private, max-age=600"
    return response


@door("people.reveal", methods=("POST",))
def reveal(request: HttpRequest, person: str, field: str) -> HttpResponse:
    """The plain value of a masked field, for a reason that goes into the audit chain."""
    card = card_or_404(request, person, "people.reveal")
    register = vocabulary().registers["person"]
    item = register.fields.get(field)
    reason = request.POST.get("reason", "").strip()
    if item is None or item.secrecy != "sensitive":
        raise Http404
    if len(reason) < 2:
        return render(request, "web/reveal.html", {"wrong": _("请写明理由")}, status=200)
    row = next(iter(queries.known(queries.held(card.pk, registers=["person"]))["person"]), None)
    audit.append("read.reveal", card.pk, field=field, reason=reason)
    return render(request, "web/reveal.html", {"value": row.values.get(field) if row else ""})


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
        (change, register, act, [(i, _name(names, i, old), _name(names, i, new)) for i, old, new in told])
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


def _name(names: dict[str, dict[str, str]], item: Field, value: Any) -> Any:
    return names[item.target].get(str(value), value) if item.kind == "ref" and value is not None else value


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


@door("people.read")
def compare(request: HttpRequest) -> HttpResponse:
    """Up to four people side by side."""
    wanted = request.GET.getlist("person")[:4]
    day, _moment, _wrong = as_of(request)
    people = []
    sanctions = vocabulary().registers["sanction"]
    shows = bool(wanted)
    for key in wanted:
        card, may = over(request, key)
        shows &= may.sees(sanctions)
        rows = queries.known(queries.held(card.pk))
        happened = {n: [r for r in of if r.happened_by(day)] for n, of in rows.items()}
        about = next(iter(happened.get("person", ())), None)
        people.append((card, _header(about, happened, day), happened))
    lines: list[tuple[str, list[Any]]] = [
        (_("现任职务"), [_("、").join(h.get("posts", ())) for _c, h, _r in people])
    ]
    lines.append((_("年龄"), [h.get("age") for _c, h, _r in people]))
    for attribute, title in (("sex", _("性别")), ("ethnic_group", _("民族")), ("political_status", _("政治面貌")), ("education", _("最高学历")), ("level", _("职务层次")), ("rank", _("职级"))):  # fmt: skip
        lines.append((title, [getattr(c, attribute) for c, _h, _r in people]))
    for attribute, title in (("work_start", _("参加工作时间")), ("party_date", _("入党时间")), ("native_place", _("籍贯"))):  # fmt: skip
        lines.append((title, [h.get("values", {}).get(attribute) for _c, h, _r in people]))
    lines.append((_("任职经历"), [len(r.get("appointment", ())) for _c, _h, r in people]))
    lines.append((_("近五年考核"), [_("、").join(f"{a.values.get('year')} {a.values.get('grade') or ''}" for a in r.get("assessment", ())[-5:]) for _c, _h, r in people]))  # fmt: skip
    lines.append((_("奖励"), [len(r.get("award", ())) for _c, _h, r in people]))
    if shows:
        lines.append((_("处分处理"), [len(r.get("sanction", ())) for _c, _h, r in people]))
        for card, _h, _r in people:
            sensitive_read(request, card.pk, ["sanction"])
    return render(request, "web/compare.html", {"people": people, "lines": lines, "day": day})


# -- corrections ------------------------------------------------------------------------------------------------


def number(text: str | None) -> int:
    """A number from a form; 0, which is no row, for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() else 0


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


@door("own.read")
def own(request: HttpRequest) -> HttpResponse:
    """To one's own page."""
    if not request.user.person:  # type: ignore[union-attr]
        messages.warning(request, _("账号还没有对应的人员，请系统管理员登记人员编号"))
        return redirect("home")
    get_object_or_404(Card, pk=request.user.person)  # type: ignore[union-attr]
    return redirect("person", request.user.person)  # type: ignore[union-attr]


# -- duplicates, résumé, undoing ----------------------------------------------------------------------------------


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
        undo(change, _("撤销合并"))
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
