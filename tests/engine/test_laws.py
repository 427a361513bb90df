"""The laws of the engine where they once failed: missing is never no, exact stays exact, nothing works backwards."""

from datetime import date
from fractions import Fraction

import pytest

from ganbu import Records, evaluate, explain, load_pack, simulate
from ganbu.engine.run import ENGINES
from ganbu.errors import MisuseError, OpenValueError, PackError

P = [{"person_id": "p", "name": "甲", "birth_date": "1980-01-01", "work_start": "2024-06-01"}]


def one(judge, text, rows=None, **options):
    return judge(f"policy: 甲\n{text}", {"person": P, **(rows or {})}, **options)["p"]


def test_an_exception_lifts_a_bar_a_level_and_a_veto(judge):
    assert one(judge, "kind: eligibility\nbars: {处分: {when: 否, unless: 是}}\n")["结果"] == "符合"
    assert one(judge, "kind: alert\nlevels: {红: {when: 是, unless: 是}}\n")["结果"] == "无"
    assert one(judge, "kind: score\ncomponents: {a: 5}\nveto: {假: {when: 是, unless: 是}}\n")["数值"] == 5
    assert one(judge, "kind: eligibility\nrequire: {任职: {when: 否, unless: 是}}\n")["结果"] == "符合"


def test_is_yes_does_not_turn_missing_into_no(judge):
    found = one(
        judge,
        "kind: eligibility\nbars: {选调: any(任职, 是否基层 is yes)}\n",
        {"任职": [{"人员": "p", "任职时间": "2020-01-01"}]},
    )
    assert found["结果"] == "不能判定" and found["缺少"]


def test_who_may_be_exempt_is_undecided_only_where_it_matters(judge):
    rule = "kind: eligibility\nexempt: 健康状况 = '良好'\nrequire: {年龄: 年龄 <= LIMIT}\n"
    assert one(judge, rule.replace("LIMIT", "30"))["结果"] == "不能判定"
    assert one(judge, rule.replace("LIMIT", "60"))["结果"] == "符合"


def test_a_day_on_which_something_else_has_lapsed_is_not_promised(judge):
    rule = "kind: eligibility\nrequire: {工作两年: years(参加工作时间) >= 2, 年龄: 年龄 <= LIMIT}\n"
    assert one(judge, rule.replace("LIMIT", "45"))["期限"] is None
    assert one(judge, rule.replace("LIMIT", "46"))["期限"] == date(2026, 6, 1)


def test_sums_and_extremes_of_ratios_are_exact():
    rows = {
        "person": P,
        "assessment": [{"person": "p", "year": 2020 + at, "place": 1, "group_size": 3} for at in range(3)],
    }
    text = 'policy: 甲\nkind: eligibility\nrequire:\n  和: "sum(年度考核, 名次 / 组内人数) >= 1"\n  大: "max(年度考核, 名次 / 组内人数) >= 1/3"\nshow: [平均]\nfacts: {平均: "avg(年度考核, 名次 / 组内人数)"}\n'
    pack = _pack(text)
    (row,) = evaluate(pack, Records.from_rows(rows), date(2025, 6, 30)).rows("甲")
    assert row["结果"] == "符合" and row["平均"] == Fraction(1, 3)
    with pytest.raises(MisuseError, match="kernel"):
        evaluate(pack, Records.from_rows(rows), date(2025, 6, 30), engine="duckdb")


def _pack(text):
    import tempfile
    from pathlib import Path

    folder = Path(tempfile.mkdtemp())
    (folder / "pack.yaml").write_text(text, "utf-8")
    return load_pack(folder)


def test_a_ratio_over_nothing_compares_with_nothing(judge):
    assert (
        one(judge, 'kind: eligibility\nrequire: {甲: "1 / count(奖励) >= 0 / count(奖励)"}\n')["结果"]
        == "不能判定"
    )


def test_coverage_is_decided_where_the_unknown_cannot_change_it(judge):
    people = [{"person_id": key, "name": key} for key in ("a", "b", "c", "d")]
    rows = {
        "person": [
            {**people[0], "sex": "女"},
            {**people[1], "sex": "女"},
            {**people[2], "sex": "男"},
            people[3],
        ]
    }
    rule = "policy: 甲\nkind: coverage\ncovered: 性别 = '女'\ntarget: TARGET\n"
    half = judge(rule.replace("TARGET", "50%"), rows)["a"]
    assert (half["覆盖率"], half["未定人数"], half["达标"]) == (None, 1, True)
    assert judge(rule.replace("TARGET", "80%"), rows)["a"]["达标"] is False
    assert judge(rule.replace("TARGET", "60%"), rows)["a"]["达标"] is None


