"""Many rows are worked on piece by piece, kept in small numbers and stand by whom they are about: nothing is other for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu import Records
from ganbu.engine.kernel import aggregate, days, delta, evaluate, memory, segments, view, window
from ganbu.engine.kernel.columns import Col, integers, joined, narrow, wide
from ganbu.engine.kernel.segments import Groups, runs
from ganbu.engine.policy import Pack
from ganbu.engine.run import Store
from ganbu.engine.run import evaluate as run_of
from tests.engine.test_engines_agree import AS_OF, _text, records
from tests.engine.test_random_policies import pack_of, policies

LENIENT = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31)) | st.sampled_from(
    [date(2024, 2, 29), date(2000, 2, 29), date(2023, 2, 28), date(2014, 1, 31), date(2014, 12, 31)]
)

# Compared, not counted: what they run is covered by the tests that say what it should give.
pytestmark = pytest.mark.no_cover


@contextmanager
def many_rows() -> Iterator[None]:
    """Two rows are many."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (aggregate, evaluate, segments, window):
            patch.setattr(module, "PIECE", 2)
        patch.setattr(view, "FEW", 1)
        patch.setattr(days, "TABLED", 1)
        patch.setattr(delta, "PIECE", 2)
        patch.setattr(memory, "MANY", 1)
        yield


def told(pack: Pack, rows: dict[str, list[dict[str, object]]], engine: str = "kernel"):
    run = run_of(pack, Store(Records.from_rows(rows)), AS_OF, engine=engine)
    return {policy: run.rows(policy) for policy in run.names}


@LENIENT
@given(text=policies(), rows=records())
def test_random_policies_say_the_same_piece_by_piece(text, rows):
    pack = pack_of(text)
    whole = told(pack, rows)
    with many_rows():
        assert told(pack, rows) == whole


@pytest.fixture(scope="module")
def everything() -> Pack:
    """A pack with every function."""
    return pack_of(_text())


@LENIENT
@given(rows=records())
def test_every_function_says_the_same_piece_by_piece(everything, rows):
    whole = told(everything, rows)
    with many_rows():
        assert told(everything, rows) == whole


def test_what_was_entered_later_is_told_apart_though_rows_stand_by_person():
    """Of two who came on one day the one entered later is the last; results stand as the record does."""
    pack = pack_of(
        "policy: 单位\nkind: score\nsubject: 机构\n"
        "components: {末: \"if(last(任职).职务名称 = '后录', 1, 0)\", 首: \"if(first(任职).职务名称 = '后录', 1, 0)\", 近: \"count(任职, 职务名称 = '后录', latest: 1)\"}\n"
        "---\npolicy: 逐条\nkind: eligibility\nsubject: 任职\nrequire: {在任: 免职时间 is missing}\n"
    )
    day = date(2020, 1, 1)
    rows = {
        "person": [{"person_id": "甲"}, {"person_id": "乙"}], "unit": [{"unit_id": "某局"}],
        "appointment": [
            {"appointment_id": at, "person": who, "unit": "某局", "title": title, "start_date": day}
            for at, who, title in (("3", "乙", "先录"), ("1", "甲", "又录"), ("2", "乙", "再录"), ("0", "甲", "后录"))
        ],
    }  # fmt: skip
    found = told(pack, rows)
    assert found == told(pack, rows, "duckdb")
    assert [row["数值"] for row in found["单位"]] == [2]
    assert [row["对象"] for row in found["逐条"]] == ["3", "1", "2", "0"]
    with many_rows():
        assert told(pack, rows) == found


