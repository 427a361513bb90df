"""Running, explaining, replaying, simulating."""

import json
from datetime import date

import pytest

from ganbu import Records, evaluate, explain, load_pack, simulate
from ganbu.engine.policy import shipped_packs
from ganbu.engine.run import Store
from ganbu.engine.select import select
from ganbu.errors import PackError, RecordsError

PEOPLE = [
    {"person_id": "G1", "name": "甲", "sex": "男", "birth_date": "1980-03-02"},
    {"person_id": "G2", "name": "乙", "sex": "女", "birth_date": "1985-06"},
    {"person_id": "G3", "name": "甲"},
]
POSTS = [
    {
        "person": "G1",
        "title": "副局长",
        "post": "P1",
        "team_member": True,
        "kind": "副职",
        "start_date": "2011-03-14",
    },
    {"person": "G2", "title": "局长", "post": "P2", "team_member": True, "start_date": "2020-01-01"},
]
ROWS = {"person": PEOPLE, "appointment": POSTS, "post": [{"post_id": "P1"}, {"post_id": "P2"}]}
DAY = date(2025, 6, 30)


@pytest.fixture(scope="module")
def store():
    return Store(Records.from_rows(ROWS))


def test_an_explanation_names_clause_facts_records_parameters_and_source(store):
    told = explain(load_pack("national"), "任职满十年交流", "G1", store, DAY)
    text = told.prose()
    for part in (
        "必须交流",
        "2021-03-14",
        "2011-03-14",
        "副局长",
        "年限 = 10",
        "党政领导干部交流工作规定 第五条",
    ):
        assert part in text
    found = json.loads(json.dumps(told.as_json(), ensure_ascii=False))
    assert found["finding"]["结果"] == "必须交流" and found["clauses"][0]["answer"] is True
    assert found["clauses"][0]["facts"][0]["records"][0]["登记表"] == "任职"


def test_a_name_that_two_share_asks_for_the_identity(store):
    with pytest.raises(RecordsError, match="请用编号"):
        explain(load_pack("national"), "到龄退休", "甲", store, DAY)
    with pytest.raises(RecordsError, match="没有“丁”"):
        explain(load_pack("national"), "到龄退休", "丁", store, DAY)


def test_every_kind_can_be_explained():
    pack = load_pack("demo")
    rows = {
        **ROWS,
        "team": [{"team_id": "T1", "name": "班子"}],
        "unit": [{"unit_id": "U1", "name": "局", "system": "公安"}],
        "assessment": [{"assessment_id": "a1", "person": "G1", "year": 2024, "score": "90"}],
    }
    rows["sanction"] = [{"sanction_id": "s1", "person": "G1", "kind": "政务警告", "date": "2025-05-01"}]
    store = Store(Records.from_rows(rows))
    for policy, subject in (
        ("全程积分", "G1"),
        ("年度优秀排名", "a1"),
        ("领导班子年龄结构", "T1"),
        ("联席通报", "U1"),
        ("处分影响期", "s1"),
        ("职级晋升资格", "G1"),
        ("教育培训学时", "G2"),
    ):
        told = explain(pack, policy, subject, store, DAY)
        assert told.prose() and json.dumps(told.as_json(), ensure_ascii=False)


def test_simulating_shows_who_moves_and_how(store, tmp_path):
    (tmp_path / "pack.yaml").write_text(
        "pack: 试\nextends: national\n---\npolicy: 任职满十年交流\nextends: 任职满十年交流\nparameters: {年限: 5}\nshow: [性别]\n",
        "utf-8",
    )
    found = simulate(load_pack("national"), "任职满十年交流", load_pack(tmp_path), store, DAY, by="性别")
    assert found.moves == {("无", "必须交流"): 1} and [c.subject for c in found.changes] == ["G2"]
    assert found.before == {"必须交流": 1, "无": 1} and found.groups == {"女": {("无", "必须交流"): 1}}
    with pytest.raises(PackError, match="没有规则"):
        simulate(
            load_pack("national"),
            "任职满十年交流",
            load_pack("jiangsu/nantong"),
            store,
            DAY,
            against_policy="没有",
        )


