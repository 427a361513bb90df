"""Running the adopted packs over the record (评估): findings people act on are kept, the rest is computed when asked for."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.db import transaction

from ganbu.access import audit
from ganbu.engine import keep
from ganbu.engine.explain import explain
from ganbu.engine.policy import load_pack
from ganbu.engine.run import Store, evaluate
from ganbu.findings.kept import KEPT_RUNS, runs
from ganbu.findings.models import EvaluationRun, Finding
from ganbu.records.corps import reading
from ganbu.records.local import adopted, vocabulary
from ganbu.records.models import Change, Setting

# Kinds whose outcomes ask something of somebody, and outcomes that ask nothing.
TOLD = ("alert", "composition", "duty", "coverage", "consequence", "quota")
QUIET = frozenset(
    ["无", "未到龄", "符合", "已覆盖", "达标", "已履行", "逐级", "未到期", "不参加", "不适用", "不能判定"]
)


WANTED, FAILED = "evaluation", "evaluation.failed"


def want_run() -> None:
    """Ask the worker for an evaluation (排队评估)."""
    Setting.objects.update_or_create(pk=WANTED, defaults={"value": True})


def asked() -> bool:
    """Whether somebody asked for an evaluation."""
    return Setting.objects.filter(pk=WANTED).exists()


def forget_asked() -> None:
    """It is done."""
    Setting.objects.filter(pk=WANTED).delete()


def note_failed(day: date) -> None:
    """One that failed is not tried again and again: only when asked for, or on another day."""
    forget_asked()
    Setting.objects.update_or_create(pk=FAILED, defaults={"value": day.isoformat()})


def due(day: date) -> bool:
    """Whether an evaluation is asked for, or the day has none yet (每日评估)."""
    if asked():
        return True
    if Setting.objects.filter(pk=FAILED, value=day.isoformat()).exists():
        return False
    last = EvaluationRun.objects.values_list("as_of", flat=True).first()
    return last is not None and last < day


def run_adopted(day: date) -> EvaluationRun:
    """Evaluate every adopted pack for everybody on a day and keep what is to be acted on. Raises PackError."""
    begun = time.monotonic()
    kept: list[Finding] = []
    skipped: list[list[str]] = []
    counts: list[list[Any]] = []
    stored: list[list[Any]] = []
    rules: dict[str, str] = {}
    seen: set[str] = set()
    runs().mkdir(0o700, parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=runs()))
    with _settled() as (corps, last, known):
        for name in adopted():
            pack = load_pack(name)
            rules[name] = keep.pack_fingerprint(pack)
            found = evaluate(pack, corps, day)
            skipped += [[name, s.policy, s.reason] for s in found.skipped]
            for policy in found.names:
                if policy in seen:
                    continue
                judged = found.evaluator.judge(policy)
                seen.add(policy)
                table = found.table(policy)
                outcomes = table["结果"].to_pylist()
                counts.append([name, policy, dict(Counter(outcomes).most_common())])
                stored.append([name, policy, table.num_rows, keep.put(table, fresh / name, policy)])
                kind = found.evaluator.pack.reach[policy].kind
                if kind not in TOLD:
                    continue
                reads = marked(found.evaluator.reads(policy))
                loud = [at for at, outcome in enumerate(outcomes) if str(outcome) not in QUIET]
                for row in table.take(pa.array(loud, pa.int64())).to_pylist():
                    if kind == "consequence" and row.get("生效中") is False:
                        continue
                    kept.append(_finding(name, policy, judged.register.name, row, str(row["结果"]), reads))
            found.close()
    with transaction.atomic():
        run = EvaluationRun.objects.create(
            as_of=day, known_at=known, packs=list(adopted()), change=last,
            subjects=len({f.subject for f in kept}), seconds=round(time.monotonic() - begun, 2), skipped=skipped, counts=counts, kept=stored, rules=rules,
        )  # fmt: skip
        for one in kept:
            one.run = run
        Finding.objects.bulk_create(kept, batch_size=2000)
        old = list(EvaluationRun.objects.order_by("-id").values_list("id", flat=True)[KEPT_RUNS:])
        Finding.objects.filter(run__in=old).delete()
        folder = runs() / str(run.pk)
        shutil.rmtree(folder, ignore_errors=True)  # of a run whose transaction was taken back
        fresh.replace(folder)
        forget_asked()
        audit.append("evaluate", "、".join(adopted()), run=run.pk, as_of=day, findings=len(kept))
    for number in old:
        shutil.rmtree(runs() / str(number), ignore_errors=True)
    return run


@contextmanager
def _settled() -> Iterator[tuple[Store, int, datetime]]:
    """The record with the last change that is in it, and the moment of that change."""
    while True:
        before = Change.objects.order_by("-id").values_list("id", "made_at").first() or (0, datetime.now())
        with reading() as corps:
            if (Change.objects.order_by("-id").values_list("id", flat=True).first() or 0) == before[0]:
                yield corps, *before
                return


def marked(registers: Iterable[str]) -> str:
    """The sensitive ones of some registers, as a finding keeps them: `|sanction|family|`."""
    words = vocabulary().registers
    names = sorted(name for name in registers if name in words and words[name].secrecy == "sensitive")
    return f"|{'|'.join(names)}|" if names else ""


def _finding(pack: str, policy: str, register: str, row: dict[str, Any], outcome: str, reads: str) -> Finding:
    due = row.get("期限") or row.get("截止日") or row.get("预测日期") or row.get("到龄日期")
    return Finding(
        pack=pack, policy=policy, register=register, subject=str(row["对象"])[:120], name=str(row.get("名称") or "")[:120],
        outcome=outcome[:60], due=due.isoformat() if isinstance(due, date) else "", grounds=(row.get("依据") or "")[:2000],
        missing=(row.get("缺少") or "")[:2000], reads=reads,
    )  # fmt: skip


def drawn_before(person: str, moment: datetime) -> list[Finding]:
    """The last conclusion of each policy about a person that runs had drawn by a moment (此前的结论)."""
    found = Finding.objects.select_related("run").filter(register="person", subject=person, run__made_at__lte=moment)  # fmt: skip
    return list({one.policy: one for one in found.order_by("run_id")}.values())


def reasons(pack: str, policy: str, subject: str, day: date) -> Any:
    """Why a policy says what it says of a subject (理由), over the record as it is. Raises PackError and RecordsError."""
    with reading() as store:
        return explain(load_pack(pack), policy, subject, store, day)
