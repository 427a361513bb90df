"""What would be: the difference that a sandbox tells is the difference between two whole runs."""

import json
from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu import Records, load_pack
from ganbu.engine.run import Store, evaluate
from ganbu.engine.simulate import keyed
from ganbu.engine.whatif import Overlay, Sandbox
from ganbu.errors import RecordsError
from ganbu.vocabulary import load_vocabulary
from tests.engine.test_engines_agree import AS_OF, DAYS, PEOPLE, UNITS, _maybe, everything, records
from tests.engine.test_random_policies import pack_of

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
        "level": st.sampled_from(["科员", "乡科级正职"]), "grassroots": st.booleans(), "start_date": DAYS, "end_date": st.one_of(DAYS, st.sampled_from(["2019", "2024", "2023-05", AS_OF + timedelta(days=9)]))},
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


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds())
def test_near_tells_the_same_of_those_it_is_about(everything, world):
    rows, overlay = world
    sandbox = Sandbox(everything, Store(Records.from_rows(rows)), AS_OF)
    all_, near = sandbox.ask(overlay).differences, sandbox.ask(overlay, near=True).differences
    about = {row[IDS[name]] for name, items in overlay.add.items() for row in items} | {key for items in overlay.change.values() for key in items}  # fmt: skip
    told = [d for d in all_ if d in near]
    assert told == near, "nothing that is not so"
    assert all(d in near for d in all_ if d.kind != "rank" and d.subject in about)


PACK = """
pack: 沙盘
---
policy: 任职满年
kind: eligibility
parameters: {年限: 10}
require: {满: years(last(任职, 免职时间 is missing).任职时间) >= 年限}
---
policy: 名次
kind: rank
value: count(任职)
ties: row
counts: {红榜: 1}
---
policy: 班子年龄
kind: composition
subject: 机构
define: {机构: {均龄: "avg(任职, years(人员.出生日期), 免职时间 is missing)"}}
require: {均龄: 均龄 <= 50}
"""
ROWS = {
    "person": [{"person_id": key, "name": f"{key}某", "birth_date": born} for key, born in (("甲", "1970-01-01"), ("乙", "1990-01-01"), ("丙", "1985-01-01"))],
    "unit": [{"unit_id": "局", "name": "某局"}, {"unit_id": "镇", "name": "某镇"}],
    "appointment": [
        {"appointment_id": "a1", "person": "甲", "unit": "局", "title": "局长", "start_date": "2010-01-01"},
        {"appointment_id": "a2", "person": "乙", "unit": "镇", "title": "镇长", "start_date": "2020-01-01"},
    ],
}  # fmt: skip


@pytest.fixture
def sandbox(tmp_path):
    (tmp_path / "pack.yaml").write_text(PACK, "utf-8")
    return Sandbox(load_pack(tmp_path), Records.from_rows(ROWS), date(2026, 6, 30))


def test_a_file_of_hypotheses(sandbox, tmp_path):
    path = tmp_path / "假设.yaml"
    path.write_text(
        "change: {任职: {a1: {免职时间: 2026-06-01}}}\nadd: {任职: [{人员: 丙, 机构: 局, 职务名称: 局长, 任职时间: 2026-06-01}]}\n",
        "utf-8",
    )
    answer = sandbox.ask(Overlay.read(path))
    (team,) = answer.compositions
    assert (team.subject, team.name, team.before["结果"], team.after["结果"]) == (
        "局",
        "某局",
        "不达标",
        "达标",
    )
    assert [d.after["结果"] for d in answer.of("甲") if d.policy == "任职满年"] == ["不能判定"]
    assert {d.subject for d in answer.differences if d.policy == "任职满年"} == {"甲", "丙"}


def test_other_parameters_are_other_rules_for_everybody(sandbox):
    found = sandbox.ask(Overlay(parameters={"任职满年": {"年限": 5}})).differences
    assert [(d.subject, d.before["结果"], d.after["结果"]) for d in found] == [("乙", "不符合", "符合")]
    moved = sandbox.ask(Overlay(parameters={"任职满年": {"年限": 20}}, drop={"任职": ["a2"]})).differences
    assert {d.subject for d in moved if d.policy == "任职满年"} == {"甲", "乙"}


def test_a_sandbox_is_not_changed_by_what_is_asked(sandbox):
    one = Overlay(change={"person": {"甲": {"出生日期": "1999-01-01"}}})
    assert sandbox.ask(one).differences == sandbox.ask(one).differences
    assert sandbox.ask(Overlay()).differences == []


