"""Long work (后台任务): one process takes import batches one after another from the database; pages never wait for it."""

from __future__ import annotations

import time
import traceback
from datetime import date

from django.db import close_old_connections

from ganbu.access.current import acting
from ganbu.errors import GanbuError
from ganbu.findings import services
from ganbu.records import batches
from ganbu.records.models import ImportBatch

CHECK_EVERY = 60  # seconds between looks at whether the day has an evaluation
TAKEN = {"waiting": "reading", "apply": "applying"}


def recover() -> None:
    """What an earlier worker was killed at begins again: its transaction left nothing behind."""
    ImportBatch.objects.filter(state="reading").update(state="waiting")
    ImportBatch.objects.filter(state="applying").update(state="apply")


def step() -> bool:
    """Take one piece of work, if there is any."""
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
    except GanbuError as error:
        ImportBatch.objects.filter(pk=batch.pk).update(state="failed", told=str(error))
    except Exception as error:
        traceback.print_exc()
        ImportBatch.objects.filter(pk=batch.pk).update(state="failed", told=f"程序出错：{error}")
    return True


def evaluate_if_due() -> None:
    """Evaluate when somebody asked, or the day has no evaluation yet (每日评估)."""
    if not services.due(date.today()):
        return
    try:
        services.run_adopted(date.today())
    except Exception:
        traceback.print_exc()
        services.forget_asked()


def run(once: bool = False) -> None:
    """Work until stopped, or until there is nothing left."""
    recover()
    looked = 0.0
    while True:
        close_old_connections()
        if step():
            continue
        if services.asked() or time.monotonic() - looked > CHECK_EVERY:
            looked = time.monotonic()
            evaluate_if_due()
        if once:
            return
        time.sleep(0.5)
