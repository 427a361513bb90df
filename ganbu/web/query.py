"""Finding people by conditions (条件查询): built by ticking or typed, saved and shared; cross tables with drill-down."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.errors import GanbuError
from ganbu.records import queries
from ganbu.records.asof import at_work, cards_on
from ganbu.records.corps import people_where
from ganbu.records.local import vocabulary
from ganbu.records.models import Card, SavedQuery
from ganbu.records.queries import one_of
from ganbu.vocabulary import Field, Register
from ganbu.web.asof import AsOf, as_of
from ganbu.web.people import COLUMNS, paged
from ganbu.web.sheets import workbook
from ganbu.web.templatetags.ganbu import label
from ganbu.web.units import AGE_BANDS, age_of

OPERATORS = (
    ("=", gettext_lazy("等于")), ("!=", gettext_lazy("不等于")), (">=", gettext_lazy("不小于、不早于")),
    ("<=", gettext_lazy("不大于、不晚于")), ("contains", gettext_lazy("包含")), ("under", gettext_lazy("属于该类")), ("known", gettext_lazy("有记载")),
    ("missing", gettext_lazy("没有记载")),
)  # fmt: skip


# -- conditions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of the builder: joined by `link`, with brackets; `on` asks whether a row held on that day."""

    link: str
    opens: str
    field: str
    operator: str
    value: str
    on: str
    closes: str


def lines_of(asked: QueryDict) -> list[Line]:
    """The lines of a submitted builder, those without a field left out."""
    columns = [
        asked.getlist(name) for name in ("link", "opens", "field", "operator", "value", "on", "closes")
    ]
    return [Line(*(text.strip() for text in line)) for line in zip(*columns, strict=False) if line[2]]


def literal(item: Field, text: str) -> str:
    """A value as the rule language writes it. Raises GanbuError."""
    if item.kind in ("int", "decimal"):
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise GanbuError(_("%(field)s应填数，而不是“%(text)s”") % {"field": label(item), "text": text})
        return text
    if item.kind == "date":
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise GanbuError(
                _("%(field)s应写作 2026-06-30，而不是“%(text)s”") % {"field": label(item), "text": text}
            )
        return text
    if item.kind == "bool":
        return "是" if text.lower() in ("是", "yes", "true", "1") else "否"
    return "'" + text.replace("'", "") + "'"


def expression_of(lines: list[Line]) -> str:
    """The lines as one condition of the rule language. Raises GanbuError that names the line."""
    words = vocabulary()
    told = ""
    depth = 0
    for number, line in enumerate(lines, 1):
        register_name, _dot, field_name = line.field.partition(".")
        register = words.registers.get(register_name)
        item = register.fields.get(field_name) if register else None
        if register is None or item is None:
            raise GanbuError(_("第 %(n)s 行：没有“%(field)s”") % {"n": number, "field": line.field})
        try:
            inner = _comparison(item, line)
        except GanbuError as error:
            raise GanbuError(_("第 %(n)s 行：%(error)s") % {"n": number, "error": error}) from error
        if register.name != "person":
            inner = f"any({register.label}, {' and '.join([inner, *_held(register, line.on)])})"
        depth += len(line.opens) - len(line.closes)
        if depth < 0:
            raise GanbuError(_("第 %(n)s 行：右括号多了") % {"n": number})
        told += (
            ("" if number == 1 else " or " if line.link == "or" else " and ")
            + line.opens
            + inner
            + line.closes
        )
    if depth:
        raise GanbuError(_("少 %(n)s 个右括号") % {"n": depth})
    return told


def _comparison(item: Field, line: Line) -> str:
    if line.operator in ("known", "missing"):
        return f"{item.label} is {'not ' if line.operator == 'known' else ''}missing"
    if line.operator not in dict(OPERATORS):
        raise GanbuError(_("没有这种比较"))
    if not line.value:
        raise GanbuError(_("%(field)s没有填值") % {"field": label(item)})
    return f"{item.label} {line.operator} {literal(item, line.value)}"


def _held(register: Register, on: str) -> list[str]:
    """That a row held on a day: begun by then and not ended before."""
    if not on:
        return []
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", on):
        raise GanbuError(_("日期应写作 2026-06-30"))
    parts = []
    if register.happened and register.fields[register.happened].kind == "date":
        parts.append(f"{register.fields[register.happened].label} <= {on}")
    last = next((name for name in (*register.ended, "end_date") if name in register.fields), "")
    if last and register.fields[last].kind == "date":
        label = register.fields[last].label
        parts.append(f"({label} is missing or {label} > {on})")
    return parts


