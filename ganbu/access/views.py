"""Entering and leaving (登录), the second factor, passwords; accounts for the system administrator, grants for the security administrator."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date
from io import BytesIO
from typing import Any

import segno
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django_otp import login as otp_login
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from ganbu.access import audit, services
from ganbu.access.middleware import ANYBODY, SIGNED_IN, View, door, verified
from ganbu.access.models import Account, AuditEntry, Grant
from ganbu.access.roles import purposes, roles


def entry(before: str) -> Callable[[View], View]:
    """Mark a page that is part of entering: open before the second `factor`, or after it before the new `password`."""

    def mark(view: View) -> View:
        view.entry = before  # type: ignore[attr-defined]
        return view

    return mark


def login_name(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """The name that failures are counted under: upper and lower case are the same account."""
    told = credentials or (request.POST if request is not None else {})
    return str(told.get("username") or "").strip().lower()


@door(ANYBODY, methods=("GET", "POST"))
def log_in(request: HttpRequest) -> HttpResponse:
    """Name and password."""
    form = AuthenticationForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        where = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(where, {request.get_host()}):
            where = "/"
        return redirect(where)
    return render(request, "access/login.html", {"form": form, "next": request.GET.get("next", "")}, status=401 if form.errors else 200)  # fmt: skip


def locked_out(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    """After too many failures."""
    return render(request, "access/locked.html", status=429)


@entry("factor")
@door(SIGNED_IN, methods=("POST",))
def log_out(request: HttpRequest) -> HttpResponse:
    """Leave."""
    logout(request)
    return redirect("login")


@entry("factor")
@door(SIGNED_IN, methods=("GET", "POST"))
def second_factor(request: HttpRequest) -> HttpResponse:
    """Set up a one-time password app, or give its code; spare codes are shown once."""
    account = request.user
    device = TOTPDevice.objects.filter(user=account).order_by("-confirmed").first()
    if device is None:
        device = TOTPDevice.objects.create(user=account, name="app", confirmed=False)
    code = request.POST.get("code", "").strip().replace(" ", "")
    if request.method == "POST":
        spare = StaticDevice.objects.filter(user=account).first()
        if device.verify_token(code):
            fresh = not device.confirmed
            device.confirmed = True
            device.save()
            otp_login(request, device)
            audit.append("login.second", account.get_username())
            if fresh:
                return render(request, "access/spare.html", {"codes": _spare(account)})
            return redirect("home")
        if spare is not None and spare.verify_token(code):
            otp_login(request, spare)
            audit.append("login.spare", account.get_username())
            return redirect("home")
        audit.append("login.second.refused", account.get_username())
        messages.error(request, _("验证码不对，请看手机上现在的六位数字"))
    picture = ""
    if not device.confirmed:
        stream = BytesIO()
        segno.make(device.config_url).save(stream, kind="svg", scale=5, border=2)
        picture = "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
    key = base64.b32encode(device.bin_key).decode() if picture else ""
    return render(request, "access/second_factor.html", {"picture": picture, "key": key})


def _spare(account: object) -> list[str]:
    device, _made = StaticDevice.objects.get_or_create(user=account, name="spare")
    device.token_set.all().delete()
    codes = [StaticToken.random_token() for _n in range(8)]
    StaticToken.objects.bulk_create([StaticToken(device=device, token=code) for code in codes])
    return codes


@entry("password")
@door(SIGNED_IN, methods=("GET", "POST"))
def password(request: HttpRequest) -> HttpResponse:
    """Change one's password."""
    account: Any = request.user
    if request.method == "POST":
        old, new, again = (request.POST.get(name, "") for name in ("old", "new", "again"))
        problem = ""
        if not account.check_password(old):
            problem = _("原密码不对")
        elif new != again:
            problem = _("两次输入的新密码不同")
        elif new == old:
            problem = _("新密码不能与原密码相同")
        else:
            try:
                services.set_password(account, new, by_owner=True)
            except services.AccessError as error:
                problem = str(error)
        if not problem:
            device = account.otp_device if verified(request) else None
            login(
                request,
                account,
                backend="django.contrib.auth.backends.ModelBackend",
            )
            if device is not None:
                otp_login(request, device)
            messages.success(request, _("密码已更改"))
            return redirect("home")
        messages.error(request, problem)
    return render(request, "access/password.html")


