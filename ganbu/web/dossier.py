"""Pages of the personnel file (干部人事档案): the queue, a person's file, an audit, an issue, what is missing, growth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit as chain
from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.dates import PartialDate
from ganbu.errors import GanbuError
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.findings.services import drawn_before, reasons
from ganbu.records import queries
from ganbu.records.dossier import audits, issues, materials
from ganbu.records.dossier.paper import confirmation
from ganbu.records.dossier.rules import rules
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card, UnitNode
from ganbu.records.tables import typed
from ganbu.records.writing import current_row, row_values
from ganbu.vocabulary import load_vocabulary
from ganbu.web.asof import looked, rows_on
from ganbu.web.people import card_or_404, over, sensitive_read, told_of
from ganbu.web.sheets import workbook

Row = dict[str, Any]
VIEWS = ("due", "issues", "materials", "closed")
MOST_RECHECKED = 20
MOST_ENTRIES = 60


def codes(table: str) -> tuple[str, ...]:
    """The words of a code table."""
    return load_vocabulary().codes[table].names()


# -- the queue ------------------------------------------------------------------------------------------------------


@door("files.read")
def files(request: HttpRequest) -> HttpResponse:
    """What is to be done about files: audits under way, issues, materials that wait, audits closed."""
    view = request.GET.get("view", "due")
    view = view if view in VIEWS else "due"
    cards = queries.visible(rights(request).scope("files.read"))
    inside = cards.order_by().values("pk")
    context: Row = {"view": view, "views": VIEWS, "today": audits.today()}
    if view == "materials":
        lines = materials.aging(cards, date.today())
        names = dict(cards.filter(pk__in={key for key, _v, _d in lines}).order_by().values_list("pk", "name"))
        context["lines"] = [(key, names[key], values, days) for key, values, days in lines]
        return render(request, "web/file_queue.html", context)
    name = "file_issue" if view == "issues" else "file_audit"
    model: Any = MODELS[name]
    rows = model.objects.filter(superseded_at__isnull=True, f_person__in=inside)
    rows = rows.filter(f_closed_on__isnull=view != "closed")
    order = {"due": "f_opened_on", "issues": "f_due_on", "closed": "-f_closed_on"}[view]
    page = Paginator(rows.order_by(order, "row"), 50).get_page(request.GET.get("page"))
    names = dict(Card.objects.filter(pk__in={row.f_person for row in page}).values_list("pk", "name"))
    if view == "issues":
        sensitive_read(request, "", ["file_issue"])
        known = audits.register(name)
        context["lines"] = [(names.get(row.f_person, ""), row_values(known, row)) for row in page]
    else:
        context["lines"] = [(names.get(one.person, ""), one) for one in audits.with_signatures(page)]
    return render(request, "web/file_queue.html", context | {"page": page})


# -- the file of a person -------------------------------------------------------------------------------------------


@door("files.read", "files.send")
def file(request: HttpRequest, person: str) -> HttpResponse:
    """The file of one person: audits and issues, materials by class, what is missing, who had it."""
    card, may = over(request, person, "files.read" if rights(request).may("files.read") else "files.send")
    when = looked(request)
    rows = rows_on(queries.held(card.pk, registers=[*materials.wanted(), *audits.READ]), when)
    if when.dated:  # what was can be looked at, and no more
        may = may.only("files.read", "people.read")
    found = materials.dossier_of(rows)
    context: Row = {
        "rights": may, "when": when,
        "card": card, "file": found, "has_materials": any(found.materials.values()), "classes": codes("material_class"), "intake": rules().intake,
        "stages": codes("file_stage"), "schemes": list(rules().schemes), "stated": _stated(),
    }  # fmt: skip
    if may.may("files.read"):
        sensitive_read(request, card.pk, ["file_issue"])
        context["audits"] = audits.audits_among(card.pk, rows)
        context["reusable"] = audits.reusable(card.pk)
    return render(request, "web/file_person.html", context)


def _stated() -> list[Any]:
    fields = load_vocabulary().registers["person"].fields
    return [fields[e.field] for e in rules().elements.values() if e.dated]


@door("files.review", methods=("POST",))
def open_audit(request: HttpRequest, person: str) -> HttpResponse:
    """Begin an audit of a file, or use the last one again."""
    card = card_or_404(request, person, "files.review")
    told = {n: request.POST.get(n, "").strip() for n in ("scheme", "stage", "matter", "target", "unit_conclusion")}  # fmt: skip
    try:
        identity = audits.open_audit(card.pk, **told, reuse="reuse" in request.POST)
    except GanbuError as error:
        messages.error(request, str(error))
        return redirect("file", card.pk)
    return redirect("file-audit", identity)


def _audit(
    request: HttpRequest, identity: str, action: str = "files.read"
) -> tuple[audits.Audit, Card, Rights]:
    found = audits.audit_of(identity)
    if found is None:
        raise Http404
    return found, *over(request, found.person, action)


@door("files.read", methods=("GET", "POST"))
def audit(request: HttpRequest, identity: str) -> HttpResponse:
    """An audit: what each reviewer said of each element; whoever may, signs the round that is due."""
    found, card, may = _audit(request, identity)
    if not may.sees(audits.register("file_review")):
        raise PermissionDenied("file_review")
    lines = {name: _line(request.POST, name) for name in rules().elements}
    wrong = ""
    if request.method == "POST":
        may.require("files.review")
        try:
            after = audits.review(identity, may.account, lines)
            messages.success(request, _("已审结：%(outcome)s") % {"outcome": after.values["conclusion"]} if after.values.get("closed_on") else _("已签署"))  # fmt: skip
            return redirect("file-audit", identity)
        except GanbuError as error:
            wrong = str(error)
    sensitive_read(request, found.person, ["file_review"])
    barred = audits.recusal(found.person, may.account) or (_("您已签署过一轮") if found.signed_by(str(may.account)) else "")  # fmt: skip
    opened: Any = MODELS["file_audit"].objects.filter(f_file_audit_id=identity).order_by("row").first()  # type: ignore[attr-defined]
    told = audits.declared(found.person) | {"任职资格": str(found.values.get("target") or "")}
    first = found.by_element  # what the round before found is there to be confirmed; the result is one's own
    elements = [
        {"element": e, "declared": told.get(e.name, ""), "reviews": found.by_element.get(e.name, []), "line": lines[e.name] if request.method == "POST" else _before(first.get(e.name, []))}
        for e in rules().elements.values()
    ]  # fmt: skip
    return render(request, "web/file_audit.html", {
        "rights": may, "audit": found, "card": card, "elements": elements, "barred": barred, "wrong": wrong, "results": [r for r in codes("file_result") if r != audits.DETERMINED],
        "news": _news(may, found, opened), "reviews": bool(found.due and may.may("files.review") and not barred),
    }, status=422 if wrong else 200)  # fmt: skip


def _news(may: Any, found: audits.Audit, opened: Any) -> list[tuple[Any, int]]:
    """What came in since the audit before this one, or since this one was closed, by register."""
    earlier = [a for a in audits.audits_of(found.person) if a.row < found.row and a.values.get("closed_on")]
    if found.values.get("closed_on"):
        moment = MODELS["file_audit"].objects.get(row=found.row).recorded_at  # type: ignore[attr-defined]
    elif earlier:
        moment = MODELS["file_audit"].objects.get(row=earlier[0].row).recorded_at  # type: ignore[attr-defined]
    else:
        return []
    registers = vocabulary().registers
    since = audits.since(found.person, moment)
    return [(registers[name], len(of)) for name, of in since.items() if may.sees(registers[name])]


def _before(reviews: list[queries.Held]) -> audits.Line:
    told = reviews[-1].values if reviews else {}
    return audits.Line("", *(str(told.get(n) or "") for n in ("found", "material", "page")))


def _line(posted: Any, name: str) -> audits.Line:
    told = {n: posted.get(f"{name}.{n}", "").strip() for n in ("result", "found", "material", "page", "note")}
    return audits.Line(**told)


@door("files.review", methods=("POST",))
def sign(request: HttpRequest, identity: str) -> HttpResponse:
    """The person signed the confirmation form, or refused."""
    _audit(request, identity, "files.review")
    told = request.POST
    try:
        audits.sign(
            identity, told.get("signed") == "yes", told.get("element", ""), told.get("proof", "").strip()
        )
        messages.success(request, _("已登记"))
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("file-audit", identity)


@door("files.read")
def form(request: HttpRequest, identity: str) -> HttpResponse:
    """The confirmation form as pdf."""
    found, card, may = _audit(request, identity)
    if not may.sees(audits.register("file_review")):
        raise PermissionDenied("file_review")
    if not found.values.get("closed_on"):
        raise Http404
    try:
        content = confirmation(found, card.name, _("组织（人事）部门"))
    except GanbuError as error:
        messages.error(request, str(error))
        return redirect("file-audit", identity)
    chain.append("print", found.person, kind="file_audit", audit=identity)
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{identity}.pdf"'
    return response


# -- issues -----------------------------------------------------------------------------------------------------------


@door("files.read", methods=("GET", "POST"))
def issue(request: HttpRequest, identity: str) -> HttpResponse:
    """An issue: who looks into it until when, how it was cleared up, which decisions used the old value."""
    known = audits.register("file_issue")
    row = current_row(known, identity)
    if row is None:
        raise Http404
    card, may = over(request, row.f_person, "files.read")
    if not may.sees(known):
        raise PermissionDenied("file_issue")
    wrong = ""
    if request.method == "POST":
        may.require("files.review")
        try:
            _act_on_issue(request, identity)
            return redirect("file-issue", identity)
        except GanbuError as error:
            wrong = str(error)
    sensitive_read(request, card.pk, ["file_issue"])
    values = row_values(known, row)
    used = drawn_before(card.pk, row.recorded_at) if may.may("rules.read") else []
    context = {
        "rights": may, "card": card, "issue": values, "wrong": wrong, "posted": request.POST, "conclusions": list(rules().settled),
        "owners": codes("file_issue_owner"), "told": issues.value_at(identity), "used": used,
        "hold": current_row(audits.register("effect"), f"hold-{identity}"), "today": audits.today(),
    }  # fmt: skip
    if "recheck" in request.GET:
        context["rechecked"] = [(one, _again(one)) for one in used[:MOST_RECHECKED]]
    return render(request, "web/file_issue.html", context, status=422 if wrong else 200)


def _act_on_issue(request: HttpRequest, identity: str) -> None:
    told = {k: v.strip() for k, v in request.POST.items() if isinstance(v, str)}
    act = told.get("act")
    if act == "note":
        fields = audits.register("file_issue").fields
        values = {
            name: typed(audits.register("file_issue"), fields[name], told[name]) if told.get(name) else None
            for name in ("materials", "due_on", "owner", "review_on")
        }
        issues.note_issue(identity, values)
        messages.success(request, _("已登记"))
    elif act == "reopen":
        issues.reopen(identity, told.get("reason", ""))
        messages.success(request, _("已重新核查，效力恢复"))
    else:
        verdict = issues.Verdict(*(told.get(n, "") for n in ("conclusion", "report", "basis", "determined")))
        corrected = issues.resolve(identity, rights(request).account, verdict)
        messages.success(request, _("已办结") + (_("；已更正%(fields)s，请核对用过原值的结论") % {"fields": _("、").join(corrected)} if corrected else ""))  # fmt: skip


def _again(one: Finding) -> str:
    """What a policy says today of a person on the day of an earlier conclusion."""
    try:
        return str(reasons(one.pack, one.policy, one.subject, one.run.as_of).outcome)
    except GanbuError as error:
        return str(error)


# -- materials and custody -----------------------------------------------------------------------------------------


@door("files.keep", "files.send", methods=("POST",))
def custody(request: HttpRequest, person: str) -> HttpResponse:
    """Hand in, file, send back, lend, give back, transfer: one entry of the log each."""
    may, told = rights(request), request.POST
    act = told.get("act", "")
    action = "files.send" if act in ("deliver", "again") and not may.may("files.keep") else "files.keep"
    may.require(action)
    card = card_or_404(request, person, action)
    acts: dict[str, Callable[[], object]] = _acts(card, may.account.name, told)
    if act not in acts:
        raise Http404
    entry = told.get("entry", "")
    if entry and _whose(entry) != card.pk:
        raise Http404
    try:
        acts[act]()
        messages.success(request, _("已登记"))
    except GanbuError as error:
        messages.error(request, str(error))
    return redirect("file", card.pk)


def _whose(entry: str) -> str:
    row = current_row(audits.register("custody"), entry)
    return str(row.f_person) if row is not None else ""


def _acts(card: Card, who: str, told: Any) -> dict[str, Callable[[], object]]:
    text = {k: v.strip() for k, v in told.items()}
    entry, checks = text.get("entry", ""), told.getlist("check")
    get = text.get
    return {
        "deliver": lambda: materials.deliver(card.pk, _material(text), get("giver") or who, checks),
        "again": lambda: materials.deliver_again(entry, who, checks),
        "file": lambda: materials.file_material(entry, who, checks, {f.name: get(f"stated.{f.name}", "") for f in _stated()}),
        "back": lambda: materials.send_back(entry, who, get("reason", "")),
        "lend": lambda: materials.lend(card.pk, get("borrower", ""), get("reason", ""), who),
        "return": lambda: materials.give_back(entry, who),
        "transfer": lambda: materials.transfer(card.pk, card.name, get("to", ""), get("carrier", ""), get("slip", "")),
        "receipt": lambda: materials.receipt(entry, who),
        "arrive": lambda: materials.arrive(card.pk, get("origin", ""), get("slip", ""), who, get("reason", "")),
        "accept": lambda: materials.accept(entry, who),
    }  # fmt: skip


def _material(text: dict[str, str]) -> Row:
    register = audits.register("custody")
    wanted = ("category", "material", "made_on", "pages", "copies", "original")
    return {n: typed(register, register.fields[n], text[n]) for n in wanted if text.get(n)}


@door("files.read")
def missing(request: HttpRequest) -> HttpResponseBase:
    """What is missing from the files of a unit, as a workbook to send there."""
    node = get_object_or_404(UnitNode, unit=request.GET.get("unit", ""))
    cards = queries.visible(rights(request).scope("files.read")).filter(node__path__startswith=node.path)
    people = list(cards.order_by("place", "pk").values_list("pk", "name", "post")[:5000])
    chain.append("export", "", kind="missing_materials", unit=node.unit, rows=len(people))
    head = [_("编号"), _("姓名"), _("现任职务"), _("缺少的材料"), _("类别"), _("对应事项")]

    def rows() -> Iterator[tuple[Any, ...]]:
        for key, name, post in people:
            for one in materials.dossier(key).missing:
                yield key, name, post, one.material, one.category, one.about

    return workbook(request, "missing.xlsx", _("缺少的档案材料"), head, rows())


# -- growth ---------------------------------------------------------------------------------------------------------


@door("people.read", "own.read")
def growth(request: HttpRequest, person: str) -> HttpResponse:
    """The growth file (成长档案): what the registers tell of how somebody grew, part by part, the newest first."""
    (card, may), words = over(request, person), vocabulary().registers
    when = looked(request)
    rows = rows_on(queries.held(card.pk), when)
    parts, seen = [], []
    for name, of in rules().growth.items():
        registers = [words[r] for r in of if r in words and may.sees(words[r])]
        seen += [r.name for r in registers if r.secrecy == "sensitive" and rows.get(r.name)]
        entries = [row for r in registers for row in rows.get(r.name, ())]
        entries.sort(key=lambda row: _when(row), reverse=True)
        parts.append((name, entries[:MOST_ENTRIES], len(entries)))
    told = iter(told_of(may, [row for _n, of, _c in parts for row in of]))
    shown = [
        (name, [(_when(row), row.register, next(told)) for row in of], count) for name, of, count in parts
    ]
    sensitive_read(request, card.pk, seen)
    run = EvaluationRun.objects.first() if may.may("rules.read") or may.may("own.read") else None
    owed = Finding.objects.filter(run=run, register="person", subject=card.pk, grounds__contains="未履行") if run else []  # fmt: skip
    return render(
        request,
        "web/growth.html",
        {
            "card": card,
            "parts": shown,
            "bare": [n for n, of, _c in shown if not of],
            "owed": owed,
            "when": when,
        },
    )


def _when(row: queries.Held) -> str:
    value = row.values.get(row.register.happened)
    return value.iso() if isinstance(value, PartialDate) else str(value or "")
