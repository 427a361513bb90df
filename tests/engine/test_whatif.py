"""What would be: the difference that a sandbox tells is the difference between two whole runs."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu import Records
from ganbu.engine.run import Store, evaluate
from ganbu.engine.simulate import keyed
from ganbu.engine.whatif import Overlay, Sandbox
from ganbu.vocabulary import load_vocabulary
from tests.engine.test_engines_agree import AS_OF, DAYS, PEOPLE, UNITS, _maybe, everything, records

WORDS = load_vocabulary()
IDS = {"person": "person_id", "appointment": "appointment_id", "assessment": "assessment_id", "award": "award_id", "sanction": "sanction_id"}  # fmt: skip
assert everything  # a fixture


def identified(rows):
    """Every row with an identity, so that an overlay can name it."""
    return {
        name: [{IDS[name]: f"{name}{at}", **row} if name in IDS else row for at, row in enumerate(items)]
        for name, items in rows.items()
    }


VALUES: dict[str, dict[str, Any]] = {
    "person": {"sex": st.sampled_from(["男", "女"]), "birth_date": DAYS, "party_date": DAYS, "name": st.just("丁某")},
    "appointment": {
        "person": st.sampled_from([*PEOPLE, "无人"]), "unit": st.sampled_from([*UNITS, "新设"]), "title": st.sampled_from(["局长", "科员"]),
        "level": st.sampled_from(["科员", "乡科级正职"]), "grassroots": st.booleans(), "start_date": DAYS, "end_date": st.one_of(DAYS, st.just(AS_OF + timedelta(days=9)))},
    "assessment": {"person": st.sampled_from(PEOPLE), "year": st.integers(2016, 2024), "grade": st.sampled_from(["优秀", "称职"]), "score": st.sampled_from(["91", "88.125"])},
    "award": {"person": st.sampled_from(PEOPLE), "date": DAYS, "level": st.sampled_from(["省级", "市级"])},
    "sanction": {"person": st.sampled_from(PEOPLE), "kind": st.sampled_from(["政务警告", "政务记过"]), "date": DAYS, "months": st.integers(1, 48)},
}  # fmt: skip


@st.composite
def worlds(draw):
    """Records, and rows laid over them: changed in a few fields, added, left out."""
    rows = identified(draw(records()))
    overlay = Overlay({}, {}, {})
    for name, fields in VALUES.items():
        held = [row[IDS[name]] for row in rows[name]]
        if held:
            for key in draw(st.lists(st.sampled_from(held), max_size=2, unique=True)):
                picked = draw(st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=2, unique=True))
                overlay.change.setdefault(name, {})[key] = {f: draw(fields[f]) for f in picked}
            gone = draw(st.lists(st.sampled_from(held), max_size=1))
            if gone:
                overlay.drop[name] = gone
        for at in range(draw(st.integers(0, 2))):
            given = {f: draw(_maybe(values)) for f, values in fields.items()}
            fresh = {IDS[name]: f"新{name}{at}"} | {f: v for f, v in given.items() if v is not None}
            overlay.add.setdefault(name, []).append(fresh)
    return rows, overlay


def laid_over(rows, overlay):
    """The records as they would be, made from the start."""
    found = deepcopy(rows)
    for name, items in found.items():
        key = IDS.get(name, "")
        for row in items:
            row.update(overlay.change.get(name, {}).get(row.get(key), {}))
        items[:] = [row for row in items if row.get(key) not in overlay.drop.get(name, ())]
        items += overlay.add.get(name, [])
    return found


def difference(pack, rows, overlay):
    """What two whole runs differ in."""
    one, two = (evaluate(pack, Records.from_rows(each), AS_OF) for each in (rows, laid_over(rows, overlay)))
    found = {}
    for policy in one.names:
        layout = one.evaluator.judge(policy).lowered.layout
        before, after = keyed(one.rows(policy), layout), keyed(two.rows(policy), layout)
        for key in {*before, *after}:
            if before.get(key) != after.get(key):
                found[policy, key] = before.get(key), after.get(key)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds())
def test_a_sandbox_tells_what_two_runs_differ_in(everything, world):
    rows, overlay = world
    told = Sandbox(everything, Store(Records.from_rows(rows)), AS_OF).ask(overlay).differences
    assert {(d.policy, d.key): (d.before, d.after) for d in told} == difference(everything, rows, overlay)
