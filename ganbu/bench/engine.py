"""The engine against the hand-written query (引擎对照): same data, same forty rules, cell by cell, run in turn."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from ganbu.bench.data import AS_OF, corps
from ganbu.bench.hand import CONDITIONS, SCALES, STATEMENTS
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Evaluator, Run, Store, evaluate
from ganbu.errors import GanbuError

PACK = Path(__file__).with_name("pack.yaml")


class DifferenceError(GanbuError):
    """The engine and the hand-written query disagree in a cell."""


def engine_bench(people: int, repeats: int = 3) -> dict[str, Any]:
    """CPU seconds of both, their ratio, growth against a tenth of the people, and memory; raises on any difference."""
    large, small = _timed(people, repeats), _timed(max(1000, people // 10), repeats)
    growth = _exponent(large["engine_cpu_s"], small["engine_cpu_s"], people / max(1000, people // 10))
    return {
        "people": people, "rules": 40, **large, "ratio_to_duckdb": large["engine_cpu_s"] / large["hand_cpu_s"], "growth_exponent": growth,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def _exponent(large: float, small: float, factor: float) -> float:
    from math import log

    return log(large / small) / log(factor) if factor > 1 else 1.0


def _timed(people: int, repeats: int) -> dict[str, Any]:
    store = Store(Records.from_tables(corps(people)))
    pack = load_pack(PACK)
    day = date.fromisoformat(AS_OF)
    hand, engine, planning = [], [], []
    run: Run | None = None
    for _ in range(repeats):
        hand.append(_cpu(lambda: [store.connection.execute(text) for text in STATEMENTS]))
        if run is not None:
            run.close()
        started = time.process_time()
        evaluator = Evaluator(pack, day)
        evaluator.statements(list(pack.policies), store.snapshot)
        planning.append(time.process_time() - started)
        started = time.process_time()
        run = evaluate(pack, store, day)
        engine.append(time.process_time() - started)
    assert run is not None
    cells = _compare(store, run)
    found = {
        "hand_cpu_s": min(hand),
        "engine_cpu_s": min(engine),
        "engine_planning_cpu_s": min(planning),
        "cells_compared": cells,
    }
    run.close()
    store.connection.close()
    return found


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _compare(store: Store, run: Run) -> int:
    """Every condition, score, place and index of both; returns how many cells agreed."""
    cells = 0

    def agree(what: str, register: str, key: str, ours: str, table: str, theirs: str) -> None:
        nonlocal cells
        relation = run.compiled.final[register]
        query = f'SELECT count(*), count(*) FILTER (WHERE ({ours}) IS DISTINCT FROM ({theirs})) FROM "{relation}" e JOIN {table} h ON e.{key} = h.{key}'
        total, different = store.connection.execute(query).fetchone() or (0, 0)
        if different:
            raise DifferenceError(f"{what}：{total} 格中有 {different} 格与手写查询不同")
        cells += int(total)

    def column(policy: str, label: str) -> Any:
        register = run.evaluator.judge(policy).register.name
        return run.backend.shape(run.plan.need(register, f"{policy}.{label}"), "e.")

    for name in CONDITIONS:
        outcome = column(name, "结果").text
        agree(
            name,
            "person",
            "person_id",
            f"CASE {outcome} WHEN '符合' THEN TRUE WHEN '不符合' THEN FALSE END",
            "hand_res",
            f"h.{name}",
        )
    for name, scale in SCALES.items():
        value = column(name, "数值")
        agree(
            name,
            "person",
            "person_id",
            f"{value.text} * {10 ** (12 - value.scale)}",
            "hand_res",
            f"h.{name} * {10 ** (12 - scale)}",
        )
    for name in ("r1", "r2", "r3", "r4", "r5"):
        agree(name, "person", "person_id", column(name, "结果").text, "hand_rank", f"h.{name}")
    for name in ("t1", "t2"):
        outcome = column(name, "结果").text
        agree(
            name,
            "unit",
            "unit_id",
            f"coalesce({outcome} = '达标', FALSE)",
            "hand_index",
            f"coalesce(h.{name}, FALSE)",
        )
    for name in ("u1", "u2", "u3"):
        # The hand-written index is in floating point: it may differ in the last place kept.
        value = column(name, "数值")
        agree(
            name,
            "unit",
            "unit_id",
            f"abs({value.text} / 10000.0 - h.{name}) < 0.0002 OR h.{name} IS NULL",
            "hand_index",
            "TRUE",
        )
    return cells