def choices(may: Rights) -> list[tuple[Register, list[Field]]]:
    """The fields somebody may ask about; those that are encrypted are asked about nowhere."""
    words = vocabulary()
    found = []
    for register in words.registers.values():
        if register.name != "person" and register.subject != "person":
            continue
        if register.name != "person" and not may.everywhere("people.query", register):
            continue
        items = [
            f for f in register.fields.values()
            if f.kind not in ("id", "time") and not f.sealed and f.name != register.subject_field
            and (f.secrecy != "sensitive" or register.secrecy == "sensitive")
        ]  # fmt: skip
        found.append((register, items))
    return found


def forbidden(condition: str, may: Rights) -> str:
    """The label of a register or field in a condition that somebody may not see, or nothing."""
    words = vocabulary()
    for register in words.registers.values():
        hidden = register.name != "person" and not may.everywhere("people.query", register)
        if hidden and (register.label in condition or register.name in condition):
            return register.label
        for item in register.fields.values():
            secret = item.sealed or (item.secrecy == "sensitive" and register.secrecy != "sensitive")
            about = register.name == "person" or register.label in condition or register.name in condition
            if about and secret and (item.label in condition or item.name in condition):
                return item.label
    return ""


def chosen(may: Rights, condition: str, when: AsOf) -> QuerySet[Card]:
    """The people inside the scope for whom a condition is true on the day. Raises GanbuError."""
    cards = queries.visible(may.scope("people.query"))
    if when.dated:
        cards = at_work(cards, when.day, when.moment)
    if not condition:
        return cards
    if word := forbidden(condition, may):
        raise GanbuError(_("不能按“%(word)s”查询：这个账号不能查看它") % {"word": label(word)})
    return cards.filter(one_of("pk", people_where(condition, when.day, when.moment)))


def narrowed(cards: QuerySet[Card], asked: Mapping[str, str], when: AsOf) -> QuerySet[Card] | list[Card]:
    """Only those in one cell of a cross table of the day."""
    cells = [asked[name].partition(":")[::2] for name in ("row", "column") if asked.get(name)]
    if when.dated and cells:
        return [card for card in _then(cards, when) if all(_in_cell(card, *cell, when) for cell in cells)]
    for dimension, value in cells:
        if dimension == "age":
            cards = cards.filter(_band(value))
        elif dimension in DIMENSIONS:
            cards = cards.filter(**{DIMENSIONS[dimension][1]: "" if value == UNKNOWN else value})
    return cards


def _then(cards: QuerySet[Card], when: AsOf) -> list[Card]:
    """Some people as they were on the day, in the order of a list."""
    then = cards_on(cards.order_by().values_list("pk", flat=True), when.day, when.moment)
    return sorted(then.values(), key=lambda card: (card.place, card.pk))


def _told(card: Card, dimension: str, when: AsOf) -> str:
    """What a cross table counts somebody under."""
    field = DIMENSIONS[dimension][1]
    value = (card.node.name if card.node else "") if field == "node__name" else getattr(card, field)
    return _shown(dimension, value, when.day)


def _in_cell(card: Card, dimension: str, value: str, when: AsOf) -> bool:
    return dimension not in DIMENSIONS or _cell(dimension, _told(card, dimension, when)) == f"{dimension}:{value}"  # fmt: skip


# -- the page ---------------------------------------------------------------------------------------------------


