"""Aggregates over dated rows, at their edges."""

import pytest

P = [{"person_id": "p", "birth_date": "1980-01-01"}]


def value(judge, expression, rows, as_of="2025-06-30"):
    text = f'policy: 甲\nkind: score\ncomponents:\n  值: "{expression}"\n'
    people = rows.pop("person", P)
    return judge(
        text, {"person": people, **{k: [{"人员": "p", **r} for r in v] for k, v in rows.items()}}, as_of
    )["p"]["数值"]


def grades(*pairs):
    return {"年度考核": [{"年度": year, "等次": grade} for year, grade in pairs]}


@pytest.mark.parametrize(
    ("pairs", "expression", "wanted"),
    [
        (((2022, "优秀"), (2023, "优秀"), (2024, "优秀")), "streak(年度考核, 等次 = '优秀')", 3),
        (((2021, "优秀"), (2023, "优秀"), (2024, "优秀")), "streak(年度考核, 等次 = '优秀')", 2),
        (((2021, "优秀"), (2023, "优秀"), (2024, "优秀")), "streak(年度考核, 等次 = '优秀', gap:skip)", 3),
        (((2022, "优秀"), (2023, "优秀"), (2024, "称职")), "streak(年度考核, 等次 = '优秀')", 0),
        (((2021, "优秀"), (2022, "优秀")), "streak(年度考核, 等次 = '优秀', to:考核年)", 0),
        (((2019, "优秀"), (2020, "优秀"), (2021, "称职"), (2022, "优秀")), "run(年度考核, 等次 = '优秀')", 2),
        ((), "streak(年度考核, 等次 = '优秀')", 0),
        (((2022, "优秀"), (2023, None), (2024, "优秀")), "streak(年度考核, 等次 = '优秀')", None),
        (
            ((2021, "优秀"), (2022, "称职"), (2023, "优秀"), (2024, "优秀")),
            "count(年度考核, 等次 = '优秀', last:3 年)",
            2,
        ),
        (((2021, "优秀"), (2022, "称职"), (2023, "优秀")), "count(年度考核, 等次 = '优秀', latest:2)", 1),
        (((2022, "称职"), (2023, "优秀")), "if(last(年度考核).等次 = '优秀', 1, 0)", 1),
        (((2022, "称职"), (2023, "优秀")), "if(first(年度考核).等次 = '优秀', 1, 0)", 0),
        (((2022, "称职"), (2023, "优秀")), "avg(年度考核, {优秀: 3, 称职: 2}[等次])", "5/2"),
        (((2022, "称职"), (2023, "优秀")), "distinct(年度考核, 等次)", 2),
        (
            ((2023, "优秀"), (2024, "优秀")),
            "avg(年度考核, {优秀: 3, 称职: 2}[等次], last:3 年, expect:3)",
            None,
        ),
        (((2023, "优秀"), (2024, "优秀")), "run(年度考核, 等次 = '优秀', gap:skip)", 2),
    ],
)
def test_grades(judge, pairs, expression, wanted):
    from fractions import Fraction

    assert value(judge, expression, grades(*pairs)) == (
        Fraction(wanted) if isinstance(wanted, str) else wanted
    )


def posts(*rows):
    return {
        "任职": [{"职位": p, "任职时间": a, "免职时间": b, "职务层次": "乡科级正职"} for p, a, b in rows],
        "职位": [],
    }


