"""Pages about people (人员): list and search, the page of one person, comparison."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import Exists, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.dates import PartialDate, full_years
from ganbu.findings.models import EvaluationRun
from ganbu.records import queries
from ganbu.records.asof import at_work, cards_on
from ganbu.records.cards import WANTED, WANTED_ROWS
from ganbu.records.local import vocabulary
from ganbu.records.models import Card, UnitNode
from ganbu.records.queries import Held
from ganbu.vocabulary import Field, Register
from ganbu.web.asof import AsOf, looked, rows_on
from ganbu.web.findings import findings_on
from ganbu.web.templatetags.ganbu import label
from ganbu.web.timeline import timeline
from ganbu.web.trees import Then, Today, units_of

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


def number(text: str | None) -> int:
    """A number from a form; 0, which is no row, for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() else 0


def over(request: HttpRequest, person: str, action: str = "people.read") -> tuple[Card, Rights]:
    """The card of a person and the rights over them; 404 where no grant that covers them has the action."""
    card = card_or_404(request, person, action)
    return card, queries.rights_on(rights(request), card)


def below(cards: QuerySet[Card], known: Today | Then, unit: str) -> tuple[QuerySet[Card], UnitNode | None]:
    """Those of some people with a post in a unit or below it, and the unit; all where no such unit is known."""
    node = known.get(unit) if unit else None
    return (cards, None) if node is None else (cards.filter(Exists(known.seats(node))), node)


@door("people.find")
def people(request: HttpRequest) -> HttpResponse:
    """The list: search by name, pinyin, initials, number; by unit; paged; of a day."""
    when, scope = looked(request), rights(request).scope("people.find")
    cards = queries.visible(scope)
    if when.dated:
        cards = at_work(cards, when.day, when.moment)
    cards, node = below(cards, units_of(scope, when), request.GET.get("unit", ""))
    text = request.GET.get("q", "").strip()
    if text:
        cards = queries.find(cards, text)
    page = paged(cards.order_by("place", "pk"), request, when)
    told = {"page": page, "q": text, "node": node, "listing": True, "when": when}
    if request.headers.get("HX-Request"):
        return render(request, "web/people_table.html", told)
    return render(request, "web/people.html", told)


def paged(cards: QuerySet[Card] | list[Card], request: HttpRequest, when: AsOf) -> Page[Card]:
    """A page of people, with what they were on the day."""
    page: Page[Card] = Paginator(cards, 50).get_page(request.GET.get("page"))
    if when.dated:
        keys = [card.pk for card in page]
        then = cards_on(keys, when.day, when.moment)
        page.object_list = [then[key] for key in keys if key in then]
    return page


def sensitive_read(request: HttpRequest, person: str, registers: list[str]) -> None:
    """Whoever reads a sensitive register leaves an entry in the audit chain."""
    if registers:
        audit.append("read.sensitive", person, registers=registers)


@door("people.read", "own.read")
def person(request: HttpRequest, person: str) -> HttpResponse:
    """One person: header, timeline, what is found, and one tab per register."""
    (card, may), words = over(request, person), vocabulary()
    when = looked(request)
    day, rows = when.day, rows_on(queries.held(card.pk), when)
    happened = {name: of for name, of in rows.items() if may.sees(words.registers[name]) or name == "person"}
    tabs: list[dict[str, Any]] = [
        {"register": register, "count": len(happened.get(name, ())), "here": False}
        for name, register in words.registers.items()
        if register.subject == "person" and may.sees(register)
        and (happened.get(name) or (may.changes(register) and not register.local))
    ]  # fmt: skip
    chosen = request.GET.get("tab", "")
    context: dict[str, Any] = {
        "card": card, "tabs": tabs, "tab": chosen, "when": when, "rights": may,
        "query": request.GET.urlencode(),
    }  # fmt: skip
    context["bare"] = [tab for tab in tabs if not tab["count"] and tab["register"].name != chosen]
    about = next(iter(happened.get("person", ())), None)
    context["header"] = _header(about, happened, day) | (
        {"otherwise": ""} if when.dated else {"level": card.level, "rank": card.rank, "otherwise": card.post}
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
    return [[(item, name_of(names, item, value)) for item, value in of] for of in cells]


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


def name_of(names: dict[str, dict[str, str]], item: Field, value: Any) -> Any:
    return names[item.target].get(str(value), value) if item.kind == "ref" and value is not None else value


@door("people.read")
def compare(request: HttpRequest) -> HttpResponse:
    """Up to four people side by side."""
    wanted = request.GET.getlist("person")[:4]
    when = looked(request)
    then = cards_on(wanted, when.day, when.moment) if when.dated else {}
    people = []
    sanctions = vocabulary().registers["sanction"]
    shows = bool(wanted)
    for key in wanted:
        card, may = over(request, key)
        shows &= may.sees(sanctions)
        happened = rows_on(queries.held(card.pk), when)
        about = next(iter(happened.get("person", ())), None)
        shown = then.get(key, Card(person=key, name=card.name)) if when.dated else card
        people.append((shown, _header(about, happened, when.day), happened))
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
    return render(request, "web/compare.html", {"people": people, "lines": lines, "when": when})


@door("own.read")
def own(request: HttpRequest) -> HttpResponse:
    """To one's own page."""
    if not request.user.person:  # type: ignore[union-attr]
        messages.warning(request, _("账号还没有对应的人员，请系统管理员登记人员编号"))
        return redirect("home")
    get_object_or_404(Card, pk=request.user.person)  # type: ignore[union-attr]
    return redirect("person", request.user.person)  # type: ignore[union-attr]