@door("people.query")
def query(request: HttpRequest) -> HttpResponse:
    """The builder, its condition in the rule language, and who it is true for."""
    may = rights(request)
    when = as_of(request)
    wrong = when.wrong
    lines = lines_of(request.GET)
    condition = request.GET.get("condition", "").strip()
    within = request.GET.get("within", "").strip()
    fields, words = choices(may), vocabulary().codes
    context: dict[str, Any] = {
        "choices": fields, "operators": OPERATORS, "lines": lines or [Line("", "", "", "=", "", "", "")],
        "when": when, "dimensions": [(key, told[0]) for key, told in DIMENSIONS.items()],
        "saved": SavedQuery.objects.filter(Q(account_id=request.user.pk) | Q(shared=True)).select_related("account").order_by("name"),
        "codes": {
            f"{r.name}.{f.name}": words[f.target].names()[:300] for r, items in fields for f in items if f.kind == "code"
        },
    }  # fmt: skip
    try:
        if lines and "build" in request.GET:
            condition = expression_of(lines)
        if within and condition:
            condition = f"({within}) and ({condition})"
        context["condition"] = condition
        if condition or "row" in request.GET or "column" in request.GET:
            cards = narrowed(chosen(may, condition, when).order_by("place", "pk"), request.GET, when)
            if "xlsx" in request.GET:
                may.require("people.export")
                return _exported(request, cards, condition, when)
            context["page"] = paged(cards, request, when)
            audit.append(
                "query", "", condition=condition, found=context["page"].paginator.count, **when.asked
            )
    except GanbuError as error:
        wrong = str(error)
    context |= {"wrong": wrong, "rights": may, "columns": COLUMNS}
    return render(request, "web/query.html", context, status=422 if wrong else 200)


def _exported(
    request: HttpRequest, cards: QuerySet[Card] | list[Card], condition: str, when: AsOf
) -> HttpResponse:
    if when.dated and not isinstance(cards, list):
        cards = _then(cards, when)
    people = cards if isinstance(cards, list) else cards.iterator(2000)
    # How complete a record is, is told of today's only.
    columns = [told for told in COLUMNS if not (when.dated and told[0] == "completeness")]
    head = [_("编号"), *(_(label) for _name, label in columns)]
    lines = ((card.pk, *(field_of(card, name) for name, _label in columns)) for card in people)
    number = len(cards) if isinstance(cards, list) else cards.count()
    audit.append("export", "", kind="list", rows=number, condition=condition, **when.asked)
    return workbook(request, "list.xlsx", titled(_("人员名单"), when), head, lines)  # type: ignore[return-value]


def titled(title: str, when: AsOf) -> str:
    """What a sheet is called: with the day it tells of, where that is not today."""
    return f"{title} {when.day}" if when.dated else title


def field_of(card: Card, name: str) -> Any:
    """A field of a card, or of the unit it names."""
    value: Any = card
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


@door("people.query", methods=("POST",))
def save(request: HttpRequest) -> HttpResponse:
    """Keep a query, for oneself or for all."""
    name, condition = request.POST.get("name", "").strip()[:100], request.POST.get("condition", "").strip()
    if not name or not condition:
        messages.error(request, _("请先查询，再给方案起名"))
        return redirect("query")
    SavedQuery.objects.create(
        account_id=rights(request).account.pk,
        name=name,
        condition=condition,
        shared=bool(request.POST.get("shared")),
    )
    messages.success(request, _("已保存"))
    return redirect(f"{reverse('query')}?{urlencode({'condition': condition})}")


@door("people.query", methods=("POST",))
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one's own query."""
    get_object_or_404(SavedQuery, pk=pk, account_id=request.user.pk).delete()
    messages.success(request, _("已删除"))
    return redirect("query")


# -- cross tables -----------------------------------------------------------------------------------------------

UNKNOWN = "—"
DIMENSIONS = {
    "sex": (gettext_lazy("性别"), "sex"), "age": (gettext_lazy("年龄段"), "birth"), "education": (gettext_lazy("最高学历"), "education"),
    "political_status": (gettext_lazy("政治面貌"), "political_status"), "ethnic_group": (gettext_lazy("民族"), "ethnic_group"),
    "level": (gettext_lazy("职务层次"), "level"), "rank": (gettext_lazy("职级"), "rank"), "management": (gettext_lazy("管理类别"), "management"),
    "status": (gettext_lazy("管理状态"), "status"), "unit": (gettext_lazy("所在机构"), "node__name"),
}  # fmt: skip


def _cell(dimension: str, label: str) -> str:
    """A row or column as an address has it: an age band by its lowest age, the same in every language."""
    if dimension == "age":
        label = next((str(low) for low, _high, text in AGE_BANDS if str(text) == label), label)
    return f"{dimension}:{label}"


def _band_label(birth: str, day: date) -> str:
    age = age_of(birth, day)
    return (
        UNKNOWN if age is None else next(str(label) for low, high, label in AGE_BANDS if low <= age <= high)
    )