def test_known_at_replays_what_was_known(pack):
    made = pack("policy: 甲\nkind: score\ncomponents: {分: 'sum(纪实, 分值)'}\n")
    rows = {"person": [{"person_id": "p"}], "deed": [
        {"deed_id": "1", "person": "p", "points": "3", "date": "2025-01-01", "recorded_at": "2025-01-02T08:00:00", "superseded_at": "2025-03-01T08:00:00"},
        {"deed_id": "2", "person": "p", "points": "1", "date": "2025-01-01", "recorded_at": "2025-03-01T08:00:00"},
        {"deed_id": "3", "person": "p", "points": "5", "date": "2025-02-01"},
    ]}  # fmt: skip
    records = Records.from_rows(rows)
    values = [
        evaluate(made, records, DAY, known_at=at).rows("甲")[0]["数值"]
        for at in ("2025-01-01", "2025-02-28", "2025-03-01T09:00:00", "")
    ]
    assert values == [5, 8, 6, 6]
    with pytest.raises(RecordsError, match="时点"):
        evaluate(made, records, DAY, known_at="昨天")


def test_results_as_tables(store):
    run = evaluate(load_pack("national"), store, DAY, ["任职满十年交流", "到龄退休"])
    table = run.table("任职满十年交流")
    assert table.column_names[:3] == ["对象", "名称", "结果"] and table["结果"].to_pylist() == [
        "必须交流",
        "无",
    ]
    assert run.counts("到龄退休") == {"不能判定": 2, "未到龄": 1}
    run.close()


def test_selecting_by_a_condition(store):
    records = Records.from_rows(ROWS)
    assert select(records, "性别 = '女' or 年龄 >= 45", DAY) == ["G1", "G2"]
    with pytest.raises(PackError, match="年龄"):
        select(records, "年令 > 3", DAY)


def test_records_survive_being_written(tmp_path):
    records = Records.from_rows(
        {**ROWS, "assessment": [{"person": "G1", "year": 2024, "score": "89.4100", "off_quota": "是"}]}
    )
    for fmt in ("parquet", "csv", "jsonl"):
        records.write(tmp_path / fmt, fmt)
        again = Records.open(tmp_path / fmt)
        assert {name: again.rows(name) for name in again.tables} == {
            name: records.rows(name) for name in records.tables
        }


def test_a_pack_may_declare_registers_catalogues_and_facts(judge, pack):
    text = """pack: 甲
registers:
  民情日记: {subject: person, happened: 日期, fields: {日期: {type: date}, 字数: {type: int}}}
catalogues: {负面: [迟到, 早退], 未公布: {published: false, count: 3}}
facts: {人员: {日记数: count(民情日记)}}
---
policy: 甲
kind: alert
levels:
  甲级: any(纪实, 条目 in 未公布)
  乙级: any(纪实, 条目 in 负面) and 日记数 >= 2
"""
    made = pack(text)
    rows = {
        "person": [{"person_id": "p"}],
        "民情日记": [{"人员": "p", "日期": "2025-01-01", "字数": 9}] * 2,
        "deed": [{"person": "p", "item": "迟到", "date": "2025-01-01"}],
    }
    found = evaluate(made, Records.from_rows(rows, made.vocabulary), DAY).rows("甲")[0]
    assert found["结果"] == "乙级" and found["不能排除"] == ["甲级"]


def test_policies_outside_their_time_do_not_run(pack):
    made = pack("policy: 甲\nkind: eligibility\neffective: 2024-01-01\nuntil: 2025-01-01\nrequire: {a: 是}\n")
    records = Records.from_rows({"person": [{"person_id": "p"}]})
    for day, runs in (
        ("2023-12-31", False),
        ("2024-01-01", True),
        ("2024-12-31", True),
        ("2025-01-01", False),
    ):
        assert bool(evaluate(made, records, date.fromisoformat(day)).names) is runs


def test_shipped_packs_are_many_and_named():
    names = [name for name, _ in shipped_packs()]
    assert {
        "national",
        "demo",
        "zhejiang/ningbo/fenghua",
        "jiangsu/taizhou/jiangyan",
        "zhejiang/wenzhou/dongtou",
        "jiangsu/nantong",
    } <= set(names)
    with pytest.raises(PackError, match="没有规则包"):
        load_pack("nirvana")
