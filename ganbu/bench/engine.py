"""The engines against the hand-written query (引擎对照): same data, same forty rules, cell by cell, run in turn."""

from __future__ import annotations

import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from math import log
from pathlib import Path
from typing import Any

import pyarrow as pa

from ganbu.bench.data import AS_OF, corps
from ganbu.bench.hand import CONDITIONS, SCALES, STATEMENTS
from ganbu.bench.yardsticks import RANKS, django_loops, yardsticks
from ganbu.engine.duck import DuckComputed
from ganbu.engine.evaluator import Evaluator
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Run, Store, evaluate
from ganbu.engine.sql import Env
from ganbu.engine.tree import Node
from ganbu.errors import GanbuError

PACK = Path(__file__).with_name("pack.yaml")
FEW = 1000
DJANGO = 10_000  # people above whom loops over objects are not waited for
ENGINES = ("kernel", "duckdb")
YARDSTICKS = ("python", "polars", "zen", "openfisca")


class DifferenceError(GanbuError):
    """An engine and the hand-written query disagree in a cell."""


def engine_bench(people: int, repeats: int = 3) -> dict[str, Any]:
    """CPU seconds of each engine and of the hand-written query; raises on any difference.

    `ratio_to_duckdb` is the default engine (kernel) over the hand-written DuckDB SQL, `sql_ratio_to_duckdb` our own
    SQL over it, `ratio_to_polars` and so on the default engine over each yardstick; ours include lowering the policies, and every outcome, value, date and reason of all forty rules.
    The growth exponent compares with a tenth of the people.
    """
    small_size = max(FEW, people // 10)
    small, large = _timed(small_size, repeats), _timed(people, repeats)
    found: dict[str, Any] = {"people": people, "rules": len(load_pack(PACK).policies), **large}
    found["ratio_to_duckdb"] = large["kernel_cpu_s"] / large["hand_cpu_s"]
    found["sql_ratio_to_duckdb"] = large["duckdb_cpu_s"] / large["hand_cpu_s"]
    found["ratio_to_duckdb_at_a_tenth"] = small["kernel_cpu_s"] / small["hand_cpu_s"]
    for engine in ENGINES:
        found[f"{engine}_growth_exponent"] = _exponent(
            large[f"{engine}_cpu_s"], small[f"{engine}_cpu_s"], people / small_size
        )
    for name in [key.removesuffix("_cpu_s") for key in large if key.endswith("_cpu_s")]:
        if name in (*YARDSTICKS, "django"):
            found[f"ratio_to_{name}"] = large["kernel_cpu_s"] / large[f"{name}_cpu_s"]
    if "django_cpu_s" in small:
        found["ratio_to_django_at_a_tenth"] = small["kernel_cpu_s"] / small["django_cpu_s"]
    found["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


def spark_bench(people: int, repeats: int = 2) -> dict[str, Any]:
    """Spark beside the hand-written query and our SQL in DuckDB: CPU seconds of all processes, every cell compared.

    Spark runs where GANBU_SPARK_MASTER says; CPU is counted of this process and of the Java machine beside it, so that
    it is whole for `local[n]` only. The first run of a Java machine compiles what the next ones have.
    """
    store = Store(Records.from_tables(corps(people)))
    pack, day, connection = load_pack(PACK), date.fromisoformat(AS_OF), store.tables.connection
    java = store.spark.session.sparkContext._gateway.proc.pid

    def clock() -> float:
        """CPU seconds of the Java machine beside this process."""
        ticks = Path(f"/proc/{java}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    runs: list[float] = []
    cells = 0
    for _ in range(repeats):
        hand = _cpu(lambda: [connection.execute(text) for text in STATEMENTS])
        before = clock() + time.process_time()
        run = evaluate(pack, store, day, engine="spark")  # all results lie in a table then
        runs.append(clock() + time.process_time() - before)
        if len(runs) == repeats:
            cells = _compare(connection, run)
        run.close()
    return {
        "people": people, "hand_cpu_s": hand, "spark_first_cpu_s": runs[0], "spark_cpu_s": runs[-1],
        "spark_ratio_to_duckdb": runs[-1] / hand, "cells_compared": cells, "cells_that_differ": 0,
    }  # fmt: skip


def _exponent(large: float, small: float, factor: float) -> float:
    return log(large / small) / log(factor) if factor > 1 else 1.0


def _timed(people: int, repeats: int) -> dict[str, Any]:
    tables = corps(people)
    store = Store(Records.from_tables(tables))
    pack, day = load_pack(PACK), date.fromisoformat(AS_OF)
    connection = store.tables.connection
    seconds: dict[str, list[float]] = {"hand": [], "lowering": [], **{engine: [] for engine in ENGINES}}
    runs: dict[str, Run] = {}
    for text in STATEMENTS:
        connection.execute(text)
    facts = connection.sql("SELECT * FROM hand_facts ORDER BY person_id").to_arrow_table()
    others = yardsticks(tables, facts)
    for _ in range(repeats):
        seconds["hand"].append(_cpu(lambda: [connection.execute(text) for text in STATEMENTS]))
        for name, (run_other, columns) in others.items():
            started = time.process_time()
            told = run_other()
            seconds.setdefault(name, []).append(time.process_time() - started)
            _same(connection, name, told, columns)
        seconds["lowering"].append(_cpu(lambda: Evaluator(pack, day).wanted(pack.policies)))
        for engine in ENGINES:
            if engine in runs:
                runs[engine].close()
            started = time.process_time()
            runs[engine] = evaluate(pack, store, day, engine=engine)
            _read_all(runs[engine])
            seconds[engine].append(time.process_time() - started)
    if people <= DJANGO:
        taken, told = django_loops(tables)
        seconds["django"] = [taken]
        _same(connection, "django", told, (*CONDITIONS, *SCALES, *RANKS))
    cells = sum(_compare(connection, run) for run in runs.values())
    for run in runs.values():
        run.close()
    connection.close()
    return {**{f"{what}_cpu_s": min(taken) for what, taken in seconds.items()}, "cells_compared": cells}


def _read_all(run: Run) -> None:
    """Have SQL work out every outcome, value and reason: it leaves what concerns one row to whoever reads it."""
    computed = run.computed
    if not isinstance(computed, DuckComputed):
        return
    nodes: dict[str, list[Node]] = defaultdict(list)
    for policy in run.names:
        judged = run.evaluator.judge(policy)
        columns = run.evaluator.columns(judged)
        told = [at for at, o in enumerate(judged.outputs) if o.labels or o.label in ("结果", "数值")]
        nodes[judged.shown_register] += [columns[f"#{at}"] for at in told]
    for register, wanted in nodes.items():
        items = [
            f"{computed.backend.sql(node, Env(register)).text} AS x{at}" for at, node in enumerate(wanted)
        ]
        rows = computed.backend.rows(register, wanted)
        computed.tables.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE told_{register} AS SELECT {', '.join(items)} FROM {rows}"
        )


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _same(connection: Any, name: str, told: pa.Table, columns: tuple[str, ...]) -> None:
    """A yardstick against the hand-written tables: conditions met, scores, places; raises on any difference."""
    connection.register("told", told)
    for column in columns:
        table = "hand_rank" if column in RANKS else "hand_res"
        both = (
            (f"coalesce(h.{column}, FALSE)", f"coalesce(o.{column}, FALSE)")
            if column in CONDITIONS
            else (f"h.{column}", f"o.{column}")
        )
        query = f"SELECT count(*) FILTER (WHERE {both[0]} IS DISTINCT FROM {both[1]}), count(*) FROM told o JOIN {table} h USING (person_id)"
        [(different, total)] = connection.execute(query).fetchall()
        if different or total != told.num_rows:
            raise DifferenceError(f"{name} {column}：{total} 格中有 {different} 格与手写查询不同")
    connection.unregister("told")


def _compare(connection: Any, run: Run) -> int:
    """Every condition, score, place and index of a run against the hand-written tables; how many cells agreed."""
    cells = 0

    def agree(policy: str, table: str, key: str, column: str, theirs: str, ours: str = "o.cell") -> None:
        nonlocal cells
        found = run.table(policy)
        connection.register("ours", pa.table({"id": found["对象"], "cell": found[column]}))
        query = (
            f"SELECT count(*), count(*) FILTER (WHERE ({ours}) IS DISTINCT FROM ({theirs})) "
            f"FROM ours o JOIN {table} h ON o.id = h.{key}"
        )
        [(total, different)] = connection.execute(query).fetchall()
        connection.unregister("ours")
        if different:
            raise DifferenceError(f"{run.engine} {policy}：{total} 格中有 {different} 格与手写查询不同")
        cells += int(total)

    for name in CONDITIONS:
        words = f"CASE WHEN h.{name} THEN '符合' WHEN NOT h.{name} THEN '不符合' ELSE '不能判定' END"
        agree(name, "hand_res", "person_id", "结果", words)
    for name, scale in SCALES.items():
        micro = "CAST(o.cell * 1000000 AS HUGEINT)"
        agree(
            name, "hand_res", "person_id", "数值", f"CAST(h.{name} AS HUGEINT) * {10 ** (6 - scale)}", micro
        )
    for name in ("r1", "r2", "r3", "r4", "r5"):
        agree(name, "hand_rank", "person_id", "结果", f"h.{name}")
    for name in ("t1", "t2"):
        agree(name, "hand_index", "unit_id", "结果", f"coalesce(h.{name}, FALSE)", "o.cell = '达标'")
    for name in ("u1", "u2", "u3"):
        # The hand-written index is in floating point: it may differ in the last place kept.
        near = f"abs(CAST(o.cell AS DOUBLE) - h.{name}) < 0.0002 OR h.{name} IS NULL"
        agree(name, "hand_index", "unit_id", "数值", "TRUE", near)
    return cells
