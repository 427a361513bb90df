"""Long work (后台任务): one process takes import batches one after another from the database; pages never wait for it."""

from __future__ import annotations

import fcntl
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import close_old_connections

from ganbu.access.current import acting
from ganbu.errors import GanbuError, MisuseError
from ganbu.findings import services
from ganbu.records import batches
from ganbu.records.cards import rebuild_tree, refresh, turning
from ganbu.records.models import Handout, ImportBatch, Setting
from ganbu.web import handouts

CHECK_EVERY = 60  # seconds between looks at whether the day has an evaluation
DAY = "worker.day"
TAKEN = {"waiting": "reading", "apply": "applying"}


def recover() -> None:
    """What an earlier worker was killed at begins again: its transaction left nothing behind."""
    ImportBatch.objects.filter(state="reading").update(state="waiting")
    ImportBatch.objects.filter(state="applying", change=None).update(state="apply")
    Handout.objects.filter(state="making").update(state="waiting", done=0)


def step() -> bool:
    """Take one piece of work, if there is any."""
    return _import() or _handout()


def _handout() -> bool:
    job = Handout.objects.select_related("account").filter(state="waiting").order_by("pk").first()
    if job is None or not Handout.objects.filter(pk=job.pk, state="waiting").update(state="making"):
        return False
    try:
        with acting(job.account, "后台"):
            handouts.make(job)
    except Exception as error:
        Handout.objects.filter(pk=job.pk).update(state="failed", told=_told(error))
    return True


def _told(error: Exception) -> str:
    """What went wrong, as the one who waits may read it; the rest is in the log of the worker."""
    if isinstance(error, GanbuError):
        return str(error)
    traceback.print_exc()
    return "程序出错，请联系管理员查看后台任务的日志"


def _import() -> bool:
    batch = ImportBatch.objects.filter(state__in=TAKEN).order_by("pk").first()
    if batch is None:
        return False
    if not ImportBatch.objects.filter(pk=batch.pk, state=batch.state).update(state=TAKEN[batch.state]):
        return True
    reading = batch.state == "waiting"
    batch.refresh_from_db()
    try:
        with acting(batch.account, "后台"):
            (batches.read if reading else batches.apply)(batch)
    except Exception as error:
        ImportBatch.objects.filter(pk=batch.pk).update(state="failed", told=_told(error))
    return True


def evaluate_if_due() -> None:
    """Evaluate when somebody asked, or the day has no evaluation yet (每日评估)."""
    if not services.due(date.today()):
        return
    try:
        services.run_adopted(date.today())
    except Exception:
        traceback.print_exc()
        services.note_failed(date.today())


def each_day() -> None:
    """Once a day: cards whose posts begin or end, units that were abolished, old exports, old sessions."""
    today = date.today().isoformat()
    if Setting.objects.filter(pk=DAY, value=today).exists():
        return
    with acting(name="后台"):
        rebuild_tree()
        refresh(turning(date.today()))
        handouts.forget_old()
        Session.objects.filter(expire_date__lt=datetime.now()).delete()
    Setting.objects.update_or_create(pk=DAY, defaults={"value": today})


@contextmanager
def alone() -> Iterator[bool]:
    """Whether this is the only worker over the data folder: two would take each other's work for abandoned."""
    settings.HOME.mkdir(parents=True, exist_ok=True)
    with (settings.HOME / "worker.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def run(once: bool = False) -> None:
    """Work until stopped, or until there is nothing left. Raises MisuseError when another worker is at it."""
    with alone() as only:
        if not only:
            raise MisuseError("这个数据目录已有一个后台任务进程在运行")
        recover()
        looked = 0.0
        while True:
            close_old_connections()
            if step():
                continue
            if services.asked() or time.monotonic() - looked > CHECK_EVERY:
                looked = time.monotonic()
                each_day()
                evaluate_if_due()
            if once:
                return
            time.sleep(0.5)