def test_a_possible_effect_is_not_taken_for_absent(judge):
    rule = "policy: 后果\nkind: consequence\nsubject: 年度考核\neffects: {不得提拔: {when: 等次 = '不称职', from: 确认日期, months: 12}}\n---\npolicy: 甲\nkind: eligibility\nbars: {受限: \"any(后果, 生效中)\"}\n"
    graded = lambda **k: {"年度考核": [{"人员": "p", "年度": 2024, "确认日期": "2025-02-20", **k}]}  # noqa: E731
    assert judge(rule, {"person": P, **graded(等次="不称职")})["p"]["结果"] == "不符合"
    assert judge(rule, {"person": P, **graded(等次="称职")})["p"]["结果"] == "符合"
    assert judge(rule, {"person": P, **graded()})["p"]["结果"] == "不能判定"


RANK = "policy: 甲\nkind: rank\nvalue: last(其他考核).得分\n"


def ranked(judge, more, *points, extra=None):
    people = [{"person_id": f"p{at}", "name": f"p{at}"} for at in range(len(points))]
    scores = [
        {"人员": f"p{at}", "得分": p, "日期": "2025-01-01"} for at, p in enumerate(points) if p is not None
    ]
    found = judge(RANK + more, {"person": people, "其他考核": scores, **(extra or {})})
    return [found[key]["结果"] for key in sorted(found)]


def test_a_grant_of_another_band_takes_no_seat_of_the_best(judge):
    sanctioned = {"处分处理": [{"人员": "p4", "种类": "政务警告", "生效日期": "2025-01-01"}]}
    rule = 'shares: {优秀: 40%, 称职: rest}\nautomatic: {不称职: {when: "any(处分处理)"}}\n'
    assert ranked(judge, rule, 9, 8, 7, 6, 5, extra=sanctioned) == ["优秀", "优秀", "称职", "称职", "不称职"]


def test_an_unknown_grant_or_group_is_not_competed_with(judge):
    awarded = {"奖励": [{"人员": "p0", "批准日期": "2025-01-01"}]}
    rule = "shares: {优秀: 50%, 其余: rest}\nautomatic: {优秀: {when: \"any(奖励, 级别 = '省级')\"}}\n"
    assert ranked(judge, rule, 9, 8, extra=awarded)[0] == "不能判定"
    assert ranked(judge, "groups: [性别]\nshares: {优秀: 50%, 其余: rest}\n", 9, 8) == [
        "不能判定",
        "不能判定",
    ]


def test_a_share_may_be_an_expression_and_an_equal_remainder_is_not_settled(judge):
    rule = 'facts: {比例: "if(年龄 is missing, 50%, 20%)"}\nshares: {优秀: 比例, 其余: rest}\n'
    assert ranked(judge, rule, 9, 8, 7, 6) == ["优秀", "优秀", "其余", "其余"]
    thirds = "shares: {强: 30%, 中: 40%, 弱: 30%}\nround: largest_remainder\n"
    assert ranked(judge, thirds, *range(8, 0, -1))[2] == "不能判定"
    assert ranked(judge, thirds, *range(7, 0, -1)) == ["强", "强", "中", "中", "中", "弱", "弱"]


def test_a_percentage_filled_in_is_a_share_of_the_layer_above():
    text = "policy: 甲\nkind: quota\nparameters: {比例: REQUIRED}\nparts: {女: {where: 性别 = '女', at_least: 比例}}\n"
    people = [{"person_id": "a", "sex": "女"}, {"person_id": "b", "sex": "男"}]
    run = evaluate(
        _pack(text),
        Records.from_rows({"person": people}),
        date(2025, 6, 30),
        ["甲"],
        parameters={"甲": {"比例": "60%"}},
    )
    (row,) = run.rows("甲")
    assert (row["应有"], row["结果"]) == (2, "不足")


def test_a_fact_defined_for_one_rule_is_not_seen_by_another(pack):
    text = "policy: 甲\nkind: score\nsubject: 机构\ndefine: {机构: {在职: count(任职)}}\ncomponents: {a: 在职}\n---\npolicy: 乙\nkind: score\nsubject: 机构\ndefine: {机构: {在职: 7}}\ncomponents: {a: 在职}\n"
    run = evaluate(
        pack(text), Records.from_rows({"unit": [{"unit_id": "u"}], "appointment": []}), date(2025, 6, 30)
    )
    assert [run.rows(name)[0]["数值"] for name in ("甲", "乙")] == [0, 7]
    with pytest.raises(PackError, match="已有含义"):
        evaluate(
            pack("policy: 甲\nkind: score\ndefine: {人员: {年龄: 3}}\ncomponents: {a: 年龄}\n"),
            Records.from_rows({"person": P}),
            date(2025, 6, 30),
            ["甲"],
        )


