"""Growth (规模): the forty rules over ever more people, each size in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from datetime import date
from math import log
from typing import Any

REPEATS = 3


def scale_bench(sizes: list[int]) -> dict[str, Any]:
    """CPU seconds and peak memory of one run of the kernel at each size; the exponent between the ends."""
    found: list[dict[str, Any]] = []
    for people in sizes:
        done = subprocess.run(
            [sys.executable, "-m", "ganbu.bench.scale", str(people)],
            check=True,
            capture_output=True,
            text=True,
        )
        found.append(json.loads(done.stdout))
    first, last = found[0], found[-1]
    growth = log(last["run_cpu_s"] / first["run_cpu_s"]) / log(last["people"] / first["people"]) if len(found) > 1 else 1.0  # fmt: skip
    return {"sizes": found, "growth_exponent": growth}


def one(people: int) -> dict[str, Any]:
    """One size: the records made, prepared by a first run, then run again (the quickest counts); memory in megabytes."""
    from ganbu.bench.data import AS_OF, corps
    from ganbu.bench.engine import PACK
    from ganbu.engine.policy import load_pack
    from ganbu.engine.records import Records
    from ganbu.engine.run import Store, evaluate

    tables = corps(people)
    held = sum(table.nbytes for table in tables.values()) / 1e6
    rows = sum(table.num_rows for table in tables.values())
    before = _peak()
    store, pack, day = Store(Records.from_tables(tables)), load_pack(PACK), date.fromisoformat(AS_OF)
    begun = time.process_time()
    evaluate(pack, store, day).close()
    first = time.process_time() - begun
    again = []
    for _ in range(REPEATS):
        begun = time.process_time()
        run = evaluate(pack, store, day)
        again.append(time.process_time() - begun)
        assert sum(run.counts("c01").values()) == people
        run.close()
    seconds = min(again)
    return {
        "people": people, "rows": rows, "first_run_cpu_s": round(first, 3), "run_cpu_s": round(seconds, 3), "data_mb": round(held),
        "peak_before_mb": round(before), "peak_mb": round(_peak()),
    }  # fmt: skip


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]))))
