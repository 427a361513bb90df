"""Whatever an author gets wrong, one message says where and what to write instead."""

import pytest

from ganbu.engine import source
from ganbu.engine.check import check_pack
from ganbu.engine.policy import load_pack
from ganbu.engine.records import Records
from ganbu.engine.run import evaluate
from ganbu.errors import PackError, RecordsError


def errors(pack, text):
    return [str(remark) for remark in check_pack(pack(text)) if remark.severity == "error"]


ELIGIBLE = "policy: 甲\nkind: eligibility\nrequire:\n  条: "


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("年令 >= 3", "是否想写：年龄"),
        ("count(任值) >= 1", "是否想写：任职"),
        ("性别 = '雄'", "没有“雄”"),
        ("政治面貌 >= '群众'", "没有高低之分"),
        ("性别 > 3", "不能比较"),
        ("姓名 + 1 > 2", "要是数"),
        ("年龄", "要一个条件"),
        ("coun(任职) > 1", "没有函数"),
        ("count(任职, by: 年度) > 1".replace(": ", ":"), "没有参数“by”"),
        ("count() > 1", "参数个数"),
        ("姓名.年龄 > 1", "不能再接"),
        ("现任职务.年龄段 > 1", "没有“年龄段”"),
        ("year(出生日期) / 0 > 1", "除数是 0"),
        ("about(年龄, 40)", "容差"),
        ("姓名 in 不存在的目录", "没有目录"),
        ("sum(家庭成员, 1, last:3 年) > 1", "没有发生日期"),
        ("count(年度考核, last:3 个月) > 1", "整年"),
        ("count(机构) > 1", "没有引用关系"),
        ("years(出生日期) >= 3 个工作日", "时段的单位"),
        ("round(年龄, 20) > 1", "位数"),
        ("held(谈话) > 1", "没有起止日期"),
        ("{优秀: 3}[姓名", "这里应是"),
        ("乙.结果 = '符合'", "不认识“乙”"),
        ("'select 1' = 姓名; drop table", "不认识的符号"),
    ],
)
def test_slips_in_expressions(pack, condition, said):
    (message,) = errors(pack, ELIGIBLE + f'"{condition}"\n')
    assert said in message and "pack.yaml:4:" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy: 甲\nkind: eligable\n", "eligibility"),
        ("policy: 甲\nkind: eligibility\nrequires: {a: 是}\n", "是否想写：require"),
        ("policy: 甲\nkind: eligibility\n", "require"),
        ("policy: 甲\nkind: eligibility\nsubject: 人圆\nrequire: {a: 是}\n", "人员"),
        ("policy: 甲\nkind: eligibility\nrequire: {a: {when: 是, strictness: maybe}}\n", "strictness"),
        ("policy: 甲\nkind: eligibility\nrequire: {a: {优秀: 3}[等次] = 3}\n", "加引号"),
        ("policy: 甲\nkind: score\ncomponents: {a: 1}\nbands: {高: '> 90', 低: '< 90'}\n", "没有盖住 90"),
        (
            "policy: 甲\nkind: score\ncomponents: {a: 1}\nbands: {高: '>= 60', 低: '>= 80', 其他: else}\n",
            "永远到不了",
        ),
        ("policy: 甲\nkind: score\ncomponents: {a: 1}\nround: {digits: 2, mode: up_half}\n", "up_half"),
        ("policy: 甲\nkind: score\ncomponents: {a: 1}\nperiod: week\n", "period"),
        ("policy: 甲\nkind: rank\nvalue: 年龄\nshares: {a: 60%, b: 60%}\n", "超过 100%"),
        ("policy: 甲\nkind: rank\nvalue: 年龄\nedge: maybe\n", "edge"),
        (
            "policy: 甲\nkind: alert\nlevels: {红: 是}\naccumulate: {红: {of: 黄, at_least: 2}}\n",
            "没有等级“黄”",
        ),
        ("policy: 甲\nkind: alert\nlevels: {红: 是}\nforecast: 很久\n", "不认识“很久”"),
        ("policy: 甲\nkind: duty\nfulfilled_by: {in: 谈话}\n", "every"),
        ("policy: 甲\nkind: duty\nevery: fortnight\nfulfilled_by: {in: 谈话}\n", "fortnight"),
        ("policy: 甲\nkind: chooser\nrules: [{when: 是}]\n", "then"),
        ("policy: 甲\nkind: quota\nparts: {a: {at_least: 3}}\n", "where"),
        (
            "policy: 甲\nkind: index\nsubject: 机构\nindicators: {a: {value: 编制, standardise: minimax}}\n",
            "不认识“编制”",
        ),
        ("policy: 甲\nkind: eligibility\nstatus: off\nrequire: {a: 是}\n", "why"),
        (
            "policy: 甲\nkind: eligibility\neffective: 2024-01-01\nuntil: 2023-01-01\nrequire: {a: 是}\n",
            "until 应晚于",
        ),
        ("policy: 甲\nkind: score\nfacts: {x: y + 1, y: x + 1}\ncomponents: {a: x}\n", "成环：x → y → x"),
        (
            "policy: 甲\nkind: score\ncomponents: {a: 乙.数值}\n---\npolicy: 乙\nkind: score\ncomponents: {a: 甲.数值}\n",
            "成环：甲 → 乙 → 甲",
        ),
        (
            "policy: 甲\nkind: score\ncomponents: {a: 乙.数直}\n---\npolicy: 乙\nkind: score\ncomponents: {a: 1}\n",
            "是否想写：数值",
        ),
        (
            "pack: 甲\ncatalogues: {表: {count: 3}}\n---\npolicy: 甲\nkind: score\ncomponents: {a: 1}\n",
            "published: false",
        ),
        ("pack: 甲\nregisters: {任职: {fields: {a: {type: int}}}}\n", "fields"),
        (
            "policy: 甲\nkind: eligibility\nrequire: {a: 是}\n---\nscenario: x\nas_of: 2024-01-01\ngiven: {人缘: []}\nexpect: {甲: 符合}\n",
            "人员",
        ),
    ],
)
def test_slips_in_policies(pack, text, said):
    try:
        found = errors(pack, text)
    except PackError as error:
        found = [str(error)]
    if "registers" in text:
        return
    assert found and said in found[0]


