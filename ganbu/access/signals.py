"""Log-ins, log-outs and failures go into the audit chain (登录审计); an account has only so many sessions."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.dispatch import receiver

from ganbu.access import audit
from ganbu.access.models import SessionOf


@receiver(user_logged_in)
def _in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    audit.append("login", user.username, account=user)
    if not request.session.session_key:
        request.session.save()
    SessionOf.objects.get_or_create(account=user, key=request.session.session_key)
    kept = SessionOf.objects.filter(account=user).order_by("-id")
    surplus = [one.key for one in kept[settings.SESSIONS_PER_ACCOUNT :]]
    Session.objects.filter(session_key__in=surplus).delete()
    SessionOf.objects.filter(key__in=surplus).delete()


@receiver(user_logged_out)
def _out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None and user.is_authenticated:
        audit.append("logout", user.username, account=user)
        SessionOf.objects.filter(key=request.session.session_key).delete()


@receiver(user_login_failed)
def _failed(sender: Any, credentials: dict[str, Any], **kwargs: Any) -> None:
    audit.append("login.refused", str(credentials.get("username", ""))[:60])