@pytest.mark.parametrize("name", ["总分", "分项:a", "数值2"])
def test_the_names_of_facts_do_not_meet_those_of_the_engine(judge, name):
    assert one(judge, f'kind: score\nfacts: {{"{name}": 3}}\ncomponents: {{a: 1 + 1}}\n')["数值"] == 2


def test_a_column_cannot_be_given_twice(pack):
    with pytest.raises(PackError, match="已有“数值”"):
        evaluate(
            pack("policy: 甲\nkind: score\ncomponents: {数值: 3}\n"),
            Records.from_rows({"person": P}),
            date(2025, 6, 30),
            ["甲"],
        )


def test_a_rule_not_in_force_gives_nothing_to_others(pack):
    text = "policy: 旧\nkind: score\nuntil: 2020-01-01\ncomponents: {a: 1}\n---\npolicy: 新\nkind: score\ncomponents: {a: 旧.数值}\n"
    made, records = pack(text), Records.from_rows({"person": P})
    assert any(
        "不在有效期内" in s.reason
        for s in evaluate(made, records, date(2025, 6, 30)).skipped
        if s.policy == "新"
    )
    with pytest.raises(OpenValueError, match="不在有效期内"):
        evaluate(made, records, date(2025, 6, 30), ["新"])
    assert "不在规则的有效期内" in explain(made, "旧", "p", records, date(2025, 6, 30)).prose()


def test_a_duty_is_in_time_by_its_last_act_and_not_before_the_rule(judge):
    rule = "policy: 甲\nkind: duty\nsubject: 任职\neffective: 2024-01-01\ntrigger: 任职时间\nwithin: 30 天\nfulfilled_by: {in: 谈话, times: 2, from: 任职时间}\n"
    posts = [
        {"任职编号": "旧", "人员": "p", "任职时间": "2015-01-01"},
        {"任职编号": "新", "人员": "p", "任职时间": "2025-01-01"},
    ]
    talks = [{"人员": "p", "日期": "2025-01-05"}, {"人员": "p", "日期": "2025-05-05"}]
    found = judge(rule, {"person": P, "任职": posts, "谈话": talks})
    assert "旧" not in found and found["新"]["结果"] == "逾期补办"


@pytest.mark.parametrize(("day", "wanted"), [("2025-05-06", "已履行"), ("2025-05-20", "逾期")])
def test_a_report_in_the_days_of_grace_counts_for_the_period_before(judge, day, wanted):
    rule = "policy: 甲\nkind: duty\nevery: month\nperiods: 2\ngrace: 10 天\nfulfilled_by: {in: 谈话}\nstart: 2025-04-01\n"
    found = judge(
        rule,
        {"person": P, "谈话": [{"人员": "p", "日期": day}, {"人员": "p", "日期": "2025-05-25"}]},
        "2025-05-31",
    )
    assert found["p"]["结果"] == wanted


@pytest.mark.parametrize(
    ("every", "label"),
    [("week", "2025-W25"), ("half_month", "2025-06上"), ("two_months", "2025-03~04"), ("day", "2025-06-29")],
)
def test_duties_of_every_period(judge, every, label):
    rule = f"policy: 甲\nkind: duty\nevery: {every}\nperiods: 2\nfulfilled_by: {{in: 谈话}}\n"
    found = judge(rule, {"person": P, "谈话": []}, "2025-06-29" if every == "week" else "2025-06-30")["p"]
    assert found["结果"] == "逾期" and label in found["逾期期次"]


def test_working_days_from_a_day_of_rest(judge):
    def moved(expression):
        return one(judge, f'kind: score\ncomponents: {{a: "days(2025-06-01, {expression})"}}\n')["数值"]

    assert moved("add_workdays(2025-06-28, -1)") == 26 and moved("add_workdays(2025-06-28, 0)") == 27
    assert (
        one(judge, 'kind: score\ncomponents: {a: "workdays(2025-06-27, 2025-06-27, inclusive: 是)"}\n')[
            "数值"
        ]
        == 1
    )


