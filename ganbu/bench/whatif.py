"""What would be (推演的速度): a hypothetical reshuffle asked of a sandbox, against evaluating everybody again."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

from ganbu.bench.data import AS_OF, corps
from ganbu.bench.engine import PACK, DifferenceError
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import Store, evaluate
from ganbu.engine.simulate import keyed
from ganbu.engine.whatif import Answer, Overlay, Sandbox

DAY = "2026-06-01"
CHECKED = 20_000  # people up to whom the answer is compared with two whole runs


def whatif_bench(people: int, moved: int, repeats: int = 5) -> dict[str, Any]:
    """CPU seconds of one question about `moved` people leaving their posts for others; raises where it is wrong.

    `ask_cpu_s` tells of those who move and the units they leave and join, `everybody_cpu_s` of everyone whose place
    moves with them; `whole_cpu_s` is a whole run.
    """
    records = Records.from_tables(corps(people))
    store, pack, day = Store(records), load_pack(PACK), date.fromisoformat(AS_OF)
    begun = time.process_time()
    sandbox = Sandbox(pack, store, day)
    found: dict[str, Any] = {"people": people, "moved": moved, "prepare_cpu_s": time.process_time() - begun}
    overlay = reshuffle(records, moved)
    seconds: dict[str, list[float]] = {"whole": [], "ask": [], "everybody": []}
    for _ in range(repeats):
        for name, work in (
            ("whole", lambda: evaluate(pack, store, day)),
            ("ask", lambda: sandbox.ask(overlay, near=True)),
            ("everybody", lambda: sandbox.ask(overlay)),
        ):
            begun = time.process_time()
            work()
            seconds[name].append(time.process_time() - begun)
    answer = sandbox.ask(overlay)
    if people <= CHECKED:
        _check(answer, sandbox, records, overlay, day)
    found |= {f"{name}_cpu_s": min(taken) for name, taken in seconds.items()}
    found |= {"findings_that_differ": len(answer.differences), "checked": people <= CHECKED}
    return found


def reshuffle(records: Records, moved: int) -> Overlay:
    """Some people leave the posts they hold for posts in other units."""
    posts = records.tables["appointment"]
    rows = [row for row in posts.slice(0, 20 * moved + 100).to_pylist() if row["end_date"] is None][:moved]
    units = [row["unit_id"] for row in records.tables["unit"].slice(0, 7).to_pylist()]
    return Overlay(
        change={"appointment": {row["appointment_id"]: {"end_date": DAY} for row in rows}},
        add={
            "appointment": [
                {
                    "appointment_id": f"new{at}", "person": row["person"], "unit": units[at % len(units)], "title": "x3", "level": "乡科级正职",
                    "leading": True, "grassroots": False, "start_date": DAY,
                }
                for at, row in enumerate(rows)
            ]
        },
    )  # fmt: skip


def _check(answer: Answer, sandbox: Sandbox, records: Records, overlay: Overlay, day: date) -> None:
    """The answer is what two whole runs differ in."""
    rows = records.tables["appointment"].to_pylist()
    changes = overlay.change["appointment"]
    changed = [{**row, "end_date": date.fromisoformat(DAY)} if row["appointment_id"] in changes else row for row in rows]  # fmt: skip
    added = Records.from_rows({"appointment": [*changed, *overlay.add["appointment"]]})
    other = evaluate(
        sandbox.pack, Records({**records.tables, **added.tables}, records.vocabulary), day, sandbox.run.names
    )
    told: dict[str, dict[str, Any]] = {}
    for one in answer.differences:
        told.setdefault(one.policy, {})[one.key] = (one.before, one.after)
    for policy in sandbox.run.names:
        layout = sandbox.run.evaluator.judge(policy).lowered.layout
        before, after = (keyed(run.rows(policy), layout) for run in (sandbox.run, other))
        want = {k: (before.get(k), after.get(k)) for k in {*before, *after} if before.get(k) != after.get(k)}
        if want != told.get(policy, {}):
            raise DifferenceError(f"推演 {policy}：与两次完整评估的差别不同")