@door("accounts.manage", methods=("GET", "POST"))
def accounts(request: HttpRequest) -> HttpResponse:
    """Accounts: make, enable, disable, give a new password (系统管理员)."""
    if request.method == "POST":
        try:
            made = services.create_account(
                request.POST.get("username", "").strip(), request.POST.get("name", "").strip(),
                request.POST.get("password", ""), request.POST.get("person", "").strip(),
            )  # fmt: skip
            messages.success(request, _("已建立账号 %(name)s；角色由安全保密管理员授予") % {"name": made})
            return redirect("accounts")
        except services.AccessError as error:
            messages.error(request, str(error))
    page = Paginator(Account.objects.order_by("username"), 50).get_page(request.GET.get("page"))
    return render(request, "access/accounts.html", {"page": page})


@door("accounts.manage", methods=("POST",))
def account_act(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """One act on one account: enable, disable, password, factor (forget the second factor)."""
    account = get_object_or_404(Account, pk=pk)
    try:
        if act in ("enable", "disable"):
            if account.pk == request.user.pk:
                raise services.AccessError(_("不能停用自己的账号"))
            services.set_active(account, act == "enable")
        elif act == "password":
            services.set_password(account, request.POST.get("password", ""), by_owner=False)
        elif act == "factor":
            services.forget_factor(account)
        else:
            return HttpResponse(status=404)
        messages.success(request, _("已办理"))
    except services.AccessError as error:
        messages.error(request, str(error))
    return redirect("accounts")


@door("grants.manage", methods=("GET", "POST"))
def grants(request: HttpRequest) -> HttpResponse:
    """Roles and scopes (安全保密管理员)."""
    if request.method == "POST":
        account = get_object_or_404(Account, username__iexact=request.POST.get("account", "").strip())
        until = request.POST.get("until", "")
        try:
            services.grant(
                account, request.POST.get("role", ""), request.POST.get("unit", "").strip(),
                tuple(request.POST.getlist("managements")), request.POST.get("purpose", "").strip(),
                date.fromisoformat(until) if until else None,
            )  # fmt: skip
            messages.success(request, _("已授权"))
            return redirect("grants")
        except (services.AccessError, ValueError) as error:
            messages.error(request, str(error))
    page = Paginator(Account.objects.prefetch_related("grants").order_by("username"), 50).get_page(request.GET.get("page"))  # fmt: skip
    from ganbu.vocabulary import load_vocabulary

    levels = load_vocabulary().codes["management_category"].names()
    return render(
        request,
        "access/grants.html",
        {"page": page, "roles": roles().values(), "purposes": purposes().values(), "levels": levels},
    )


@door("grants.manage", methods=("POST",))
def grant_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """An account whose password or factor somebody reset is its owner's: its grants hold again."""
    services.confirm(get_object_or_404(Account, pk=pk))
    messages.success(request, _("已确认，授权恢复"))
    return redirect("grants")


@door("grants.manage", methods=("POST",))
def grant_take(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a grant back."""
    services.revoke(get_object_or_404(Grant, pk=pk))
    messages.success(request, _("已收回"))
    return redirect("grants")


@door("audit.read")
def audit_page(request: HttpRequest) -> HttpResponse:
    """The audit entries, newest first; filtered by account, action, object and day."""
    found = AuditEntry.objects.select_related("account")
    asked = {name: request.GET.get(name, "").strip() for name in ("actor", "action", "subject", "day")}
    if asked["actor"]:
        found = found.filter(actor__contains=asked["actor"])
    if asked["action"]:
        found = found.filter(action__startswith=asked["action"])
    if asked["subject"]:
        found = found.filter(subject__contains=asked["subject"])
    if asked["day"]:
        try:
            found = found.filter(at__date=date.fromisoformat(asked["day"]))
        except ValueError:
            messages.error(request, _("日期应写作 2026-06-30"))
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    return render(request, "access/audit.html", {"page": page, "asked": asked})


@door("audit.read", methods=("POST",))
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Prove the chain."""
    wrong = list(audit.verify())
    count, digest = audit.head()
    audit.append("audit.verify", "", wrong=len(wrong))
    return render(request, "access/verified.html", {"wrong": wrong, "count": count, "digest": digest})
