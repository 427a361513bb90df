"""Pages about units and teams (机构、班子): the tree, headcount, slots and structure."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import date
from functools import lru_cache
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ganbu.access.middleware import door
from ganbu.access.perms import rights
from ganbu.dates import PartialDate, full_years
from ganbu.errors import GanbuError
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.records import queries
from ganbu.records.asof import begun, cards_on, known_at, sitting
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, UnitNode
from ganbu.records.writing import current_row, writing
from ganbu.web.asof import AsOf, as_of, looked
from ganbu.web.corrections import form_fields, read_form
from ganbu.web.findings import visible_findings
from ganbu.web.people import number
from ganbu.web.trees import MOST_BELOW, Then, Today, units_of

AGE_BANDS = (
    (0, 35, gettext_lazy("35 岁及以下")), (36, 40, "36–40"), (41, 45, "41–45"), (46, 50, "46–50"), (51, 55, "51–55"),
    (56, 200, gettext_lazy("56 岁及以上")),
)  # fmt: skip


@door("units.read")
def units(request: HttpRequest) -> HttpResponse:
    """The first level of the tree, or what a search finds."""
    when = looked(request)
    known = units_of(rights(request).scope("units.read"), when)
    text = request.GET.get("q", "").strip()
    if text:
        page = Paginator(known.named(text), 50).get_page(request.GET.get("page"))
        return render(request, "web/units.html", {"page": page, "q": text, "when": when})
    first = known.top()
    opened = first[0] if len(first) == 1 else None
    below = branch(known, known.below(opened), when) if opened else []
    return render(request, "web/units.html", {"nodes": branch(known, first, when), "opened": opened, "below": below, "when": when})  # fmt: skip


def _unit(
    request: HttpRequest, unit: str, action: str, when: AsOf | None = None
) -> tuple[Today | Then, UnitNode]:
    """The units somebody may do something with, and one of them; 404 for any other."""
    known = units_of(rights(request).scope(action), when)
    node = known.get(unit)
    if node is None:
        raise Http404
    return known, node


@door("units.read")
def children(request: HttpRequest, unit: str) -> HttpResponse:
    """One level further down."""
    when = as_of(request)
    known, node = _unit(request, unit, "units.read", when)
    return render(request, "web/branch.html", {"nodes": branch(known, known.below(node), when), "when": when})


def branch(known: Today | Then, nodes: list[UnitNode], when: AsOf) -> list[dict[str, Any]]:
    """Nodes with their headcount: authorised, filled, over, vacant; three statements whatever their number."""
    keys = [node.unit for node in nodes]
    parents = known.parents(nodes)
    unit: Any = MODELS["unit"]
    told = {
        row[0]: row[1:]
        for row in unit.objects.filter(known_at(when.moment), f_unit_id__in=keys).values_list(
            "f_unit_id", "f_leaders_authorised", "f_headcount", "f_institution_headcount"
        )
    }
    filled = leaders_of(keys, when)
    return [
        {"node": node, "more": node.unit in parents, **headcount(told.get(node.unit, (None, None, None)), filled[node.unit], node.people)}
        for node in nodes
    ]  # fmt: skip


def leaders_of(units: list[str], when: AsOf) -> Counter[str]:
    """How many leaders each unit had on the day."""
    held = sitting(when.day, when.moment).filter(f_unit__in=units, f_team_member=True)
    return Counter(unit for unit, _person in set(held.values_list("f_unit", "f_person")))


def headcount(told: tuple[Any, ...], leaders: int, people: int) -> dict[str, Any]:
    """Authorised, filled and the difference, for leaders and for staff; unknown stays unknown."""
    authorised = told[0]
    staff = None if told[1] is None and told[2] is None else (told[1] or 0) + (told[2] or 0)
    return {
        "authorised": authorised, "leaders": leaders, "gap": None if authorised is None else authorised - leaders,
        "staff": staff, "people": people,
    }  # fmt: skip


@door("units.read")
def unit(request: HttpRequest, unit: str) -> HttpResponse:
    """One unit: facts, headcount, teams, people, units below."""
    when = looked(request)
    known, node = _unit(request, unit, "units.read", when)
    rows = queries.known(queries.held(unit, "unit", ["unit", "team", "post", "unit_assessment"]), when.moment)
    about = next(iter(rows.get("unit", ())), None)
    cards = queries.visible(rights(request).scope("people.find"))
    page: Any
    if when.dated:
        held = sitting(when.day, when.moment).filter(f_unit=unit).values_list("f_person", flat=True)
        inside = cards.filter(pk__in=list(dict.fromkeys(held))[:MOST_BELOW]).order_by()
        then = cards_on(inside.values_list("pk", flat=True), when.day, when.moment).values()
        page = Paginator(sorted(then, key=lambda card: card.place), MOST_BELOW).get_page(1)
    else:
        here = cards.filter(seats__node=node).distinct().order_by("place")
        page = Paginator(here, 50).get_page(request.GET.get("page"))
    facts = [
        (item, about.values[item.name])
        for item in about.register.fields.values()
        if item.name in about.values and item.kind != "ref" and item.name not in ("unit_id", "name")
    ] if about else ()  # fmt: skip
    assessments = [row for row in rows.get("unit_assessment", ()) if row.happened_by(when.day)]
    return render(request, "web/unit.html", {
        "when": when, "node": node, "teams": rows.get("team", ()), "page": page, "above": known.above(node), "rights": rights(request),
        "assessments": assessments[-5:], "line": branch(known, [node], when)[0], "below": branch(known, known.below(node), when), "facts": facts,
    })  # fmt: skip


@door("teams.read")
def teams(request: HttpRequest) -> HttpResponse:
    """All teams in scope, with the members they have and should have."""
    when = looked(request)
    scope = rights(request).scope("teams.read")
    team: Any = MODELS["team"]
    found = team.objects.filter(known_at(when.moment))
    if scope.parts and all(part.unit for part in scope.parts):
        found = found.filter(f_unit__in=queries.visible_units(scope).values("unit"))
    if text := request.GET.get("q", "").strip():
        found = found.filter(f_name__contains=text)
    page = Paginator(found.order_by("row"), 50).get_page(request.GET.get("page"))
    keys = [row.f_team_id for row in page]
    members = _members(keys, when)
    run = None if when.dated else EvaluationRun.objects.first()
    bad = Counter(Finding.objects.filter(run=run, register="team", subject__in=keys, outcome__in=("不达标", "预警")).values_list("subject", flat=True)) if run else Counter()  # fmt: skip
    lines = [
        {"team": row, "members": len(members.get(row.f_team_id, ())), "bad": bad[row.f_team_id]}
        for row in page
    ]
    return render(request, "web/teams.html", {"page": page, "lines": lines, "q": text, "when": when})


def _members(keys: list[str], when: AsOf) -> dict[str, dict[str, list[Any]]]:
    """Who sits in each team on a day: person to posts."""
    found: dict[str, dict[str, list[Any]]] = {}
    for row in sitting(when.day, when.moment).filter(f_team__in=keys).order_by("row"):
        if row.f_team_member is not False:
            found.setdefault(row.f_team, {}).setdefault(row.f_person, []).append(row)
    return found


@door("teams.read")
def team(request: HttpRequest, team: str) -> HttpResponse:
    """One team: slots with cards, structure, and what the rules say."""
    model: Any = MODELS["team"]
    when = looked(request)
    row = model.objects.filter(known_at(when.moment), f_team_id=team).first()
    node = row and Today(rights(request).scope("teams.read")).get(row.f_unit)
    if node is None:
        raise Http404
    members = _members([team], when).get(team, {})
    seen = {
        card.pk: card for card in queries.visible(rights(request).scope("people.find")).filter(pk__in=members)
    }
    cards = cards_on(seen, when.day, when.moment) if when.dated else seen
    photos = set(queries.portraits(members).values_list("person", flat=True))
    slots: list[dict[str, Any]] = [
        {
            "card": cards[key], "open": key in seen, "photo": key in photos, "age": age_of(cards[key].birth, when.day),
            "title": _("、").join(dict.fromkeys(p.f_title or "" for p in posts)), "head": any(p.f_kind == "正职" for p in posts),
            "since": min((p.f_start_date or "" for p in posts), default=""),
        }
        for key, posts in members.items() if key in cards
    ]  # fmt: skip
    others = len(members) - len(slots)
    slots.sort(key=lambda s: (not s["head"], s["card"].place))
    vacant = max((row.f_authorised or 0) - len(members), 0)
    run = EvaluationRun.objects.first()
    may = rights(request)
    found = (
        visible_findings(may, run).filter(register="team", subject=team)
        if run and may.may("rules.read")
        else []
    )
    return render(request, "web/team.html", {
        "when": when, "team": row, "slots": slots, "vacant": range(vacant), "structure": structure([s["card"] for s in slots], when.day, majors_of(list(cards), when)),
        "found": found, "run": run, "node": node, "others": others, "members": len(members), "over": max(len(members) - row.f_authorised, 0) if row.f_authorised is not None else 0,
    })  # fmt: skip


@lru_cache(maxsize=65_536)
def age_of(birth: str, day: date) -> int | None:
    """Whole years of somebody born then; None where the month is not known."""
    if len(birth) < 7:
        return None
    return full_years(PartialDate.parse(birth).first(), day)


def majors_of(people: list[str], when: AsOf) -> dict[str, str]:
    """What each of some people studied last, of what they had finished by the day (专业)."""
    education: Any = MODELS["education"]
    rows = education.objects.filter(known_at(when.moment), begun("f_end_date", when.day), f_person__in=people)
    return dict(
        rows.exclude(f_major="")
        .exclude(f_major=None)
        .order_by("f_end_date", "row")
        .values_list("f_person", "f_major")
    )


def structure(
    cards: list[Card], day: date, majors: dict[str, str]
) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """Counts by age, sex, education, what was studied, party and ethnic group; those not known are counted as such."""

    def band(card: Card) -> str:
        age = age_of(card.birth, day)
        return (
            _("不详")
            if age is None
            else next(str(label) for low, high, label in AGE_BANDS if low <= age <= high)
        )

    found = []
    for title, of in (
        (_("年龄"), band), (_("性别"), lambda c: c.sex or _("不详")), (_("学历"), lambda c: c.education or _("不详")),
        (_("专业"), lambda c: majors.get(c.pk) or _("不详")),
        (_("政治面貌"), lambda c: c.political_status or _("不详")), (_("民族"), lambda c: c.ethnic_group or _("不详")),
    ):  # fmt: skip
        counts = Counter(of(card) for card in cards)
        order = [str(label) for *_rest, label in AGE_BANDS]
        items = sorted(counts.items(), key=lambda kv: (order.index(kv[0]) if kv[0] in order else 99, -kv[1]))
        found.append((title, [(label, n, round(100 * n / len(cards))) for label, n in items]))
    return found


def _parent(row: Any) -> str:
    return str(row.f_parent or "") if row is not None else "\x00"


def _inside(request: HttpRequest, above: UnitNode | None) -> bool:
    """Whether a unit may be put below another, or at the top."""
    scope = rights(request).scope("units.write")
    if above is None:
        return any(not part.unit for part in scope.parts)
    return queries.visible_units(scope).filter(pk=above.pk).exists()


def _unit_form(request: HttpRequest, node: UnitNode, row: Any) -> HttpResponse:
    """The form of a unit: a new one below `node`, or `node` itself corrected, renamed, moved, abolished."""
    register, may = vocabulary().registers["unit"], rights(request)
    posted = request.POST if request.method == "POST" else None
    wrong: dict[str, str] = {}
    if posted is not None:
        values, wrong = read_form(register, posted)
        reason = posted.get("reason", "").strip()
        if not reason:
            wrong["reason"] = _("请写明事由和依据，如文号")
        if not values.get("name"):
            wrong["name"] = _("请填名称")
        above = UnitNode.objects.filter(unit=values.get("parent")).first() if values.get("parent") else None
        if values.get("parent") and above is None:
            wrong["parent"] = _("没有编号为“%(unit)s”的机构") % {"unit": values["parent"]}
        elif (values.get("parent") or "") != _parent(row) and not _inside(request, above):
            wrong["parent"] = _("上级机构须在您的权限范围内")
        elif row is not None and above is not None and above.path.startswith(node.path):
            wrong["parent"] = _("不能划到自己或自己的下级之下")
        if not wrong:
            try:
                with writing("edit" if row is not None else "add", reason) as act:
                    if row is not None:
                        key = node.unit
                        act.correct(register, key, values, number(posted.get("row")))
                    else:
                        key = f"U{uuid.uuid4().hex[:10]}"
                        act.add(register, [{"unit_id": key, **values}])
                messages.success(request, _("已登记"))
                return redirect("unit", key if UnitNode.objects.filter(unit=key).exists() else node.unit)
            except GanbuError as error:
                wrong["reason"] = str(error)
    held = None
    if row is not None:
        held = next(r for r in queries.known(queries.held(node.unit, "unit", ["unit"]))["unit"])
    fields = form_fields(may, register, posted, held, wrong)
    if row is None and posted is None:
        for one in fields:
            if one["item"].name == "parent":
                one["value"] = node.unit
    return render(request, "web/edit_unit.html", {
        "node": node, "row": row, "fresh": row is None, "fields": fields, "wrong": wrong, "reason": posted.get("reason", "") if posted else "",
    }, status=422 if wrong else 200)  # fmt: skip


@door("units.write", methods=("GET", "POST"))
def edit_unit(request: HttpRequest, unit: str) -> HttpResponse:
    """Correct, rename, move or abolish a unit; its identity and everything that names it stay."""
    _known, node = _unit(request, unit, "units.write")
    row = current_row(vocabulary().registers["unit"], unit)
    if row is None:
        raise Http404
    return _unit_form(request, node, row)


@door("units.write", methods=("GET", "POST"))
def new_unit(request: HttpRequest, unit: str) -> HttpResponse:
    """A new unit below another; a temporary one has an end."""
    return _unit_form(request, _unit(request, unit, "units.write")[1], None)
