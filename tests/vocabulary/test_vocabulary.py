"""The words everything is written in."""

import pytest

from ganbu.errors import PackError, nearest
from ganbu.vocabulary import load_vocabulary

WORDS = load_vocabulary()


def test_labels_name_one_thing():
    labels = [r.label for r in WORDS.registers.values()]
    assert len(set(labels)) == len(labels) and WORDS.find("任职") is WORDS.registers["appointment"]
    for register in WORDS.registers.values():
        names = [f.label for f in register.fields.values()]
        assert len(set(names)) == len(names), register.name


@pytest.mark.parametrize("table", WORDS.codes.values(), ids=lambda table: table.name)
def test_every_code_name_and_alias_leads_to_a_name(table):
    for text in (*table.values, *table.values.values(), *table.aliases):
        assert table.canonical(text) in table.names()
    assert table.canonical("没有这个词") is None
    ranks = [table.rank_of(word) for word in table.order]
    assert ranks == sorted(ranks) and set(ranks) == set(range(len(table.ranks or table.order)))


@pytest.mark.parametrize(
    ("table", "text", "name"),
    [
        ("post_level", "正科级", "乡科级正职"),
        ("post_level", "1A31", "县处级正职"),
        ("rank", "13", "一级调研员"),
        ("grade", "2B", "称职"),
        ("education_level", "本科", "大学"),
        ("political_status", "01", "中共党员"),
        ("sex", "1", "男"),
        ("ethnic_group", "15", "土家族"),
        ("kinship", "儿子", "子"),
        ("sex", "0", "未知"),
        ("sex", "9", "未说明"),
        ("post_level", "正县级", "县处级正职"),
        ("post_level", "副县级", "县处级副职"),
        ("unit_level", "正县级", "县处级"),
        ("unit_level", "股级", "股级"),
        ("grade", "未定等次", "不确定等次"),
        ("grade", "未确定等次", "不确定等次"),
        ("grade", "未确定", "不确定等次"),
        ("post_level", "0141", "乡科级正职"),
        ("post_level", "0305", "专业技术五级"),
        ("person_category", "61", "参照管理事业单位工作人员"),
        ("award_or_sanction", "01111B", "荣誉称号"),
    ],
)
def test_everyday_words_and_national_codes(table, text, name):
    assert WORDS.codes[table].canonical(text) == name


def test_orders_run_from_low_to_high_and_trees_from_top_to_bottom():
    level = WORDS.codes["post_level"]
    assert level.rank_of("乡科级副职") < level.rank_of("乡科级正职") < level.rank_of("县处级副职")
    assert {"研究生", "中央党校研究生"} <= WORDS.codes["education_level"].under(
        "研究生教育"
    ) and level.code_of("科员") == "1A50"


# Codes of the 2017 form that the sources list, by table: first and last of a run, or one.
LISTED = {
    "post_level": ["1A01", "1A99", "1B01", "1B11", "1B98", "1B99", "1C01", "1C11", "1C98", "1C99", "20", "28", "301", "312", "401", "412", "501", "511",
                   "601", "612", "7101", "7110", "7118", "7119", "7201", "7212", "7301", "7310", "7401", "7407", "7501", "7506", "901", "912",
                   "C01", "C13", "C98", "C99", "D01", "D05", "D09", "E01", "E09", "F01", "F05", "F09", "G01", "G09"],
    "unit_kind": ["511", "512", "515", "516", "517", "519", "521", "522", "531", "532", "533", "7001", "70FF", "6101", "62", "F001"],
    "subordination": ["11", "12", "19", "1A", "21", "29", "31", "32", "41", "45", "71", "76", "81", "83"],
    "grade": ["1", "2", "3", "4", "5", "5A", "5B", "5C", "6", "6A", "6B"],
    "kinship": ["61", "64", "65", "66", "67", "68", "69", "71"],
    "entry_way": ["1", "21", "211", "215", "22", "29", "261", "264", "3", "36", "37", "5", "6"],
    "sex": ["0", "1", "2", "9"],
}  # fmt: skip


