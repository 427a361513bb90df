"""The kinds at the edges that packs do not reach."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.engine.kinds.bands import read_bands
from ganbu.errors import PackError


def people(*values, field="birth_date"):
    return {"person": [{"person_id": f"p{at}", field: value} for at, value in enumerate(values)]}


def scores(*values):
    return {
        "person": [{"person_id": f"p{at}"} for at in range(len(values))],
        "考试测评": [
            {"人员": f"p{at}", "成绩": v, "日期": "2025-01-01"}
            for at, v in enumerate(values)
            if v is not None
        ],
    }


RANK = "policy: 甲\nkind: rank\nvalue: 'max(考试测评, 成绩)'\n"


def outcomes(found):
    return [found[key]["结果"] for key in sorted(found)]


@pytest.mark.parametrize(
    ("n", "wanted"),
    [(10, (3, 4, 3)), (7, (2, 3, 2)), (9, (3, 3, 3)), (13, (4, 5, 4))],
)
def test_largest_remainder_of_3_4_3(judge, n, wanted):
    found = judge(
        RANK + "shares: {甲: 30%, 乙: 40%, 丙: 30%}\nround: largest_remainder\n", scores(*range(50, 50 + n))
    )
    got = outcomes(found)
    assert tuple(got.count(word) for word in ("甲", "乙", "丙")) == wanted


@pytest.mark.parametrize(("rule", "wanted"), [("down", 2), ("up", 3), ("half_up", 2)])
def test_seats_round_as_declared(judge, rule, wanted):
    found = judge(RANK + f"shares: {{优秀: 30%, 其余: rest}}\nround: {rule}\n", scores(*range(60, 67 + 1)))
    assert outcomes(found).count("优秀") == wanted


@pytest.mark.parametrize(
    ("edge", "wanted"),
    [
        ("exclude", ["优秀", "其余", "其余", "其余", "其余"]),
        ("include", ["优秀", "优秀", "优秀", "其余", "其余"]),
        ("undetermined", ["优秀", "同分待定", "同分待定", "其余", "其余"]),
    ],
)
def test_a_tie_on_the_edge_is_settled_as_declared(judge, edge, wanted):
    found = judge(RANK + f"shares: {{优秀: 40%, 其余: rest}}\nedge: {edge}\n", scores(90, 80, 80, 70, 60))
    assert outcomes(found) == wanted


def test_ties_and_tie_breakers(judge):
    assert [judge(RANK, scores(9, 8, 8, 7))[f"p{n}"]["名次"] for n in range(4)] == [1, 2, 2, 4]
    assert [judge(RANK + "ties: dense\n", scores(9, 8, 8, 7))[f"p{n}"]["名次"] for n in range(4)] == [
        1,
        2,
        2,
        3,
    ]
    assert [judge(RANK + "ties: row\n", scores(9, 8, 8, 7))[f"p{n}"]["名次"] for n in range(4)] == [
        1,
        2,
        3,
        4,
    ]
    rows = scores(9, 8, 8, 7)
    for at, person in enumerate(rows["person"]):
        person["birth_date"] = f"{1980 + at}-01-01"
    found = judge(RANK + "then: [{value: 年龄, order: asc}]\n", rows)
    assert [found[f"p{n}"]["名次"] for n in range(4)] == [1, 3, 2, 4]


def test_one_unknown_value_makes_only_its_owner_undecided_and_warns_the_group(judge):
    found = judge(RANK + "shares: {优秀: 50%, 其余: rest}\n", scores(9, 8, None))
    assert outcomes(found) == ["优秀", "其余", "不能判定"] and found["p0"]["不能排除"]


def test_small_groups_last_places_grants_and_the_track_outside_the_quota(judge):
    text = RANK + "min_group: {size: 3, below: 合并评定}\n"
    assert outcomes(judge(text, scores(9, 8))) == ["合并评定", "合并评定"]
    assert outcomes(judge(RANK + "counts: {红榜: 1}\nlast: {末位: 1}\n", scores(9, 8, 7))) == [
        "红榜",
        "未入围",
        "末位",
    ]
    rows = scores(9, 8, 7, 6)
    rows["奖励"] = [{"人员": "p3", "名称": "二等功", "批准日期": "2025-01-01"}]
    granted = "automatic: {优秀: {when: \"any(奖励, 名称 = '二等功')\", counts: COUNTS}}\nshares: {优秀: 50%, 其余: rest}\n"
    assert outcomes(judge(RANK + granted.replace("COUNTS", "是"), rows)) == ["优秀", "其余", "其余", "优秀"]
    # A grant that takes no seat leaves both seats of four to the others, and the base as it is.
    assert outcomes(judge(RANK + granted.replace("COUNTS", "否"), rows)) == ["优秀", "优秀", "其余", "优秀"]
    assert judge(RANK + granted.replace("COUNTS", "否"), rows)["p0"]["组内人数"] == 4
    aside = RANK + "off_quota: \"any(奖励, 名称 = '二等功')\"\nshares: {优秀: 50%, 其余: rest}\n"
    assert outcomes(judge(aside, rows)) == ["优秀", "其余", "其余", "单列"]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=14))
def test_places_agree_with_counting(values):
    from datetime import date
    from pathlib import Path

    from ganbu.engine.policy import Pack
    from ganbu.engine.records import Records
    from ganbu.engine.run import evaluate
    from ganbu.engine.source import read_documents

    (body,) = read_documents(RANK, "x.yaml")
    pack = Pack("x", "x", Path("x"), body, own={"甲": body})
    found = {
        r["对象"]: r["名次"]
        for r in evaluate(pack, Records.from_rows(scores(*values)), date(2025, 6, 30), ["甲"]).rows("甲")
    }
    assert [found[f"p{at}"] for at in range(len(values))] == [
        1 + sum(other > value for other in values) for value in values
    ]


SCORE = "policy: 甲\nkind: score\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("components: {a: 10, b: {value: 90.95, weight: 50%}}\nround: {digits: 1}\n", Fraction("55.5")),
        ("base: 100\ncomponents: {a: 0}\ndeductions: {b: {when: 是, points: 12}}\n", 88),
        ("components: {组: {take: max, cap: 5, parts: {x: 7, y: 3}}}\n", 5),
        ("components: {组: {take: min, parts: {x: 7, y: 3}}}\n", 3),
        ("components: {组: {take: mean, parts: {x: 7, y: 4}}}\n", Fraction(11, 2)),
        ("components: {组: {take: top 2, parts: {x: 7, y: 3, z: 5}}}\n", 12),
        ("components: {组: {take: top 1, parts: {x: 1, y: 9, z: 5}}}\n", 9),
        ("components: {a: 50}\nfloor: 60\n", 60),
        ("components: {a: 150}\ncap: 100\n", 100),
        ("components: {a: 90}\nveto: {假: {when: 是, to: 0}}\n", 0),
        ("components: {a: {value: 年龄, missing: zero}, b: 3}\n", 3),
        ("missing: zero\ncomponents: {a: 年龄, b: 3}\n", 3),
        (
            "missing: renormalise\ncomponents: {a: {value: 年龄, weight: 40%}, b: {value: 80, weight: 60%}}\n",
            80,
        ),
        ("components: {a: 年龄, b: 3}\n", None),
        ("components: {a: 1/3 * 60}\n", 20),
        ("period: quarter\ncomponents: {a: 'days(本期起, 本期止)'}\n", 90),
        ("period: year\ncomponents: {a: 'days(本期起, 本期止)'}\n", 364),
        ("period: half_year\ncomponents: {a: month(本期起)}\n", 1),
    ],
)
def test_scores(judge, text, wanted):
    assert judge(SCORE + text, {"person": [{"person_id": "p"}]})["p"]["数值"] == wanted


@pytest.mark.parametrize(
    ("x", "band"),
    [("90", "优秀"), ("89.99", "良好"), ("80", "良好"), ("79.99", "一般"), ("60", "一般"), ("59.99", "较差")],
)
def test_band_edges(judge, x, band):
    text = (
        SCORE
        + f"components: {{a: {x}}}\nbands: {{优秀: '>= 90', 良好: '>= 80', 一般: '>= 60', 较差: else}}\n"
    )
    assert judge(text, {"person": [{"person_id": "p"}]})["p"]["结果"] == band


def test_bands_must_cover_the_line():
    assert read_bands({"甲": "不少于 6 and 不超过 9", "乙": "> 9", "丙": "< 6"})
    with pytest.raises(PackError, match="没有盖住"):
        read_bands({"甲": ">= 2 and <= 5", "乙": ">= 6", "丙": "< 2"})


UNITS = {
    "机构": [{"机构编号": u} for u in "ABC"],
    "单位指标": [
        {"机构": u, "指标": "x", "数值": v, "日期": "2025-01-01"}
        for u, v in zip("ABC", (10, 20, 40), strict=True)
    ],
}


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("none", [10, 20, 40]),
        ("minmax", [0, Fraction(1, 3), 1]),
        ("of_max", [Fraction(1, 4), Fraction(1, 2), 1]),
        ("rank", [Fraction(1, 3), Fraction(2, 3), 1]),
        ("zscore", [Fraction("-1.069045"), Fraction("-0.267261"), Fraction("1.336306")]),
    ],
)
def test_index_standardisation(judge, how, wanted):
    text = f'policy: 甲\nkind: index\nsubject: 机构\nindicators: {{x: {{value: "sum(单位指标, 数值)", standardise: {how}}}}}\n'
    found = judge(text, UNITS)
    assert [found[u]["数值"] for u in "ABC"] == wanted and found["C"]["名次"] == 1


def test_index_downwards_weights_scale_and_bands(judge):
    text = "policy: 甲\nkind: index\nsubject: 机构\nscale: 100\nindicators:\n  x: {value: 'sum(单位指标, 数值)', standardise: minmax, direction: down, weight: 60%}\n  y: {value: 1, weight: 40%}\nbands: {绿: '>= 80', 黄: '>= 60', 红: else}\nround: {digits: 1}\n"
    found = judge(text, UNITS)
    assert [(found[u]["数值"], found[u]["结果"]) for u in "ABC"] == [(100, "绿"), (80, "绿"), (40, "红")]


def test_all_equal_is_full_marks_and_zero_spread(judge):
    rows = {
        "机构": [{"机构编号": u} for u in "AB"],
        "单位指标": [{"机构": u, "指标": "x", "数值": 7, "日期": "2025-01-01"} for u in "AB"],
    }
    for how, wanted in (("minmax", 1), ("zscore", 0)):
        text = f'policy: 甲\nkind: index\nsubject: 机构\nindicators: {{x: {{value: "sum(单位指标, 数值)", standardise: {how}}}}}\n'
        assert judge(text, rows)["A"]["数值"] == wanted


def test_alert_doubts_and_expiry(judge):
    text = "policy: 甲\nkind: alert\nlevels:\n  红: {when: 年龄 >= 40, expires: 12 个月, action: 谈话}\n  黄: 性别 = '男'\n"
    found = judge(
        text,
        {
            "person": [
                {"person_id": "a", "sex": "男"},
                {"person_id": "b", "birth_date": "1985-06-30"},
                {"person_id": "c", "sex": "女", "birth_date": "1990-01-01"},
            ]
        },
    )
    assert found["a"]["结果"] == "黄" and found["a"]["不能排除"] == ["红"]
    assert (
        found["b"]["结果"] == "红"
        and str(found["b"]["期限"]) == "2025-06-30"
        and str(found["b"]["到期"]) == "2026-06-30"
    )
    assert found["c"]["结果"] == "无"


def test_eligibility_names_the_day_on_which_time_alone_will_do(judge):
    text = "policy: 甲\nkind: eligibility\nrequire: {年龄: 年龄 >= 40, 党龄: years(入党时间) >= 10}\nexempt: 姓名 = '特批'\n"
    found = judge(
        text,
        {
            "person": [
                {"person_id": "a", "birth_date": "1986-01-01", "party_date": "2016-03-01", "name": "甲"},
                {"person_id": "b", "name": "特批"},
            ]
        },
    )
    assert found["a"]["结果"] == "不符合" and str(found["a"]["期限"]) == "2026-03-01"
    assert found["b"]["结果"] == "免于审查"


def test_first_hit_chooser_stops_at_an_unknown(judge):
    text = "policy: 甲\nkind: chooser\nhit: first\nrules:\n  - {when: 年龄 >= 40, then: 甲}\n  - {when: 是, then: 乙}\n"
    found = judge(
        text,
        {
            "person": [
                {"person_id": "a", "birth_date": "1980-01-01"},
                {"person_id": "b", "birth_date": "1990-01-01"},
                {"person_id": "c"},
            ]
        },
    )
    assert outcomes(found) == ["甲", "乙", "不能判定"]


def test_a_quota_with_nobody_in_sight(pack):
    from datetime import date

    from ganbu.engine.records import Records
    from ganbu.engine.run import evaluate

    made = pack(
        "policy: 甲\nkind: quota\nsubject: 后备库\nparts: {至少: {where: 是, at_least: 3}, 至多: {where: 是, at_most: 3}, 正好: {where: 是, exactly: 0}, 比例: {where: 是, at_least: 20%}}\n"
    )
    rows = evaluate(made, Records.from_rows({"后备库": []}), date(2025, 1, 1)).rows("甲")
    assert [(row["名称"], row["结果"]) for row in rows] == [
        ("至少", "不足"),
        ("至多", "达标"),
        ("正好", "达标"),
        ("比例", "不能判定"),
    ]


def test_more_than_and_exactly(judge, pack):
    from datetime import date

    from ganbu.engine.records import Records
    from ganbu.engine.run import evaluate

    made = pack(
        "policy: 甲\nkind: quota\ngroups: [性别]\nparts: {多于一: {where: 是, more_than: 1}, 正好二: {where: 是, exactly: 2}, 少于三: {where: 是, less_than: 3}}\n"
    )
    rows = evaluate(
        made,
        Records.from_rows(
            {"person": [{"person_id": k, "sex": s} for k, s in zip("abc", "男男女", strict=True)]}
        ),
        date(2025, 1, 1),
    ).rows("甲")
    assert {(r["对象"], r["名称"]): r["结果"] for r in rows} == {
        ("男", "多于一"): "达标",
        ("男", "正好二"): "达标",
        ("男", "少于三"): "达标",
        ("女", "多于一"): "不足",
        ("女", "正好二"): "不足",
        ("女", "少于三"): "达标",
    }
