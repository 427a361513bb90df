import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganbu.engine.source import read_documents
from ganbu.engine.syntax import parse
from ganbu.errors import PackError


def kinds(text):
    node = parse(text)
    return node.kind, node.value


def test_chinese_and_ascii_operators_mean_the_same():
    for one, two in [
        ("年龄 不超过 35 且 党龄 不少于 3", "年龄 <= 35 and 党龄 >= 3"),
        ("非 甲 或 乙", "not 甲 or 乙"),
        ("等次 属于（'优秀'，'称职'）", "等次 in ('优秀', '称职')"),
        ("甲 ≥ 2", "甲 >= 2"),
        ("（甲＋乙）×２" if False else "（甲 + 乙）× 2", "(甲 + 乙) * 2"),
    ]:

        def shape(node):
            return (node.kind, node.value, tuple(shape(p) for p in node.parts))

        assert shape(parse(one)) == shape(parse(two))


def test_operators_are_words_so_a_name_may_contain_them():
    assert kinds("而且从前") == ("name", "而且从前")


def test_precedence_binds_and_before_or_and_product_before_sum():
    assert kinds("a or b and c")[0] == "or"
    assert parse("1 + 2 * 3").parts[1].value == "*"


def test_spans_percent_and_dates():
    assert kinds("3 年") == ("span", (3, "years"))
    assert kinds("24个月") == ("span", (24, "months"))
    assert kinds("40%")[1] * 5 == 2
    assert kinds("2021-03-14")[0] == "date"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "空的"),
        ("a >= 1 >= 2", "不能连写"),
        ("count(任职", "右括号"),
        ("'abc", "引号"),
        ("a ; b", "不认识的符号"),
        ("2021-02-30", "不存在"),
        ("a b", "多出"),
        ("{优秀: 3, 优秀: 2}[x]", "重复"),
        ("(" * 100 + "1" + ")" * 100, "过深"),
        ("and a", "前面少了"),
        ("a is big", "is 之后"),
    ],
)
def test_errors_say_what_is_wrong(text, message):
    with pytest.raises(PackError, match=message):
        parse(text)


def test_an_error_names_line_and_column_of_the_file():
    (document,) = read_documents("policy: 甲\nwhere: 年龄 >= >= 3\n", "x.yaml")
    with pytest.raises(PackError) as caught:
        parse(document["where"])
    assert str(caught.value.place) == "x.yaml:2:14"


@given(st.text(max_size=60))
def test_any_text_parses_or_gives_a_pack_error(text):
    with contextlib.suppress(PackError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x\n", "别名"),
        ("a: !!python/object:os.system 1\n", "标签"),
        ("a: 1\na: 2\n", "重复"),
        ("- 1\n", "映射"),
        ("a: 2021-02-30\n", "不存在"),
        ("a: [1\n", "YAML"),
    ],
)
def test_yaml_that_could_do_harm_is_refused(text, message):
    with pytest.raises(PackError, match=message):
        list(read_documents(text, "x.yaml"))
