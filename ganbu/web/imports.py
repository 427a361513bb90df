"""Pages of an import (导入): drop files, look at what they would do, choose, apply, undo."""

from __future__ import annotations

import shutil
import uuid
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from ganbu.access import audit
from ganbu.access.middleware import View, door
from ganbu.access.perms import rights
from ganbu.errors import GanbuError
from ganbu.records import batches
from ganbu.records.books import template as book_template
from ganbu.records.models import ImportBatch, ImportItem
from ganbu.web.sheets import sheets, workbook


def whole(view: View) -> View:
    """Only for who may import for everybody: what files tell of may be anybody, and so may what an undoing takes back."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not rights(request).scope("people.import").everybody:
            raise PermissionDenied("people.import")
        return view(request, *args, **kwargs)

    return guarded


GRAVEST = ("error", "warning", "note")
SUFFIXES = (".lrmx", ".lrm", ".zip", ".pic", ".jpg", ".jpeg", ".xlsx", ".xls", ".xlsm")


@door("people.import", methods=("GET", "POST"))
@whole
def imports(request: HttpRequest) -> HttpResponse:
    """Batches so far, and the place to drop files."""
    if request.method == "POST":
        files = request.FILES.getlist("files")
        try:
            folder = _kept(files)
        except GanbuError as error:
            messages.error(request, str(error))
            return redirect("imports")
        title = files[0].name if len(files) == 1 else _("%(first)s 等 %(count)s 个文件") % {"first": files[0].name, "count": len(files)}  # fmt: skip
        batch = batches.open_batch(request.user, title or "", folder, bool(request.POST.get("prefer_new")))  # type: ignore[arg-type]
        audit.append("import.upload", str(batch.pk), files=len(files), title=title)
        return redirect("import", batch.pk)
    if "template" in request.GET:
        return sheets("import-template.xlsx", [(name, head, ()) for name, head in book_template()])  # type: ignore[return-value]
    page = Paginator(ImportBatch.objects.select_related("account").order_by("-pk"), 30).get_page(request.GET.get("page"))  # fmt: skip
    return render(request, "web/imports.html", {"page": page})


def _kept(files: list[UploadedFile[Any]]) -> Path:
    """Uploaded files in a folder of their own, by their plain names. Raises GanbuError."""
    if not files:
        raise GanbuError(_("没有选择文件"))
    size = sum(file.size or 0 for file in files)
    if size > settings.UPLOAD_LIMIT:
        raise GanbuError(_("文件共 %(size)s MB，超过上限 %(limit)s MB，请分批导入") % {"size": size >> 20, "limit": settings.UPLOAD_LIMIT >> 20})  # fmt: skip
    folder = settings.HOME / "uploads" / uuid.uuid4().hex
    folder.mkdir(parents=True, mode=0o700)
    for number, file in enumerate(files):
        name = PurePosixPath((file.name or "").replace("\\", "/")).name or f"{number}"
        if PurePosixPath(name).suffix.lower() not in SUFFIXES:
            shutil.rmtree(folder)
            raise GanbuError(_("%(name)s 不是 lrmx、lrm、xlsx、xls 或 zip 文件") % {"name": name})
        if len(name.encode()) > 200:
            name = f"{PurePosixPath(name).stem[:60]}{PurePosixPath(name).suffix}"
        target = folder / name
        if target.exists():
            target = folder / f"{number}-{name}"
        with target.open("wb") as stream:
            for chunk in file.chunks():
                stream.write(chunk)
    return folder


@door("people.import", methods=("GET", "POST"))
@whole
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """One batch: progress while it is read, then the preview with a choice for every difference."""
    found = get_object_or_404(ImportBatch, pk=pk)
    if request.method == "POST":
        act = request.POST.get("act", "")
        try:
            _act(request, found, act)
        except GanbuError as error:
            messages.error(request, str(error))
        return redirect("import", found.pk)
    if request.headers.get("HX-Request"):
        status = 286 if found.state not in ("waiting", "reading", "apply", "applying") else 200
        response = render(
            request, "web/import_progress.html", {"batch": found, "busy": status == 200}, status=status
        )
        if status == 286:
            response["HX-Refresh"] = "true"
        return response
    state = request.GET.get("state", "")
    items = found.items.order_by("pk")
    if state:
        items = items.filter(state=state)
    page = Paginator(items, 25).get_page(request.GET.get("page"))
    issues = list(
        found.issues.values("code", "severity")
        .annotate(n=Count("pk"), example=Min("message"))
        .order_by("severity", "-n")
    )
    issues.sort(key=lambda one: GRAVEST.index(one["severity"]))
    return render(request, "web/import.html", {"batch": found, "page": page, "state": state, "issues": issues, "busy": found.state in ("waiting", "reading", "apply", "applying")})  # fmt: skip


def _act(request: HttpRequest, found: ImportBatch, act: str) -> None:
    if act == "apply" and found.state == "ready":
        ImportBatch.objects.filter(pk=found.pk, state="ready").update(state="apply")
    elif act == "undo":
        batches.undo(found)
        messages.success(request, _("已整批撤销，档案恢复原样"))
    elif act == "drop" and found.state in ("ready", "failed"):
        ImportBatch.objects.filter(pk=found.pk).update(state="dropped")
        batches.discard(found)
    elif act in ("take", "person"):
        item = get_object_or_404(ImportItem, pk=request.POST.get("item"), batch=found)
        if act == "take":
            batches.choose(found, item, take=request.POST.getlist("take"))
            messages.success(request, _("已记下选择"))
        else:
            batches.choose(found, item, person=request.POST.get("person", ""))
            ImportBatch.objects.filter(pk=found.pk, state="ready").update(state="waiting")
    else:
        raise GanbuError(_("这一批现在不能这样办理"))


@door("people.import")
@whole
def issues(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The issues as a workbook."""
    found = get_object_or_404(ImportBatch, pk=pk)
    rows = found.issues.order_by("pk").values_list("file", "line", "field", "severity", "code", "message", "raw", "normalised")  # fmt: skip
    levels = {"error": _("错误"), "warning": _("提醒"), "note": _("说明")}
    told = (
        [f, line or "", field, levels.get(s, s), *rest] for f, line, field, s, *rest in rows.iterator(2000)
    )
    head = [_("文件"), _("行"), _("字段"), _("程度"), _("代号"), _("问题"), _("原文"), _("规整为")]
    audit.append("export", f"import {pk}", kind="issues", rows=found.issues.count())
    return workbook(request, f"import-{pk}-issues.xlsx", _("导入问题"), head, told)
