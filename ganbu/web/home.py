"""The first page (首页), help, and what is shown when something is refused, missing or broken."""

from __future__ import annotations

from typing import Any

from django.db.models import Avg, Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ganbu.access.middleware import SIGNED_IN, door
from ganbu.access.perms import rights
from ganbu.findings.models import EvaluationRun
from ganbu.records import queries
from ganbu.records.local import adopted, local_registers
from ganbu.records.models import MODELS, Change, ImportBatch, Request
from ganbu.web.findings import visible_findings

BUSY = ("waiting", "reading", "ready", "apply", "applying", "failed")


@door(SIGNED_IN)
def home(request: HttpRequest) -> HttpResponse:
    """What there is and what waits for somebody, by what they may see."""
    may = rights(request)
    told: dict[str, Any] = {"rights": may}
    if may.may("people.find"):
        cards = queries.visible(may.scope("people.find"))
        told["people"] = cards.order_by().aggregate(n=Count("pk"), complete=Avg("completeness"))
    if may.may("units.read"):
        told["units"] = queries.visible_units(may.scope("units.read")).count()
    if may.scope("people.import").everybody:
        told["batches"] = ImportBatch.objects.filter(state__in=BUSY).order_by("-pk")[:5]
    if may.may("requests.decide"):
        inside = queries.visible(may.scope("requests.decide")).order_by().values("pk")
        told["requests"] = Request.objects.filter(state="open", person__in=inside).count()
    if may.scope("people.write").everybody and may.everything:
        told["changes"] = Change.objects.order_by("-pk")[:8]
    if may.may("files.read"):
        inside = queries.visible(may.scope("files.read")).order_by().values("pk")
        audits: Any = MODELS["file_audit"]
        told["audits"] = audits.objects.filter(
            superseded_at__isnull=True, f_closed_on=None, f_person__in=inside
        ).count()
    if may.may("registers.write"):
        told["owed"] = [one for one in local_registers().values() if one.every and may.changes(one)]
    if may.may("rules.read"):
        run = EvaluationRun.objects.first()
        told["run"], told["packs"] = run, adopted()
        if run is not None:
            counts = visible_findings(may, run).values("policy", "outcome").annotate(n=Count("pk"))
            told["findings"] = counts.order_by("-n")[:10]
    return render(request, "web/home.html", told)


@door(SIGNED_IN)
def help_page(request: HttpRequest) -> HttpResponse:
    """How the daily things are done."""
    return render(request, "web/help.html")


def refused(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Not allowed."""
    return render(request, "403.html", status=403)


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Not there, or not for this account: nobody can tell which."""
    return render(request, "404.html", status=404)


def broken(request: HttpRequest) -> HttpResponse:
    """An error of ours."""
    return render(request, "500.html", status=500)