def test_an_impossible_date_is_unknown_for_its_owner_only(judge):
    people = [{"person_id": "a", "birth_date": "1980-02-29"}, {"person_id": "b", "birth_date": "1980-03-01"}]
    found = judge(
        'policy: 甲\nkind: score\ncomponents: {a: "days(date(2025, month(出生日期), day(出生日期)))"}\n',
        {"person": people},
    )
    assert found["a"]["结果"] == "不能判定" and found["b"]["数值"] == 121


@pytest.mark.parametrize(("end", "wanted"), [("2024", 0), ("2025", None), ("2026", 1)])
def test_an_end_of_which_only_the_year_is_known(judge, end, wanted):
    rows = {"任职": [{"人员": "p", "任职时间": "2010-01-01", "免职时间": end}]}
    assert (
        one(judge, "kind: score\ncomponents: {a: count(任职, 免职时间 is missing)}\n", rows)["数值"] == wanted
    )


def test_a_span_that_ends_before_it_begins_is_not_subtracted(judge):
    rows = {"任职": [{"人员": "p", "任职时间": "2020-01-01", "免职时间": "2018-01-01"}]}
    for expression in ("held(任职)", "held(任职, per:row)"):
        assert one(judge, f'kind: score\ncomponents: {{a: "{expression}"}}\n', rows)["数值"] is None


def test_a_reference_that_leads_nowhere_makes_its_aggregates_unknown(judge):
    rule = 'policy: 甲\nkind: score\nsubject: 人选\ncomponents: {a: "count(任职, 任职时间 < 本人.日期)"}\n'
    found = judge(
        rule,
        {"person": P, "任职": [], "人选": [{"人选编号": "x", "人员": "没有这个人", "日期": "2025-01-01"}]},
    )
    assert found["x"]["结果"] == "不能判定"


def test_a_finding_is_read_through_a_reference(judge):
    rule = "policy: 预审\nkind: alert\nsubject: 机构\nlevels: {超编: 行政编制 < 5}\n---\npolicy: 甲\nkind: eligibility\nsubject: 人选\nbars: {超编: 拟任机构.预审.结果 = '超编'}\n"
    rows = {
        "person": P,
        "机构": [{"机构编号": "u", "行政编制": 3}],
        "人选": [{"人选编号": "x", "人员": "p", "拟任机构": "u"}],
    }
    assert judge(rule, rows)["x"]["结果"] == "不符合"


def test_simulating_compares_parts_of_quotas_and_effects():
    quota = "policy: 甲\nkind: quota\nparts: {女: {where: 性别 = '女', at_least: N}}\n"
    effect = "policy: 甲\nkind: consequence\nsubject: 处分处理\neffects: {不得提拔: {when: 是, from: 生效日期, months: N}}\n"
    rows = Records.from_rows(
        {"person": [{"person_id": "a", "sex": "女"}], "sanction": [{"person": "a", "date": "2025-01-01"}]}
    )
    for text, more in ((quota, "5"), (effect, "24")):
        found = simulate(
            _pack(text.replace("N", "1")), "甲", _pack(text.replace("N", more)), rows, date(2025, 6, 30)
        )
        assert len(found.changes) == 1


def test_effects_and_groups_are_explained_by_their_own_records():
    effect = "policy: 甲\nkind: consequence\nsubject: 年度考核\neffects: {表扬: {when: 等次 = '优秀', from: 确认日期}}\n"
    rows = Records.from_rows(
        {
            "person": P,
            "assessment": [
                {
                    "assessment_id": "k",
                    "person": "p",
                    "year": 2024,
                    "grade": "优秀",
                    "confirmed_on": "2025-01-10",
                }
            ],
        }
    )
    assert "等次：优秀" in explain(_pack(effect), "甲", "甲", rows, date(2025, 6, 30)).prose()
    quota = "policy: 甲\nkind: quota\nparts: {女: {where: 性别 = '女', at_least: 1}}\n"
    people = Records.from_rows({"person": [{"person_id": "a", "sex": "女"}]})
    assert (
        "女 达标（实有 1，应有 1）" in explain(_pack(quota), "甲", "全体", people, date(2025, 6, 30)).prose()
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("extends: 上\nexempt: 是\n", "下级加上它"),
        ("extends: 上\nstatus: off\nwhy: 不要\n", "停用"),
        ("extends: 上\nfacts: {年龄: 1}\n", "已有含义"),
        ("extends: 上\nparameters: {比例: 5%}\n", "只能调高"),
        ("kind: score\ncomponents: {a: 1}\n", "同名"),
    ],
)
def test_a_rule_laid_over_another_cannot_loosen_it(tmp_path, body, said):
    (tmp_path / "p").mkdir()
    (tmp_path / "c").mkdir()
    parent = "policy: 上\nkind: eligibility\nparameters: {比例: {value: 40%, tighten: up}}\nrequire: {年龄: 年龄 <= 40}\n"
    (tmp_path / "p" / "pack.yaml").write_text(parent, "utf-8")
    (tmp_path / "c" / "pack.yaml").write_text(f"pack: 子\nextends: ../p\n---\npolicy: 上\n{body}", "utf-8")
    with pytest.raises(PackError, match=said):
        evaluate(load_pack(tmp_path / "c"), Records.from_rows({"person": P}), date(2025, 6, 30), ["上"])