def test_hypotheses_that_cannot_be_are_refused(sandbox, tmp_path):
    for overlay, told in (
        (Overlay(add=["任职"]), "add 应写作 登记表: "),
        (Overlay(add=None), "add 应写作"),
        (Overlay(add={"任职": {"人员": "甲"}}), "add 应写作"),
        (Overlay(add={"任职": ["局长"]}), "add 应写作"),
        (Overlay(change={"任职": ["a1"]}), "change 应写作 登记表: "),
        (Overlay(change={"任职": {"a1": None}}), "change 应写作"),
        (Overlay(drop={"任职": "a1"}), "drop 应写作 登记表: "),
        (Overlay(drop={"任职": 5}), "drop 应写作"),
        (Overlay(parameters={"任职满年": 8}), "parameters 应写作 规则: "),
        (Overlay(parameters={"任职满": {"年限": 8}}), "没有规则“任职满”.*任职满年"),
        (Overlay(change={"任职": {"a1": {"任职编号": "a9"}}}), "编号不能改"),
        (Overlay(add={"任职": [{"任职编号": "a1", "人员": "丙"}]}), "已有编号为“a1”的记录"),
        (
            Overlay(add={"任职": [{"任职编号": "n", "人员": "丙"}, {"appointment_id": "n", "人员": "丙"}]}),
            "已有编号为“n”",
        ),
        (Overlay(change={"任职": {"无": {"免职时间": "2026-01-01"}}}), "没有编号为“无”的记录"),
        (Overlay(drop={"任职": ["无"]}), "没有编号为“无”的记录"),
        (Overlay(add={"任职们": [{}]}), "没有登记表“任职们”"),
        (Overlay(change={"任职": {"a1": {"免职日": "2026-01-01"}}}), "免职日"),
        (Overlay(change={"任职": {"a1": {"免职时间": "不是日期"}}}), "免职时间"),
    ):
        with pytest.raises(RecordsError, match=told):
            sandbox.ask(overlay)
    path = tmp_path / "x.yaml"
    path.write_text("remove: {任职: [a1]}\n", "utf-8")
    with pytest.raises(RecordsError, match="假设里只能有"):
        Overlay.read(path)


def test_on_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from ganbu.cli import app

    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/pack.yaml").write_text(PACK, "utf-8")
    Records.from_rows(ROWS).write(tmp_path / "records")
    (tmp_path / "x.yaml").write_text("change: {任职: {a1: {免职时间: 2026-06-01}}}\n", "utf-8")
    words = ["whatif", str(tmp_path / "pack"), str(tmp_path / "x.yaml"), "--records", str(tmp_path / "records"), "--as-of", "2026-06-30"]  # fmt: skip
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and "任职满年" in done.output and "不能判定" in done.output
    told = json.loads(CliRunner().invoke(app, [*words, "--near", "--only", "任职满年", "--format", "json"]).stdout)  # fmt: skip
    assert [(d["subject"], d["before"]["结果"], d["after"]["结果"]) for d in told["differences"]] == [("甲", "符合", "不能判定")]  # fmt: skip


def test_effects_of_one_day_stand_as_they_were_entered_when_one_moves_to_another():
    pack = pack_of("""
policy: 限制
kind: consequence
subject: 处分处理
effects: {不得提拔: {when: "种类 != '政务警告'", from: 生效日期, until: "add_months(生效日期, 影响期月数)"}}
---
policy: 受限
kind: score
components: {末: "year(last(限制).截止日)", 首: "year(first(限制).截止日)"}
---
policy: 名额
kind: quota
subject: 年度考核
groups: [年度]
parts: {多: {where: "得分 > 60 and 等次 = '优秀'", at_least: 30%}}
""")
    day = date(2020, 1, 1)
    rows = {
        "person": [{"person_id": who} for who in "甲乙丙"],
        "sanction": [{"sanction_id": f"s{at}", "person": who, "kind": "政务记过", "date": day, "months": 12 + 24 * at} for at, who in enumerate("乙甲")],
        "assessment": [
            {"assessment_id": "0", "person": "乙", "year": 2020, "grade": "优秀"}, {"assessment_id": "1", "person": "甲", "year": 2020, "score": "90"},
            *({"assessment_id": str(at), "person": "丙", "year": 2020, "grade": "优秀", "score": "90"} for at in range(2, 7)),
        ],
    }  # fmt: skip
    overlay = Overlay(
        change={"sanction": {"s1": {"person": "乙"}}}, drop={"assessment": ["3", "4", "5", "6"]}
    )
    told = Sandbox(pack, Store(Records.from_rows(rows)), AS_OF).ask(overlay).differences
    expected = difference(pack, rows, overlay)
    assert {policy for policy, _ in expected} == {"限制", "受限", "名额"}
    assert {(d.policy, d.key): (d.before, d.after) for d in told} == expected
