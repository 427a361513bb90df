"""Files of a records folder: as Excel saves them they are read, and what is wrong is told with file and line."""

import re
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.engine.record_files import read_day
from ganbu.engine.records import Records
from ganbu.errors import RecordsError

CSV = "人员编号,姓名,出生日期\nG1,李芳,1980-03-15\nG2,王强,1979-01\n"
PEOPLE = [
    {"person_id": "G1", "name": "李芳", "birth_date": PartialDate(1980, 3, 15)},
    {"person_id": "G2", "name": "王强", "birth_date": PartialDate(1979, 1)},
]


def opened(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Records.open(folder)


def people(folder, **files):
    """The filled fields of the people in a folder."""
    rows = opened(folder, **files).rows("person")
    return [
        {
            k: PartialDate.parse(v.isoformat()) if hasattr(v, "isoformat") else v
            for k, v in row.items()
            if k != "source"
        }
        for row in rows
    ]


def refused(folder, **files):
    with pytest.raises(RecordsError) as caught:
        opened(folder, **files)
    text = str(caught.value)
    names = r"[a-z]+_[a-z_]+|[A-Za-z人员]+\.(?:csv|jsonl|parquet)|“[^”]*”|CSV|UTF|Excel|JSON|csv|parquet"
    plain = re.sub(names, "", text.replace(str(folder), ""))
    assert not re.search("[a-z]{4,}", plain), f"English left over: {plain}"
    return text


# -- encodings and layouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_in_every_encoding_excel_saves(tmp_path, encoding, end):
    assert people(tmp_path, person__csv=CSV.replace("\n", end).encode(encoding)) == PEOPLE


@pytest.mark.parametrize("encoding", ["utf-16", "gbk"])
def test_excels_unicode_text_parted_by_tabs(tmp_path, encoding):
    assert people(tmp_path, person__csv=CSV.replace(",", "\t").encode(encoding)) == PEOPLE


def test_utf_16_without_a_mark(tmp_path):
    assert people(tmp_path, person__csv=CSV.encode("utf-16-le")) == PEOPLE


def test_bytes_of_no_encoding_are_refused(tmp_path):
    assert "另存为" in refused(tmp_path, person__csv=b"\xff\xff\x81\n")


def test_what_excel_leaves_around_the_data_is_no_data(tmp_path):
    text = "\n 人员编号 ,　姓名,出生日期 ,,\nG1,李芳,1980-03-15,,\n,,,,\nG2,王强,1979-01,,\n,,,,\n\n"
    assert people(tmp_path, person__csv=text) == PEOPLE


def test_a_header_of_two_lines_and_upper_case_names_are_read(tmp_path):
    with pytest.raises(RecordsError, match="没有字段"):
        opened(tmp_path, person__csv='"人员\n编号",姓名\nG1,李芳\n')
    (tmp_path / "person.csv").unlink()
    (tmp_path / "PERSON.CSV").write_text('"人员编号\n",姓名\nG1,李芳\n', "utf-8")
    assert Records.open(tmp_path).rows("person")[0]["name"] == "李芳"


def test_a_table_with_only_a_header_is_empty(tmp_path):
    assert opened(tmp_path, person__csv="人员编号,姓名\n").rows("person") == []


def test_a_very_long_text_is_read_and_lines_behind_it_are_right(tmp_path):
    long = "某" * 300_000
    text = f'人员编号,简历\nG1,"{long}\n{long}"\n'
    assert len(opened(tmp_path, person__csv=text).rows("person")[0]["resume"]) == 600_001
    assert "第 2 行和第 4 行" in refused(tmp_path, person__csv=text + "G1,x\n")


# -- messages --------------------------------------------------------------------------------------------------


QUOTED = '人员编号,姓名,简历\nG1,李芳,"第一行\n第二行\r\n第三行"\n\n'


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("G2,王强,x,多\n", "第 6 行有 4 格，表头有 3 格"),
        ("G2\n", "第 6 行有 1 格"),
        (",王强,x\n", "第 6 行：缺少人员编号"),
        ("G2,王强,x\nG1,王强,x\n", "第 2 行和第 7 行：人员编号“G1”重复"),
        ('G2,王强,"x\n', "第 6 行起有英文双引号没有成对"),
    ],
)
def test_lines_are_those_of_the_file_also_behind_quoted_line_breaks(tmp_path, row, said):
    text = refused(tmp_path, person__csv=QUOTED + row)
    assert said in text and "person.csv" in text


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("出生日期", "1980-02-30", "第 2 行：出生日期“1980-02-30”：1980 年 2 月没有 30 日"),
        ("出生日期", "1980-13", "第 2 行：出生日期“1980-13”的月份不在 1–12 之间"),
        ("出生日期", "0000", "年份不在"),
        ("出生日期", "1980.1", "丢了 0 的 10 月"),
        ("出生日期", "80年1月", "第 2 行：出生日期“80年1月”不是日期"),
        ("性别", "雄", "第 2 行：性别“雄”不在代码表"),
        ("recorded_at", "昨天", "第 2 行：recorded_at“昨天”应写作"),
        ("出身日期", "1980", "没有字段“出身日期”。是否想写：出生日期"),
        (" 性 别", "女", "没有字段“性 别”。是否想写：性别"),
        ("brith_date", "1980", "是否想写：birth_date"),
        ("", "x", "第 2 列没有列名"),
        ("人员编号", "x", "表头中“人员编号”重复"),
    ],
)
def test_messages_name_line_field_and_what_was_expected(tmp_path, header, value, said):
    text = refused(tmp_path, person__csv=f"人员编号,{header}\nG1,{value}\n")
    assert said in text and "person.csv" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"person_id": "2"', "第 3 行：不是 JSON，第 18 个字符附近有误"),
        ('{"person_id": NaN}', "第 3 行：不是 JSON"),
        ("[1]", "第 3 行：每行应是一个对象"),
        ('{"person_id": "2", "name": ["李芳"]}', "第 3 行：字段“name”是列表"),
        ('{"person_id": "2", "name": {"a": 1}}', "第 3 行：字段“name”是对象"),
        ('{"person_id": "2", "birth_date": "1980-02-30"}', "第 3 行：出生日期"),
        ('{"person_id": "1"}', "第 1 行和第 3 行"),
        ("[" * 5000, "第 3 行：不是 JSON"),
    ],
)
def test_jsonl_names_its_lines(tmp_path, line, said):
    assert said in refused(tmp_path, person__jsonl=f'{{"person_id": "1"}}\n\n{line}\n')