# -- what pieces are made of -----------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(-(2**45), 2**45)), min_size=1, max_size=60),
    st.booleans(),
)
def test_places_are_found_however_large_the_numbers(pairs, far):
    of, key = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    key = key * (2**15 if far else 1)
    seats, begins, fresh = window._seated(of * 1000, [key])
    order = np.lexsort((key, of))
    assert seats.tolist() == order.tolist()
    assert begins.tolist() == runs(of[order]).tolist()
    assert fresh.tolist() == (runs(of[order]) | runs(key[order])).tolist()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**61), 2**61), st.booleans()), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_groups_add_up_exactly(items, in_order, small):
    items = sorted(items, key=lambda one: one[0]) if in_order else items
    values = [value % 1000 if small else value for _, value, _ in items]
    groups = Groups(np.array([of for of, _, _ in items], np.int32), 7)
    mask, told = np.array([yes for *_, yes in items], bool), np.array(values, np.int64)
    of = [[at for at, item in enumerate(items) if item[0] == group] for group in range(7)]
    with many_rows():
        assert groups.count(mask).tolist() == [sum(items[at][2] for at in one) for one in of]
        assert groups.total(told).tolist() == [sum(values[at] for at in one) for one in of]
        assert groups.total(told, mask).tolist() == [
            sum(values[at] for at in one if items[at][2]) for one in of
        ]
        assert groups.some(mask).tolist() == [any(items[at][2] for at in one) for one in of]
        assert groups.most(told).tolist() == [max((values[at] for at in one), default=0) for one in of]
        assert groups.different(told % 300, 300).tolist() == [
            len({values[at] % 300 for at in one}) for one in of
        ]
        kept = groups.where(mask)
        assert kept.count().tolist() == groups.count(mask).tolist()
        assert kept.most(told[mask], least=True).tolist() == [min((values[at] for at in one if items[at][2]), default=0) for one in of]  # fmt: skip


@given(st.lists(DAYS, min_size=2, max_size=20), DAYS, st.integers(-600, 600))
def test_a_table_of_days_says_what_reckoning_says(dates, day, months):
    v, one = np.array([days.days_of(each) for each in dates]), np.asarray(days.days_of(day))
    amount = Col(np.asarray(np.int64(months)))
    reckoned = days.months_between(v, one), days.months_between(one, v), days.moved(Col(v), amount)
    with many_rows():
        tabled = days.months_between(v, one), days.months_between(one, v), days.moved(Col(v), amount)
    assert [part.tolist() for part in (*reckoned[:2], reckoned[2].v)] == [part.tolist() for part in (*tabled[:2], tabled[2].v)]  # fmt: skip


@given(st.lists(st.integers(-(2**62) + 1, 2**62 - 1), min_size=1, max_size=9), st.integers(1, 8))
def test_numbers_kept_small_are_the_same_numbers(values, size):
    column = integers(np.array(values, np.int64))
    assert wide(narrow(column)).v.tolist() == values
    parts = [values[first : first + size] for first in range(0, len(values), size)]
    whole = joined([(narrow(integers(np.array(part, np.int64))), len(part)) for part in parts])
    assert whole.v.tolist() == values


def test_a_piece_in_which_everybody_is_told_the_same_joins_one_in_which_they_are_not():
    same, other = Col(np.asarray(np.int64(7)), None, 1), Col(np.array([1, 2]), np.array([True, False]), 0)
    found = joined([(same, 3), (other, 2)])
    assert (found.v.tolist(), found.ok.tolist(), found.scale) == ([7, 7, 7, 10, 20], [True] * 4 + [False], 1)
    assert joined([(same, 3), (same, 1)]).v.ndim == 0