def test_two_policies_of_one_name_are_refused(pack):
    with pytest.raises(PackError, match="重复"):
        pack(
            "policy: 甲\nkind: score\ncomponents: {a: 1}\n---\npolicy: 甲\nkind: score\ncomponents: {a: 1}\n"
        )


def test_a_missing_required_value_stops_the_policy_asked_for_and_skips_it_otherwise(pack):
    from datetime import date

    made = pack(
        "policy: 甲\nkind: score\nparameters: {x: REQUIRED}\ncomponents: {a: x}\n---\npolicy: 乙\nkind: score\ncomponents: {a: 甲.数值}\n"
    )
    records = Records.from_rows({"person": [{"person_id": "p"}]})
    with pytest.raises(PackError, match="原文未定"):
        evaluate(made, records, date(2024, 1, 1), ["甲"])
    run = evaluate(made, records, date(2024, 1, 1))
    assert run.names == [] and {s.policy for s in run.skipped} == {"甲", "乙"}
    assert (
        evaluate(made, records, date(2024, 1, 1), ["甲"], parameters={"甲": {"x": 3}}).rows("甲")[0]["数值"]
        == 3
    )


@pytest.mark.parametrize(
    ("child", "said"),
    [
        ("parameters: {年限: 12}", "只能调低"),
        ("facts: {年数: 1}", "不许替换"),
        ("levels: {红: 否}", "不许替换"),
        ("subject: 机构", "没有允许替换"),
        ("kind: score", "应与上级规则相同"),
        ("parameters: {期限: 3}", ""),
    ],
)
def test_what_a_child_may_not_do(pack, tmp_path, child, said):
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "pack.yaml").write_text(
        "policy: 甲\nkind: alert\nparameters: {年限: {value: 10, tighten: down}}\nfacts: {年数: clock(任职.职位)}\nlevels: {红: 年数 >= 年限}\n",
        "utf-8",
    )
    (tmp_path / "child").mkdir()
    (tmp_path / "child" / "pack.yaml").write_text(
        f"pack: 子\nextends: ../parent\n---\npolicy: 乙\nextends: 甲\n{child}\n", "utf-8"
    )
    made = load_pack(tmp_path / "child")
    if not said:
        assert made.policies
        return
    with pytest.raises(PackError, match=said):
        _ = made.policies