@pytest.mark.parametrize(
    "column", [pa.array([["李芳"]]), pa.array([{"a": 1}]), pa.array([b"x"]), pa.array([[1.5]])]
)
def test_parquet_columns_of_lists_objects_or_bytes_are_refused(tmp_path, column):
    pq.write_table(pa.table({"person_id": ["1"], "name": column}), tmp_path / "person.parquet")
    with pytest.raises(RecordsError, match=r"person.parquet：字段“姓名”每格是列表、对象或二进制"):
        Records.open(tmp_path)


def test_parquet_types_that_cannot_be_the_field_are_refused_in_words(tmp_path):
    day = pa.array([1], pa.time32("s"))
    pq.write_table(pa.table({"person_id": ["1"], "birth_date": day}), tmp_path / "person.parquet")
    with pytest.raises(RecordsError, match="出生日期"):
        Records.open(tmp_path)
    assert "parquet" in refused(tmp_path, person__parquet=b"nonsense")


def test_two_files_of_one_register_are_refused_by_name(tmp_path):
    Records.from_rows({"person": [{"person_id": "1"}]}).write(tmp_path)
    text = refused(tmp_path, 人员__csv=CSV)
    assert "person.parquet" in text and "人员.csv" in text


# -- values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("1980/01/05", PartialDate(1980, 1, 5)),
        ("1980.1.5", PartialDate(1980, 1, 5)),
        ("19800105", PartialDate(1980, 1, 5)),
        ("1980年1月5日", PartialDate(1980, 1, 5)),
        ("１９８０．０１．０５", PartialDate(1980, 1, 5)),
        ("1980-01-05 00:00:00", PartialDate(1980, 1, 5)),
        ("1980-01-05T00:00:00", PartialDate(1980, 1, 5)),
        ("198001", PartialDate(1980, 1)),
        ("1980年1月", PartialDate(1980, 1)),
        ("1980-1", PartialDate(1980, 1)),
        ("1980.01", PartialDate(1980, 1)),
        ("1980年", PartialDate(1980)),
        ("1980", PartialDate(1980)),
    ],
)
def test_dates_as_people_type_them_keep_their_precision(tmp_path, typed, day):
    assert read_day(typed) == day
    (row,) = people(tmp_path, person__csv=f"人员编号,出生日期\nG1,{typed}\n")
    assert row["birth_date"] == day


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.-/年月日 ", max_size=14))
def test_no_text_is_another_day_than_it_says(text):
    try:
        day = read_day(text)
    except ValueError as error:
        assert re.search("[\u4e00-\u9fff]", str(error))
    else:
        assert day.iso().replace("-", "").startswith(re.sub(r"\D", "", text)[:4])


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
def test_any_text_comes_back_from_every_format(tmp_path, fmt):
    texts = [
        "一\u2028二\u0085三\u2029四",
        '引"号',
        "逗,号",
        "换\n行",
        "回车\r\n",
        "制\t表",
        "𠀀",
        "1E+2",
        "x\x1cy",
    ]
    rows = [{"person_id": str(at), "resume": text} for at, text in enumerate(texts)]
    Records.from_rows({"person": rows}).write(tmp_path, fmt)
    assert [row["resume"] for row in Records.open(tmp_path).rows("person")] == texts


@pytest.mark.parametrize("fmt", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("score", ["100", "0", "87.5", "0.01", "1E+2"])
def test_decimals_are_written_plainly(tmp_path, fmt, score):
    rows = [{"person": "G1", "year": 2024, "score": Decimal(score)}]
    Records.from_rows({"assessment": rows}).write(tmp_path, fmt)
    if fmt == "csv":
        assert "E" not in (tmp_path / "assessment.csv").read_text("utf-8")
    (row,) = Records.open(tmp_path).rows("assessment")
    assert row["score"] == Decimal(score) and "E" not in str(row["score"])


def test_whole_numbers_saved_as_3_0_are_whole(tmp_path):
    pq.write_table(
        pa.table({"person": ["G1", "G1"], "year": [2023.0, None]}), tmp_path / "assessment.parquet"
    )
    assert [row.get("year") for row in Records.open(tmp_path).rows("assessment")] == [2023, None]


def test_rows_may_call_a_field_by_its_name_or_its_label():
    rows = [{"person_id": "1", "name": "甲"}, {"person_id": "2", "姓名": "乙", "sex": None}, {"编号": "3"}]
    with pytest.raises(RecordsError, match="第 3 行：没有字段“编号”"):
        Records.from_rows({"person": rows})
    table = Records.from_rows({"person": rows[:2]}).tables["person"]
    assert table["name"].to_pylist() == ["甲", "乙"] and table["sex"].to_pylist() == [None, None]