@pytest.mark.parametrize(
    "text",
    [
        "policy: 甲\nkind: score\ncomponents: {a: 1}\nparameters: [1]\n",
        "policy: 甲\nkind: score\ncomponents: {a: 1}\neffective: 是\n",
        "policy: 甲\nkind: rank\nvalue: 年龄\nmin_group: {below: x}\n",
        "policy: 甲\nkind: rank\nvalue: 年龄\nthen: [{}]\n",
        "policy: 甲\nkind: index\nsubject: 机构\nindicators: {a: {weight: 50%}}\n",
        "policy: 甲\nkind: score\ncomponents: {a: 1}\nround: {digits: x}\n",
        "policy: \"甲'乙\"\nkind: score\ncomponents: {a: 1}\n",
        "policy: 甲\nkind: score\ncomponents: {a: " + "(" * 300 + "1" + ")" * 300 + "}\n",
        "policy: 甲\nkind: eligibility\nrequire: {a: \"" + " and ".join(["年龄 > 1"] * 1500) + "\"}\n",
        "policy: 甲\nkind: score\nparameters: {a: 1/0}\ncomponents: {a: a}\n",
        "policy: 甲\nkind: score\ncomponents: {a: \"count(任职, latest: 0)\"}\n",
        "policy: 甲\nextends: 甲乙\n---\npolicy: 甲乙\nextends: 甲\n",
    ],
)  # fmt: skip
def test_whatever_is_written_wrongly_is_said_without_a_traceback(text):
    with pytest.raises(PackError):
        evaluate(_pack(text), Records.from_rows({"person": P}), date(2025, 6, 30), ["甲"])


def test_what_is_known_of_a_day_includes_the_day(judge):
    rows = {"奖励": [{"人员": "p", "批准日期": "2023-01-01", "recorded_at": "2023-12-01T09:00:00"}]}
    rule = "kind: score\ncomponents: {a: count(奖励)}\n"
    assert one(judge, rule, rows, known_at="2023-12-01")["数值"] == 1
    assert one(judge, rule, rows, known_at="2023-11-30")["数值"] == 0


def test_scenarios_cannot_pass_emptily():
    from ganbu.engine.scenario import run_scenario

    text = "policy: 甲\nkind: score\ncomponents: {a: 1}\n---\nscenario: 空\nas_of: 2025-06-30\ngiven: {人员: {姓名: 甲}}\nexpect: EXPECT\n"
    for expected, said in (("{甲: {}}", "没有写结果"), ("{甲: {没有这个人: 不适用}}", "given 里没有")):
        made = _pack(text.replace("EXPECT", expected))
        assert said in run_scenario(made, made.scenarios[0]).failures[0]
    counted = _pack(
        "policy: 甲\nkind: quota\nparts: {女: {where: 性别 = '女', exactly: 29}}\n---\nscenario: 多\nas_of: 2025-06-30\ngiven: {人员: [{性别: 女, 重复: 29}]}\nexpect: {甲: {女: 达标}}\n"
    )
    assert run_scenario(counted, counted.scenarios[0]).passed


def test_an_unknown_engine_is_named():
    assert set(ENGINES) == {"kernel", "duckdb", "spark"}
    with pytest.raises(MisuseError, match="polars"):
        evaluate(
            _pack("policy: 甲\nkind: score\ncomponents: {a: 1}\n"),
            Records.from_rows({"person": P}),
            date(2025, 6, 30),
            engine="polars",
        )


def test_both_bounds_of_a_quota_may_be_expressions():
    text = "policy: 甲\nkind: quota\nparameters: {数: 30, 左右: 5}\ntotal: {at_least: 数 - 左右 + 0 * 总数, at_most: 数 + 左右 + 0 * 总数}\nfacts: {总数: size()}\n"
    run = evaluate(_pack(text), Records.from_rows({"person": P}), date(2025, 6, 30))
    assert [row["应有"] for row in run.rows("甲")] == [25, 35]