@pytest.mark.parametrize(
    ("rows", "expression", "wanted"),
    [
        ([("甲", "2015-06-30", None)], "clock(任职.职位)", 10),
        ([("甲", "2015-07-01", None)], "clock(任职.职位)", 9),
        ([("甲", "2010-01-01", "2016-01-01"), ("甲", "2020-01-01", None)], "clock(任职.职位)", 5),
        (
            [("甲", "2010-01-01", "2016-01-01"), ("甲", "2020-01-01", None)],
            "clock(任职.职位, mode:cumulative)",
            11,
        ),
        ([("甲", "2010-01-01", "2016-01-01"), ("甲", "2016-01-20", None)], "clock(任职.职位, gap:31)", 15),
        ([("甲", "2010-01-01", "2016-01-01")], "or_else(clock(任职.职位), -1)", -1),
        ([("甲", "2010-01-01", None), ("乙", "2022-01-01", None)], "clock(任职.职位)", 15),
        ([("甲", "2010-01-01", None), ("乙", "2022-01-01", None)], "clock(任职.职位, of:latest)", 3),
        ([("甲", "2020-01-01", "2021-07-01"), ("乙", "2021-01-01", "2022-01-01")], "held(任职)", 24),
        ([("甲", "2020-01-01", "2021-12-01"), ("乙", "2023-01-01", "2024-12-01")], "full_years(任职)", 3),
        (
            [("甲", "2020-01-01", "2021-12-01"), ("乙", "2023-01-01", "2024-12-01")],
            "full_years(任职, per:row)",
            2,
        ),
        ([("甲", "2020-01-15", "2020-02-10"), ("乙", "2020-03-01", "2020-03-08")], "held(任职)", 1),
        ([("甲", "2020-01-01", "2020-06-30")], "held(任职)", 5),
        ([], "held(任职)", 0),
        ([("甲", None, None)], "or_else(clock(任职.职位), -1)", -1),
        ([("甲", "2026-01-01", None)], "count(任职)", 0),
        ([("甲", "2020-01-01", "2026-01-01")], "count(任职, 免职时间 is missing)", 1),
    ],
)
def test_clocks(judge, rows, expression, wanted):
    assert value(judge, expression, posts(*rows)) == wanted


def test_top_few_and_best_only(judge):
    rows = {
        "奖励": [{"批准日期": "2024-01-01", "级别": level, "名称": "x"} for level in ("县级", "市级", "省级")]
    }
    points = "{县级: 1, 市级: 1.5, 省级: 2}[级别]"
    assert value(judge, f"top_sum(奖励, {points}, n:2)", dict(rows)) * 2 == 7
    assert value(judge, f"top_avg(奖励, {points}, n:2)", dict(rows)) * 4 == 7
    assert value(judge, f"max(奖励, {points})", dict(rows)) == 2
    assert value(judge, "if(top(奖励, 级别).级别 = '省级', 1, 0)", dict(rows)) == 1


def test_a_window_ends_today_and_begins_after_the_same_day_years_ago(judge):
    rows = {
        "奖励": [
            {"批准日期": day, "名称": "x"} for day in ("2022-06-30", "2022-07-01", "2025-06-30", "2025-07-01")
        ]
    }
    assert value(judge, "count(奖励, last:3 年)", dict(rows)) == 2
    assert value(judge, "count(奖励, from:date(2022, 6, 30), to:date(2022, 7, 1))", dict(rows)) == 2


def test_over_all_subjects(judge):
    people = [
        {"person_id": k, "birth_date": b, "sex": s}
        for k, b, s in (("a", "1980-01-01", "男"), ("b", "1990-01-01", "男"), ("c", "1985-01-01", "女"))
    ]
    text = "policy: 甲\nkind: score\ncomponents:\n  名次: 'place(年龄, in:(性别))'\nshow: ['size(in:(性别))', 'total(年龄)', 'lowest(年龄)', 'highest(年龄)', 'mean(年龄)']\n"
    found = judge(text, {"person": people})
    assert [found[k]["数值"] for k in "abc"] == [1, 2, 1]
    assert (
        found["a"]["total(年龄)"] == 120
        and found["a"]["mean(年龄)"] == 40
        and found["c"]["size(in:(性别))"] == 1
    )


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("workdays(2025-09-26, 2025-10-10)", 5),
        ("days(2025-01-01, 2025-01-31)", 30),
        ("days(2025-01-01, 2025-01-31, inclusive:是)", 31),
        ("months(2025-01-31, 2025-02-28)", 1),
        ("days(add_workdays(2025-09-26, 5), 2025-10-10)", 0),
        ("days(add_days(2025-01-01, 30), 2025-01-31)", 0),
        ("days(2025-01-31 + 1 个月, 2025-02-28)", 0),
        ("2025-03-01 - 2025-02-01", 28),
        ("year(出生日期) + month(出生日期) + day(出生日期)", 1982),
        ("round(2.345, 2) * 1000 - 2350", 0),
        ("abs(-3) + floor(2.7) + ceil(2.1)", 8),
        ("greatest(1, 2, 3) + cap(9, 5)", 8),
        ("if(between(3, 3, 5), 1, 0)", 1),
        ("if(about(42, 40, tolerance:2), 1, 0)", 1),
        ("case(年龄 > 100, 1, 年龄 > 40, 2, 3)", 2),
        ("if('党委书记' 含 '书记', 1, 0)", 1),
        ("基准年 * 10000 + 考核年", 20252024),
    ],
)
def test_scalars(judge, expression, wanted):
    assert value(judge, expression, {}) == wanted