def _band(low: str) -> Q:
    """Whoever is in an age band today, by birth; the same arithmetic as the label, asked of every birth there is."""
    day = date.today()
    label = next((str(text) for least, _high, text in AGE_BANDS if str(least) == low), low)
    births = Card.objects.order_by().values_list("birth", flat=True).distinct()
    return one_of("birth", [birth for birth in births if _band_label(birth, day) == label])


@door("people.query")
def cross(request: HttpRequest) -> HttpResponse:
    """Two dimensions, counts, shares; every cell opens the people in it."""
    may = rights(request)
    when = as_of(request)
    wrong = when.wrong
    condition = request.GET.get("condition", "").strip()
    down, across = request.GET.get("down", "age"), request.GET.get("across", "sex")
    context: dict[str, Any] = {"dimensions": [(k, v[0]) for k, v in DIMENSIONS.items()], "down": down, "across": across, "condition": condition, "when": when}  # fmt: skip
    if down not in DIMENSIONS or across not in DIMENSIONS or down == across:
        wrong = wrong or _("请选两个不同的项目")
    try:
        if not wrong:
            cards = chosen(may, condition, when).order_by()
            counts: Counter[tuple[str, str]] = Counter()
            if when.dated:
                counts.update((_told(card, down, when), _told(card, across, when)) for card in _then(cards, when))  # fmt: skip
            else:
                fields = (DIMENSIONS[down][1], DIMENSIONS[across][1])
                for first, second, number in cards.values_list(*fields).annotate(n=Count("pk")):
                    counts[_shown(down, first, when.day), _shown(across, second, when.day)] += number
            context |= _table(counts, down, across, {"condition": condition, **when.asked})
            if "xlsx" in request.GET:
                may.require("people.export")
                audit.append(
                    "export", "", kind="cross", condition=condition, down=down, across=across, **when.asked
                )
                rows = [
                    [row["label"], *(cell["n"] for cell in row["cells"]), row["total"]]
                    for row in context["rows"]
                ]
                return workbook(request, "cross.xlsx", titled(_("交叉统计"), when), [str(DIMENSIONS[down][0]), *context["columns"], _("合计")], rows)  # type: ignore[return-value]  # fmt: skip
    except GanbuError as error:
        wrong = str(error)
    return render(
        request, "web/cross.html", {**context, "wrong": wrong, "rights": may}, status=422 if wrong else 200
    )


def _shown(dimension: str, value: Any, day: date) -> str:
    return _band_label(value or "", day) if dimension == "age" else value or UNKNOWN


def _ordered(dimension: str, labels: set[str]) -> list[str]:
    words = vocabulary().codes
    table = {"education": "education_level", "level": "post_level", "rank": "rank"}.get(dimension, "")
    order: list[str] = [str(label) for _low, _high, label in AGE_BANDS] if dimension == "age" else list(words[table].order) if table in words else []  # fmt: skip
    return sorted(labels, key=lambda w: (w == UNKNOWN, order.index(w) if w in order else 999, w))


def _table(counts: Counter[tuple[str, str]], down: str, across: str, asked: dict[str, str]) -> dict[str, Any]:
    rows = _ordered(down, {first for first, _second in counts})
    columns = _ordered(across, {second for _first, second in counts})
    total = sum(counts.values())

    def link(**cell: str) -> str:
        return f"{reverse('query')}?{urlencode({**asked, **cell})}"

    most = max((sum(counts[r, c] for c in columns) for r in rows), default=1) or 1
    return {
        "columns": columns,
        "total": total,
        "totals": [{"n": sum(counts[r, c] for r in rows), "url": link(column=_cell(across, c))} for c in columns],
        "rows": [
            {
                "label": r, "total": sum(counts[r, c] for c in columns), "url": link(row=_cell(down, r)),
                "share": round(100 * sum(counts[r, c] for c in columns) / total, 1) if total else 0,
                "cells": [{"n": counts[r, c], "url": link(row=_cell(down, r), column=_cell(across, c))} for c in columns],
                "bars": _bars([counts[r, c] for c in columns], most),
            }
            for r in rows
        ],
    }  # fmt: skip


def _bars(numbers: list[int], most: int) -> list[dict[str, Any]]:
    """The parts of one stacked bar, 300 wide for the largest row."""
    found, x = [], 0.0
    for at, number in enumerate(numbers):
        width = round(300 * number / most, 1)
        found.append({"x": x, "width": width, "kind": f"k{at % 5 + 1}", "n": number})
        x = round(x + width, 1)
    return found
