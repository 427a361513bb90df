"""Unknown is never zero, never no."""

import pytest

HEAD = "policy: 甲\nkind: eligibility\nrequire:\n  条: "
P = [{"person_id": "p"}]


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("年龄 >= 30", "不能判定"),
        ("not (年龄 >= 30)", "不能判定"),
        ("年龄 >= 30 or 是", "符合"),
        ("年龄 >= 30 and 否", "不符合"),
        ("出生日期 is missing", "符合"),
        ("年龄 is not missing", "不符合"),
        ("or_else(年龄, 0) >= 30", "不符合"),
        ("if(年龄 >= 30, 是, 是)", "不能判定"),
        ("least(年龄, 3) = 3", "不能判定"),
        ("年龄 / 0.5 > 1", "不能判定"),
        ("{男: 1, 女: 2}[性别] = 1", "不能判定"),
        ("缺 is missing", "符合"),
    ],
)
def test_unknown_travels_through_conditions(judge, condition, outcome):
    assert judge(HEAD + f'"{condition}"\n', {"person": P})["p"]["结果"] == outcome


@pytest.mark.parametrize(
    ("condition", "rows", "outcome"),
    [
        ("count(年度考核) = 0", [], "符合"),
        ("sum(年度考核, 年度) = 0", [], "符合"),
        ("avg(年度考核, 得分) > 0", [], "不能判定"),
        ("any(年度考核, 等次 = '优秀')", [], "不符合"),
        ("every(年度考核, 等次 = '优秀')", [], "不能判定"),
        ("any(年度考核, 等次 = '优秀')", [{"等次": "优秀"}, {}], "符合"),
        ("any(年度考核, 等次 = '优秀')", [{"等次": "称职"}, {}], "不能判定"),
        ("every(年度考核, 等次 = '优秀')", [{"等次": "称职"}, {}], "不符合"),
        ("count(年度考核, 等次 = '优秀') >= 1", [{"等次": "优秀"}, {}], "不能判定"),
        ("max(年度考核, 得分) >= 1", [{"得分": 2}, {}], "不能判定"),
        ("share(年度考核, 等次 = '优秀') = 1/2", [{"等次": "优秀"}, {"等次": "称职"}], "符合"),
        ("last(年度考核).等次 = '优秀'", [], "不能判定"),
        ("or_else(avg(年度考核, 得分), 7) = 7", [], "符合"),
        ("or_else(avg(年度考核, 得分), 7) = 3/2", [{"得分": 1}, {"得分": 2}], "符合"),
        ("round(or_else(avg(年度考核, 得分), 0), 4) = 0", [], "符合"),
    ],
)
def test_unknown_rows_in_aggregates(judge, condition, rows, outcome):
    items = [{"人员": "p", "年度": 2020 + at, **row} for at, row in enumerate(rows)]
    assert judge(HEAD + f'"{condition}"\n', {"person": P, "年度考核": items})["p"]["结果"] == outcome


def test_a_register_that_was_not_loaded_is_not_an_empty_one(judge):
    text = HEAD + '"count(奖励) = 0"\n'
    assert judge(text, {"person": P})["p"]["结果"] == "不能判定"
    assert judge(text, {"person": P, "奖励": []})["p"]["结果"] == "符合"


def test_an_open_register_says_nothing_of_those_it_does_not_mention(judge):
    found = judge(HEAD + '"clock(分工.分管领域) >= 5"\n', {"person": P, "分工": []})
    assert found["p"]["结果"] == "不能判定" and found["p"]["缺少"]


def test_what_is_missing_is_named(judge):
    found = judge(
        "policy: 甲\nkind: eligibility\nrequire: {年龄: 年龄 >= 30, 党员: 政治面貌 = '中共党员'}\n",
        {"person": P},
    )
    assert found["p"]["缺少"] == ["出生日期", "政治面貌"]


def test_a_population_that_cannot_be_decided_is_not_left_out(judge):
    found = judge(
        "policy: 甲\nkind: eligibility\nwhere: 性别 = '女'\nrequire: {条: 是}\n",
        {"person": [{"person_id": "a", "sex": "女"}, {"person_id": "b", "sex": "男"}, {"person_id": "c"}]},
    )
    assert {key: row["结果"] for key, row in found.items()} == {"a": "符合", "c": "不能判定"}
