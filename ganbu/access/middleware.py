"""Closed by default (默认关闭): a view is open only to whom its door lets in, and every refusal is an audit entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import MiddlewareNotUsed, PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from ganbu.access import audit
from ganbu.access.current import acting
from ganbu.access.perms import rights

View = Callable[..., HttpResponseBase]
SLOW = logging.getLogger("ganbu.slow")
ANYBODY, SIGNED_IN = "anybody", "signed in"


def door(*actions: str, methods: tuple[str, ...] = ("GET",)) -> Callable[[View], View]:
    """A view's door: the actions of which one is needed, and the HTTP methods it answers."""

    def close(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.method not in (*methods, "HEAD" if "GET" in methods else ""):
                return HttpResponse(status=405, headers={"Allow": ", ".join(methods)})
            if actions[0] not in (ANYBODY, SIGNED_IN):
                rights(request).require(*actions)
            return view(request, *args, **kwargs)

        guarded.door, guarded.methods = actions, methods  # type: ignore[attr-defined]
        return guarded

    return close


class ClosedDoors:
    """Lets nobody in without log-in, second factor and a view with a door; tells the audit chain who it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request as the account that makes it."""
        account = request.user if request.user.is_authenticated else None
        address = request.META.get("REMOTE_ADDR", "")
        with acting(account, "未登录", address):
            response = self.get_response(request)
        if account is not None:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: View, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Turn away whoever is not signed in, has been idle, owes a second factor or a new password."""
        if any("\x00" in text for text in (request.path, *_texts(request.GET), *_texts(request.POST))):
            return HttpResponse(status=400)  # no database takes it
        actions = getattr(view, "door", None)
        if actions == (ANYBODY,):
            return None
        if not request.user.is_authenticated:
            return redirect(f"{_path('login')}?{urlencode({'next': request.get_full_path()})}")
        if actions is None:
            raise PermissionDenied("没有门的页面")
        if _idle(request):
            logout(request)
            return redirect("login")
        early = getattr(view, "entry", "")
        if early == "factor":
            return None
        if settings.SECOND_FACTOR and not verified(request):
            return redirect("second-factor")
        if request.user.must_change and early != "password":
            return redirect("password")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """A refusal is an audit entry."""
        if isinstance(error, PermissionDenied):
            with transaction.atomic():
                audit.append("refused", request.path[:200], method=request.method, wanted=str(error))


class SlowQueries:
    """Writes statements that took too long to the log, with the page that asked (慢查询日志); off unless switched on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.SLOW_QUERY_MS:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, watching every statement; values are not written down, only their places."""

        def timed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            begun = time.monotonic()
            try:
                return execute(sql, params, many, context)
            finally:
                took = (time.monotonic() - begun) * 1000
                if took >= settings.SLOW_QUERY_MS:
                    SLOW.warning("%.0f ms %s %s", took, request.path, sql)

        with connection.execute_wrapper(timed):
            return self.get_response(request)


class BehindProxy:
    """Takes the address of the browser from the proxy in front, where there is one (反向代理)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The last address in the header is the one that our proxy saw; those before it anybody can write."""
        told = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.BEHIND_PROXY else ""
        if last := told.rpartition(",")[2].strip():
            request.META["REMOTE_ADDR"] = last
        return self.get_response(request)


def _texts(told: QueryDict) -> list[str]:
    return [text for name, values in told.lists() for text in (name, *map(str, values))]


def verified(request: HttpRequest) -> bool:
    """Whether the second factor was given; django-otp's middleware puts the question on the user."""
    asked: Any = request.user
    return bool(asked.is_verified())


def _path(name: str) -> str:
    from django.urls import reverse

    return reverse(name)


def _idle(request: HttpRequest) -> bool:
    """Whether nothing came for too long; noted at most once a minute."""
    now = datetime.now().timestamp()
    seen = request.session.get("seen", now)
    if now - seen > settings.SESSION_IDLE_MINUTES * 60:
        return True
    if now - seen > 60 or "seen" not in request.session:
        request.session["seen"] = now
    return False
