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
    assert [table.rank_of(word) for word in table.order] == list(range(len(table.order)))


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