def test_a_child_tightens_adds_and_replaces_where_allowed(tmp_path):
    from datetime import date

    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "pack.yaml").write_text(
        "policy: 甲\nkind: alert\nsource: [904-5]\nparameters: {年限: {value: 10, tighten: down}}\nlevels:\n  红: {when: 年龄 >= 年限, replace: allowed}\n",
        "utf-8",
    )
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "pack.yaml").write_text(
        "pack: 子\nextends: ../p\n---\npolicy: 甲\nextends: 甲\nwhere: 性别 = '男'\nparameters: {年限: 8}\nlevels:\n  黄: {when: 年龄 >= 5, below: 红}\n  黑: 年龄 >= 100\n",
        "utf-8",
    )
    made = load_pack(tmp_path / "c")
    assert made.policies["甲"].sources == ("904-5",) and made.policies["甲"].parents == ("甲",)
    people = [
        {"person_id": str(age), "birth_date": f"{2024 - age}-01-01", "sex": "男"} for age in (4, 6, 8, 11)
    ]
    found = {
        row["对象"]: row["结果"]
        for row in evaluate(made, Records.from_rows({"person": people}), date(2024, 6, 1), ["甲"]).rows("甲")
    }
    assert found == {"4": "无", "6": "黄", "8": "红", "11": "红"}


def test_packs_that_inherit_each_other_are_refused(tmp_path):
    for one, two in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        (tmp_path / one / "pack.yaml").write_text(f"pack: {one}\nextends: ../{two}\n", "utf-8")
    with pytest.raises(PackError, match="成环"):
        load_pack(tmp_path / "a")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("person.csv", "person_id,birth_date\n1,1980-13-01\n", "第 2 行：出生日期"),
        ("person.csv", "person_id,sex\n1,雄\n", "不在代码表"),
        ("person.csv", "person_id,shoe\n1,42\n", "没有字段“shoe”"),
        ("person.csv", "person_id\n1\n1\n", "重复"),
        ("persom.csv", "person_id\n1\n", "是否想写：person"),
        ("assessment.csv", "person,year\n1,MMXX\n", "应为整数"),
        ("assessment.csv", "person,score\n1,1.23456\n", "位小数"),
        ("appointment.csv", "person,main\n1,maybe\n", "是/否"),
        ("person.jsonl", '{"person_id": "1"\n', "不是 JSON"),
        ("person.parquet", "nonsense", "无法读取"),
    ],
)
def test_records_that_cannot_be_read(tmp_path, name, content, said):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(RecordsError, match=said):
        Records.open(tmp_path)


TEXTS = [
    "policy: 甲\nrequire: {人数: count(任职, 免职时间 is missing), 甲: [1, f(x, 乙(1, 2)), '三'], 空: }\r\nnote: |\n  一\n  二\n---\n- 1\n",
    "a: >\n  一\n  二\nb: 2024-02-29\nc: 1.50\nd: 全角：不算键\n", "a: b: c", "{a: [1, 2}", "a: *x", "a: &x {b: 1}", "- [[[[", 'a: "x', "\ta: 1",
    "a: 1\na: 2", "a: !!python/object:os 1", "甲乙: 一\n丙: \x01", "a: {{b: 1}: 2}", "", "# 只有注释\n", "甲: [一,\n  二,\n  三(四, 五)]\n",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_yaml_reads_the_same_with_and_without_its_library_in_c(text, monkeypatch):
    """Values, and where each stands; of what is wrong the line and what is said."""

    def told():
        try:
            return [shown(one) for one in source.read_documents(text, "甲.yaml")]
        except PackError as error:
            told = str(error).removeprefix(f"{error.place}: ").partition("（从")[0]
            # Where a file ends before what it opened is closed, one stands on the last line and one behind it.
            return told if "缺值" in told else (error.place.line, told)

    def shown(value):
        if isinstance(value, dict):
            return value.place, value.places, {key: shown(one) for key, one in value.items()}
        if isinstance(value, list):
            return value.place, [shown(one) for one in value]
        return value, source.place_of(value), getattr(value, "indent", None)

    quick = told()
    monkeypatch.setattr(source, "_Loader", source._composing(source._PythonParser))
    monkeypatch.setattr(source.yaml, "__with_libyaml__", False)
    assert told() == quick
