"""Findings of the rules (规则结论): what is to be acted on, and the reasons of each."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import door
from ganbu.access.perms import Rights, rights
from ganbu.errors import GanbuError
from ganbu.findings import kept, services
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.records import queries
from ganbu.records.local import vocabulary
from ganbu.records.models import MODELS, Card
from ganbu.web.sheets import workbook


def visible_findings(may: Rights, run: EvaluationRun) -> QuerySet[Finding]:
    """The findings of a run about people, teams and units that somebody may see; others only for the whole corps."""
    found = Finding.objects.filter(run=run)
    for register in vocabulary().registers.values():
        if register.secrecy == "sensitive" and not may.everywhere("rules.read", register):
            found = found.exclude(reads__contains=f"|{register.name}|")
    scope = may.scope("rules.read")
    if scope.everybody:
        return found
    people = queries.visible(scope).order_by().values("pk")
    units = queries.visible_units(scope).order_by().values("unit")
    team: Any = MODELS["team"]
    teams = team.objects.filter(superseded_at__isnull=True, f_unit__in=units).values("f_team_id")
    return found.filter(
        Q(register="person", subject__in=people) | Q(register="unit", subject__in=units) | Q(register="team", subject__in=teams)
    )  # fmt: skip


def findings_on(may: Rights, card: Card, run: EvaluationRun) -> QuerySet[Finding]:
    """What a run found of one person, without what rests on registers that the account may not see of them."""
    found = Finding.objects.filter(run=run, register="person", subject=card.pk)
    hidden = [r.name for r in vocabulary().registers.values() if r.secrecy == "sensitive" and not may.sees(r)]
    for name in hidden:
        found = found.exclude(reads__contains=f"|{name}|")
    return found


@door("rules.read")
def findings(request: HttpRequest) -> HttpResponse:
    """All findings of the last run, by rule and outcome; as a workbook too."""
    may = rights(request)
    run = EvaluationRun.objects.first()
    if run is None:
        return render(request, "web/findings.html", {"run": None})
    found = visible_findings(may, run)
    counts = list(found.values("policy", "outcome").annotate(n=Count("pk")).order_by("policy", "-n"))
    asked = {name: request.GET.get(name, "") for name in ("policy", "outcome", "q")}
    if asked["policy"]:
        found = found.filter(policy=asked["policy"])
    if asked["outcome"]:
        found = found.filter(outcome=asked["outcome"])
    if asked["q"]:
        found = found.filter(name__contains=asked["q"])
    found = found.order_by("policy", "outcome", "due", "pk")
    if "xlsx" in request.GET and may.may("people.export"):
        rows = found.values_list("name", "subject", "policy", "outcome", "due", "grounds", "missing", "pack")
        audit.append("export", asked["policy"], kind="findings", rows=found.count())
        head = [_("名称"), _("编号"), _("规则"), _("结果"), _("期限"), _("依据"), _("缺少"), _("规则包")]
        return workbook(request, "findings.xlsx", _("规则结论"), head, rows.iterator(2000))  # type: ignore[return-value]
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    return render(
        request,
        "web/findings.html",
        {"run": run, "page": page, "counts": counts, "asked": asked, "rights": may},
    )


@door("rules.read", methods=("POST",))
def run(request: HttpRequest) -> HttpResponse:
    """Ask for a fresh evaluation; the worker does it."""
    services.want_run()
    messages.success(request, _("已排队评估，完成后本页显示新的结论"))
    return redirect("findings")


@door("rules.read", "own.read")
def reasons(request: HttpRequest, pk: int) -> HttpResponse:
    """Why: every clause, the facts it saw, the rows behind them, parameters and sources."""
    may = rights(request)
    finding = get_object_or_404(Finding.objects.select_related("run"), pk=pk)
    card = Card.objects.filter(pk=finding.subject).first() if finding.register == "person" else None
    own = card is not None and card.pk == may.account.person and findings_on(queries.rights_on(may, card), card, finding.run).filter(pk=pk).exists()  # fmt: skip
    if not own and not (may.may("rules.read") and visible_findings(may, finding.run).filter(pk=pk).exists()):
        audit.append("refused", request.path[:200], wanted="rules.read")
        raise Http404
    told, wrong = None, ""
    try:
        told = services.reasons(finding.pack, finding.policy, finding.subject, finding.run.as_of)
    except GanbuError as error:
        wrong = str(error)
    if told is not None:
        unseen = {r.label for r in vocabulary().registers.values() if not may.sees(r) and r.name != "person"}
        for clause in told.clauses:
            for fact in clause.facts:
                fact.records = [r for r in fact.records if r.get("登记表") not in unseen]
    past = kept.past(finding.pack, finding.policy, finding.subject)
    return render(
        request, "web/reasons.html", {"finding": finding, "told": told, "wrong": wrong, "past": past}
    )