def test_a_whole_run_in_pieces_is_the_run(everything):
    """A thousand entries, in no order, of people some of whom have none."""
    rows = {
        "person": [{"person_id": f"p{at}", "name": f"{at}", "sex": "男女"[at % 2], "birth_date": date(1960, 1, 1) + timedelta(days=97 * at)} for at in range(120)],
        "unit": [{"unit_id": f"u{at}", "category": "乡镇"} for at in range(7)],
        "appointment": [
            {"person": f"p{at * 37 % 110}", "unit": f"u{at * 11 % 8}", "title": f"职务{at % 9}", "level": ["科员", "乡科级副职"][at % 2], "start_date": date(1990, 1, 1) + timedelta(days=at * 17 % 9000), **({"end_date": date(2020, 1, 1)} if at % 3 else {})}
            for at in range(500)
        ],
        "assessment": [{"person": f"p{at * 53 % 110}", "year": 2010 + at // 110, "grade": ["优秀", "称职", "不称职"][at * 7 % 3], "score": f"{60 + at % 40}.5"} for at in range(600)],
    }  # fmt: skip
    whole = told(everything, rows)
    assert whole == told(everything, rows, "duckdb")
    with many_rows():
        assert told(everything, rows) == whole


# -- what standing by person must not change -------------------------------------------------------------------


def alike(text: str, rows: dict[str, list[dict[str, object]]]):
    """What a pack says in the kernel, which is what it says in SQL and piece by piece."""
    pack = pack_of(text)
    found = told(pack, rows)
    assert found == told(pack, rows, "duckdb")
    with many_rows():
        assert told(pack, rows) == found
    return found


def test_several_entries_of_one_period_are_one_whoever_they_are_of():
    rows = {
        "person": [{"person_id": who} for who in "甲乙丙"], "unit": [{"unit_id": "某局"}],
        "assessment": [{"person": who, "unit": "某局", "year": 2020, "grade": grade} for who, grade in (("丙", "优秀"), ("甲", "不称职"), ("乙", "优秀"))],
    }  # fmt: skip
    found = alike(
        "policy: 单位\nkind: score\nsubject: 机构\ncomponents: {连: \"run(年度考核, 等次 = '优秀', gap:skip)\"}\n",
        rows,
    )
    assert found["单位"][0]["数值"] == 1


EFFECTS = """
registers:
  通报: {label: 通报, subject: SUBJECT, happened: 日期, order: 日期, fields: {机构: {type: ref(unit)}, 人员: {type: ref(person)}, 日期: {type: date}, 月数: {type: int}}}
---
policy: 限制
kind: consequence
subject: 通报
effects: {不得提拔: {when: "月数 > 0", from: 日期, until: "add_months(日期, 月数)"}}
---
policy: 受限
kind: score
components: {末: "year(last(限制).截止日)", 首: "year(first(限制).截止日)"}
"""
NOTICES = {
    "person": [{"person_id": "甲"}], "unit": [{"unit_id": "一"}, {"unit_id": "二"}],
    "通报": [
        {"机构": "二", "人员": "甲", "日期": "2020-01-01", "月数": 12},
        {"机构": "一", "人员": "甲", "日期": "2020-01-01", "月数": 36},
    ],
}  # fmt: skip


def test_effects_stand_as_what_makes_them_was_entered():
    pack = pack_of("pack: 地方" + EFFECTS.replace("SUBJECT", "unit"))
    records = Records.from_rows(NOTICES, pack.vocabulary)
    kernel, sql = (run_of(pack, Store(records), AS_OF, engine=engine).rows("受限") for engine in ("kernel", "duckdb"))  # fmt: skip
    assert kernel == sql
    assert (kernel[0]["末"], kernel[0]["首"]) == (2023, 2021)


def test_packs_that_declare_a_register_otherwise_share_a_store():
    by_unit, by_person = (pack_of("pack: 地方" + EFFECTS.replace("SUBJECT", subject)) for subject in ("unit", "person"))  # fmt: skip
    store = Store(Records.from_rows(NOTICES, by_unit.vocabulary))
    for pack in (by_unit, by_person):
        row = run_of(pack, store, AS_OF).rows("受限")[0]
        assert (row["末"], row["首"]) == (2023, 2021)


def test_a_number_that_just_fits_64_bits_without_a_sign_stays_whole():
    """Ten million with twelve decimals lies between 2**63 and 2**64, beside a number for somebody else."""
    rows = {
        "person": [{"person_id": "一"}, {"person_id": "二"}], "appointment": [{"person": "一", "start_date": "2020-01-01"}],
        "assessment": [{"person": "一", "year": 2020, "score": "90.5"}, {"person": "二", "year": 2020, "score": "80"}],
    }  # fmt: skip
    found = alike(
        'policy: 甲\nkind: score\nfacts: {和: "sum(年度考核, 得分)"}\n'
        'components: {a: "if(count(任职) > 0, 和 * 和 * 和, 10000000)"}\n',
        rows,
    )
    assert [row["数值"] for row in found["甲"]] == [Fraction("90.5") ** 3, 10_000_000]


def test_memory_is_kept_while_any_run_over_many_rows_goes_on(monkeypatch):
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(memory, "_library", lambda: (lambda what, much: said.append((what, much)) or 1, lambda _pad: 0))  # fmt: skip
    with memory.held(memory.MANY - 1):
        assert said == [], "few rows"
    with pytest.raises(ZeroDivisionError), memory.held(memory.MANY):
        with memory.held(memory.MANY):
            pass
        assert (memory.MAPPED, memory.USUAL) not in said, "another run still goes on"
        raise ZeroDivisionError
    assert said[-3:] == [(memory.ALONE, memory.LARGE), (memory.MAPPED, memory.USUAL), (memory.TRIM, 2 * memory.LARGE)]  # fmt: skip


def test_a_c_library_that_cannot_be_told_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_library", lambda: None)
    with memory.held(memory.MANY):
        assert np.zeros(10).sum() == 0
