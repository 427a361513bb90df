"""The audit chain (审计链): each entry carries the digest of the one before it, so that a changed byte shows.

The database refuses to change or delete entries (`append_only` in `records/triggers.py` does it for both databases);
whoever goes round the database is found by `verify`. The digest of the last entry, noted elsewhere, also proves that
none was cut off at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext as _

from ganbu.access.current import current
from ganbu.access.models import Account, AuditEntry

FIRST = "0" * 64
_LOCK = 7_203_411


def append(action: str, subject: str = "", account: Account | None = None, **detail: Any) -> AuditEntry:
    """Add an entry, in the transaction of what it tells of; the account is the one at the door unless given."""
    who = current()
    account = account or who.account
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        before = AuditEntry.objects.order_by("-id").values_list("digest", flat=True).first() or FIRST
        entry = AuditEntry(
            at=datetime.now(),
            account=account,
            actor=str(account) if account else who.name,
            address=who.address,
            action=action,
            subject=subject[:200],
            detail=json.loads(json.dumps(detail, ensure_ascii=False, default=str)),
            before=before,
        )
        entry.digest = digest(entry)
        entry.save(force_insert=True)
    return entry


def digest(entry: AuditEntry) -> str:
    """The digest of an entry: SHA-256 over all it says and the digest before it."""
    told = [
        entry.before, entry.at.isoformat(), entry.account_id, entry.actor, entry.address, entry.action, entry.subject, entry.detail,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(told, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def unreadable_told(check: Callable[[], Iterator[str]]) -> Callable[[], Iterator[str]]:
    """A check that also tells where the database cannot be read any more, since a byte of a text or number changed."""

    @wraps(check)
    def run() -> Iterator[str]:
        try:
            yield from check()
        except (DatabaseError, ValueError, TypeError) as error:
            yield f"数据库里有内容读不出，已被改动或损坏：{error}"

    return run


@unreadable_told
def verify() -> Iterator[str]:
    """What is wrong with the chain (核验审计链): nothing when it is whole."""
    before, last = FIRST, 0
    for entry in AuditEntry.objects.order_by("id").iterator(2000):
        if entry.before != before:
            yield _("审计记录第 %(last)s 号与第 %(here)s 号之间断开：有记录被删除、插入或改动") % {"last": last, "here": entry.pk}  # fmt: skip
        if entry.digest != digest(entry):
            yield _("审计记录第 %(here)s 号（%(at)s %(action)s）的内容被改动") % {"here": entry.pk, "at": f"{entry.at:%Y-%m-%d %H:%M:%S}", "action": entry.action}  # fmt: skip
        before, last = entry.digest, entry.pk


def head() -> tuple[int, str]:
    """How many entries there are, and the digest of the last one."""
    last = AuditEntry.objects.order_by("-id").first()
    return (AuditEntry.objects.count(), last.digest) if last else (0, FIRST)