@pytest.mark.parametrize("table", LISTED)
def test_every_listed_code_has_a_name_of_its_own(table):
    codes = WORDS.codes[table]
    names = [codes.values[code] for code in LISTED[table]]
    assert len(set(names)) == len(names)
    assert [codes.code_of(name) for name in names] == LISTED[table]


@pytest.mark.parametrize("table", WORDS.codes.values(), ids=lambda table: table.name)
def test_no_two_codes_share_a_name_and_no_old_code_is_in_use(table):
    assert len(set(table.values.values())) == len(table.values)
    assert not set(table.old) & set(table.values)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("grade", "良好"),
        ("selection_way", "组织选拔"),
        ("award_or_sanction", "政务警告"),
        ("award_or_sanction", "诫勉"),
    ],
)
def test_a_word_without_a_national_code_has_none(table, word):
    assert WORDS.codes[table].canonical(word) == word and WORDS.codes[table].code_of(word) is None


@pytest.mark.parametrize(
    ("branch", "held"),
    [
        ("企业职工处分", {"企业警告", "企业开除"}),
        ("军人处分", {"军人警告", "军人处分(02234)", "军人除名"}),
        ("团员处分", {"团内警告", "团内严重警告", "撤销团内职务", "留团察看", "开除团籍"}),
        ("党员处分", {"党内警告", "党内严重警告", "撤销党内职务", "留党察看", "开除党籍"}),
        ("事业单位处分", {"事业单位警告", "事业单位记过", "降低岗位等级或撤职", "事业单位开除"}),
        (
            "公务员处分",
            {"公务员警告", "公务员记过", "公务员记大过", "公务员降级", "公务员撤职", "公务员开除"},
        ),
        ("政务处分", {"政务警告", "政务记过", "政务记大过", "政务降级", "政务撤职", "政务开除"}),
    ],
)
def test_a_branch_of_sanctions_holds_its_own_and_no_other(branch, held):
    table = WORDS.codes["award_or_sanction"]
    assert table.under(branch) == {branch, *held} and held < table.under("惩戒")


def test_education_ranks_by_block_and_varieties_rank_alike():
    table = WORDS.codes["education_level"]
    rank = table.rank_of
    assert rank("研究生") > rank("大学") > rank("大专") > rank("中专") > rank("初中") > rank("小学")
    for alike in (
        ("研究生", "省(区、市)委党校研究生", "中央党校研究生", "研究生班"),
        ("大学", "省委党校大学", "中央党校大学"),
        ("大专", "省委党校大专", "中央党校大专", "大学普通班"),
        ("中专", "中技", "高中"),
    ):
        assert len({rank(name) for name in alike}) == 1
    # Rules compare by the flat order: the plain word stands first, so `学历 >= '大学'` holds for its varieties.
    for plain in ("研究生", "大学", "大专"):
        at = table.order.index(plain)
        alike = {name for name in table.order if rank(name) == rank(plain)}
        assert alike - {f"{part}教育" for part in ("研究生", "本科", "专科")} <= set(table.order[at:])


def test_the_nearest_name_is_offered():
    assert (
        nearest("任职时问", ["任职时间", "姓名"]) == "是否想写：任职时间" and nearest("xyz", ["任职"]) == ""
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"person": {"fields": {"a": {"type": "id"}}}}, "核心登记表"),
        ({"甲": {"fields": {"a": {"type": "string"}}}}, "无效"),
        ({"甲": {"happened": "b", "fields": {"a": {"type": "id"}}}}, "没有字段"),
        ({"甲": {"fields": {"a": {"type": "decimal(20,2)"}}}}, "18 位"),
    ],
)
def test_what_a_pack_may_not_declare(spec, said):
    with pytest.raises(PackError, match=said):
        WORDS.with_registers(spec)
