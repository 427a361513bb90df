"""All results of past runs (保存的评估结果): where they lie, whether they are whole, what they said, computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings

from ganbu.engine import keep
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Store, evaluate
from ganbu.errors import RecordsError
from ganbu.findings.models import EvaluationRun
from ganbu.records.local import vocabulary
from ganbu.records.snapshot import snapshot

KEPT_RUNS = 60  # runs whose findings and results are kept


def runs() -> Path:
    """Where all results of runs lie, a folder for each (评估结果)."""
    return Path(settings.HOME) / "runs"


def verify() -> list[str]:
    """What of the kept results is missing, or says something else than when it was written (核验评估结果)."""
    wrong = []
    for run in EvaluationRun.objects.order_by("-id")[:KEPT_RUNS]:
        for pack, policy, _rows, told in run.kept:
            try:
                if keep.fingerprint(keep.get(runs() / str(run.pk) / pack, policy)) != told:
                    wrong.append(f"评估 {run.pk} 的“{policy}”与当时的指纹不符")
            except RecordsError as error:
                wrong.append(f"评估 {run.pk}：{error}")
    return wrong


@dataclass
class Replayed:
    """A policy evaluated again as it was then (重放): whether it says the same, and for whom not."""

    pack: str
    policy: str
    same: bool
    changed: list[str]


def replay(run: EvaluationRun) -> Iterator[Replayed]:
    """Evaluate a run again, as of its day and as known at its moment. Raises PackError and RecordsError."""
    corps = Store(_then(run.known_at))
    for name in run.packs:
        wanted = {policy: told for pack, policy, _rows, told in run.kept if pack == name}
        if not wanted:
            continue
        found = evaluate(load_pack(name), corps, run.as_of, list(wanted), known_at=run.known_at.isoformat())
        for policy, told in wanted.items():
            table = found.table(policy)
            same = keep.fingerprint(table) == told
            changed = [] if same else _differing(keep.get(runs() / str(run.pk) / name, policy), table)
            yield Replayed(name, policy, same, changed)
        found.close()


def _then(known: datetime) -> Records:
    """The record with its history; a register of which nothing was known at the moment was not there."""
    records = snapshot(history=True, vocabulary=vocabulary())
    for name, table in list(records.tables.items()):
        if not {"recorded_at", "superseded_at"} <= set(table.column_names):
            continue
        ends = table["superseded_at"]
        there = pc.and_(
            pc.less_equal(table["recorded_at"], known),
            pc.or_kleene(pc.is_null(ends), pc.greater(ends, known)),
        )
        if not pc.any(there).as_py():
            del records.tables[name]
    return records


def _differing(one: pa.Table, two: pa.Table) -> list[str]:
    """The subjects of whom two tables say something else."""
    told: list[Counter[str]] = [Counter(), Counter()]
    for counted, table in zip(told, (one, two), strict=True):
        counted.update(f"{row['对象']}\0{list(row.values())}" for row in table.to_pylist())
    return sorted({key.split("\0")[0] for key in (told[0] - told[1]) + (told[1] - told[0])})


@dataclass
class Past:
    """What a run said of a subject (历次结论), and the grounds and gaps it gave."""

    run: EvaluationRun
    outcome: str
    grounds: str
    missing: str


def past(pack: str, policy: str, subject: str) -> list[Past]:
    """What each kept run said of a subject, latest first; runs that said the same are told once, by the earliest."""
    found: list[Past] = []
    before = ""
    for run in EvaluationRun.objects.order_by("-id")[:KEPT_RUNS]:
        told = next((one[3] for one in run.kept if one[:2] == [pack, policy]), "")
        if not told:
            continue
        if told == before and found:  # nobody's result is another: nothing to read
            found[-1].run = run
            continue
        try:
            rows = keep.get(runs() / str(run.pk) / pack, policy, subject).to_pylist()
        except RecordsError:
            continue
        before = told
        for row in rows[:1]:
            one = Past(run, str(row["结果"]), row.get("依据") or "", row.get("缺少") or "")
            if found and (found[-1].outcome, found[-1].grounds, found[-1].missing) == (
                one.outcome,
                one.grounds,
                one.missing,
            ):
                found.pop()
            found.append(one)
    return found
