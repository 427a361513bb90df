"""Tables that people fill in and take away: what a cell says is what is read, and nothing in one is ever executed."""

from __future__ import annotations

import csv
import io
import random
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.engine.records import Records
from ganbu.errors import FormatError, RecordsError
from ganbu.formats import tables
from ganbu.formats.issues import Issue
from ganbu.formats.tables import Sheet, inert, read_sheets, read_table
from ganbu.records.books import read_book
from ganbu.records.exporting import export_workbook
from ganbu.records.importing import ImportReport
from ganbu.records.tables import rows_from_table, template_rows, typed
from ganbu.vocabulary import load_vocabulary

WORDS = load_vocabulary().registers
ACTIVE = ("=1+1", "=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "{=1}", "http://x.example", "mailto:a@b.example")  # fmt: skip


def book(sheets: dict[str, list[list[object]]]) -> bytes:
    """A workbook as a spreadsheet program writes it: dates as dates, numbers as numbers."""
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream)
    day, moment = (made.add_format({"num_format": form}) for form in ("yyyy/m/d", "yyyy-mm-dd hh:mm:ss"))
    for name, rows in sheets.items():
        sheet = made.add_worksheet(name)
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, datetime):
                    sheet.write_datetime(at, column, value, moment)
                elif isinstance(value, date):
                    sheet.write_datetime(at, column, value, day)
                else:
                    sheet.write(at, column, value)
    made.close()
    return stream.getvalue()


def test_cells_are_read_as_they_would_be_typed():
    row = ["甲", 1, 2.5, 1980.1, 110102198003020021, True, False, None, date(2026, 6, 30), date(1900, 1, 1), datetime(2026, 6, 30, 8, 15)]  # fmt: skip
    (sheet,) = read_sheets("a.xlsx", book({"人员": [row]}))
    assert sheet.rows[0][:4] == ["甲", "1", "2.5", "1980.1"]
    assert sheet.rows[0][5:8] == ["是", "否", ""]
    assert sheet.rows[0][8:] == ["2026-06-30", "1900-01-01", "2026-06-30 08:15:00"]


@given(day=st.dates(date(1930, 1, 1), date(2099, 12, 31)))
def test_a_date_in_a_workbook_is_that_day(day):
    assert read_table("a.xlsx", book({"x": [[day]]})).rows == [[day.isoformat()]]
    assert typed(WORDS["person"], WORDS["person"].fields["birth_date"], day.isoformat()) == PartialDate(day.year, day.month, day.day)  # fmt: skip


def test_the_value_of_a_formula_is_read_and_the_formula_is_not_evaluated():
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream)
    sheet = made.add_worksheet()
    sheet.write_formula(0, 0, "=1+1", None, 7)
    sheet.write_formula(0, 1, '=HYPERLINK("http://x.example")', None, "甲")
    made.close()
    assert read_table("a.xlsx", stream.getvalue()).rows == [["7", "甲"]]


def test_rows_keep_their_line_and_blank_ones_are_left_out():
    sheet = Sheet("s", [["说明"], ["姓名", " 性别 ", "", "备注"], ["甲", "男", "x"], ["", " ", ""], ["乙"]])
    assert list(sheet.records(1)) == [(3, {"姓名": "甲", "性别": "男"}), (5, {"姓名": "乙"})]
    assert list(Sheet("s", []).records()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_is_read_whatever_program_saved_it(encoding):
    content = '姓名,备注\r\n"李,芳","一\n二"\r\n'.encode(encoding)
    assert read_table("名单.CSV", content).rows == [["姓名", "备注"], ["李,芳", "一\n二"]]


def test_the_first_sheet_with_anything_in_it_is_the_table():
    content = book({"Sheet1": [], "名单": [["姓名"]]})
    assert read_table("a.xlsx", content).name == "名单"
    assert [s.name for s in read_sheets("a.xlsx", content)] == ["Sheet1", "名单"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.doc", b"x", "应为 xlsx、xls 或 csv"),
        ("a.xlsx", b"", "读不了"),
        ("a.xlsx", b"PK\x03\x04" + bytes(40), "已损坏"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "读不了"),
        ("a.csv", b"\xff\xff\xff", "既不是 UTF-8 也不是 GB18030"),
        ("a.csv", b'"' + b"x" * 200_000 + b'"', "不是 csv 文件"),
        ("a.csv", b"", "没有一行内容"),
        ("a.xlsx", book({"x": [[]]}), "没有一行内容"),
    ],
    # A workbook tells when it was made: as part of a name it would be another in every process.
    ids=["another suffix", "an empty book", "a torn book", "an old book torn", "no encoding", "no table", "an empty table", "no row"],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_what_to_do(monkeypatch, name, content, said):
    limit = csv.field_size_limit(100_000)
    try:
        with pytest.raises(FormatError, match=said) as error:
            read_table(name, content)
    finally:
        csv.field_size_limit(limit)
    assert name in str(error.value)


def test_too_much_is_refused_before_it_is_read(monkeypatch):
    content = book({"x": [["甲"]] * 40})
    monkeypatch.setattr(tables, "MOST_ROWS", 40)
    assert len(read_table("a.xlsx", content).rows) == 40
    monkeypatch.setattr(tables, "MOST_ROWS", 39)
    with pytest.raises(FormatError, match="40 行 1 列"):
        read_sheets("a.xlsx", content)
    monkeypatch.setattr(tables, "MOST_UNPACKED", 1000)
    with pytest.raises(FormatError, match="解开后超过"):
        read_sheets("a.xlsx", content)
    monkeypatch.setattr(tables, "MOST_BYTES", len(content) - 1)
    with pytest.raises(FormatError, match="请分几个文件"):
        read_sheets("a.xlsx", content)


def edited(content: bytes, change: Callable[[str], str]) -> bytes:
    """A workbook with the XML of its first sheet changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            told = old.read(name)
            new.writestr(name, change(told.decode()) if name.endswith("sheet1.xml") else told)
    return stream.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        lambda xml: xml,
        lambda xml: xml.replace('<c r="XFD1048576"', "<c  s='0'\n r = 'xfd1048576'"),
        lambda xml: xml.replace("<c ", "<x:c ").replace("</c>", "</x:c>").replace("<worksheet ", '<worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '),
        lambda xml: xml.replace('<c r="XFD1048576"', "<c" + "/><c" * 16383),
        lambda xml: xml.replace('<c r="XFD1048576"', "<c><v>1</v></c>" * 16383 + "<c"),
        lambda xml: xml.replace('<c r="XFD1048576"', '<c r="XFC1048576"/><c'),
        lambda xml: xml.replace('<c r="XFD1048576"', '<c x=">" r="XFD1048576"'),
    ],
    ids=["as written", "other quotes", "a prefix", "no place, empty before", "no place", "behind an empty one", "a bracket in an attribute"],
)  # fmt: skip
def test_a_cell_at_the_far_end_of_a_sheet_does_not_take_all_memory(change):
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream)
    sheet = made.add_worksheet()
    sheet.write(0, 0, "姓名")
    sheet.write(1_048_575, 16_383, "x")
    made.close()
    with pytest.raises(FormatError, match="超过上限"):
        read_sheets("a.xlsx", edited(stream.getvalue(), change))


def test_cells_that_are_only_coloured_do_not_count_wherever_they_are():
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream)
    sheet, colour = made.add_worksheet(), made.add_format({"bg_color": "yellow"})
    sheet.write(0, 0, "姓名")
    sheet.write_blank(1_048_575, 16_383, None, colour)
    made.close()
    assert read_table("a.xlsx", stream.getvalue()).rows == [["姓名"]]


def test_cells_without_a_place_are_read_one_after_another():
    content = edited(book({"x": [["姓名", "性别"], ["甲", "男"]]}), lambda xml: re.sub(r'<c r="\w+"', "<c", xml))  # fmt: skip
    assert read_table("a.xlsx", content).rows == [["姓名", "性别"], ["甲", "男"]]


@pytest.mark.parametrize("entry", ["content.xml", "xl/workbook.bin"])
def test_books_of_another_kind_are_refused_whatever_they_are_called(entry):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(entry, "<x/>")
    with pytest.raises(FormatError, match="另存为 xlsx"):
        read_sheets("a.xlsx", stream.getvalue())


def test_no_damage_to_a_workbook_escapes_as_anything_but_a_message():
    whole, dice = book({"人员": [["姓名", "性别"], ["甲", "男"]]}), random.Random(7)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            read_sheets("a.xlsx", bytes(broken[: dice.randint(100, len(broken))]))
        except FormatError as error:
            assert "a.xlsx" in str(error)


@pytest.fixture
def written(tmp_path):
    """What a workbook of the record has, after it went through a file."""

    def write(**rows: list[dict[str, object]]) -> dict[str, Sheet]:
        target = tmp_path / "out" / "档案.xlsx"
        export_workbook(Records.from_rows(rows), None, target)
        assert target.exists()
        return {sheet.name: sheet for sheet in read_sheets("x.xlsx", target.read_bytes())}

    return write


def test_what_looks_like_a_formula_or_a_link_is_written_as_text(written, tmp_path):
    people = [{"person_id": f"p{n}", "name": text.strip()} for n, text in enumerate(ACTIVE)]
    sheet = written(person=people)["人员"]
    names = sheet.rows[0].index("姓名")
    assert [row[names] for row in sheet.rows[1:]] == [text.strip() for text in ACTIVE]
    with zipfile.ZipFile(tmp_path / "out" / "档案.xlsx") as archive:
        content = b"".join(archive.read(name) for name in archive.namelist() if "sheet1.xml" in name)
    assert b"<f>" not in content and b"hyperlink" not in content.lower()


def test_dates_numbers_and_yes_or_no_are_written_exactly(written):
    person = {"person_id": "p1", "name": "甲", "birth_date": PartialDate(1978, 3), "party_date": PartialDate(2001, 7, 1), "work_start": PartialDate(1999), "spouse_abroad": True, "children_abroad": False}  # fmt: skip
    deeds = [{"deed_id": "d1", "person": "p1", "date": date(2026, 2, 28), "direction": "正面", "points": Decimal("0.1")}]  # fmt: skip
    sheets = written(person=[person], deed=deeds, unit=[{"unit_id": "u1", "name": "某局"}])
    ((_, row),) = sheets["人员"].records()
    assert {k: row[k] for k in ("姓名", "出生日期", "参加工作时间", "配偶移居境外")} == {"姓名": "甲", "出生日期": "1978-03", "参加工作时间": "1999", "配偶移居境外": "是"}  # fmt: skip
    assert "2001-07-01" in row.values() and "否" in row.values()
    ((_, row),) = sheets["纪实"].records()
    assert (row["姓名"], row["日期"], row["分值"]) == ("甲", "2026-02-28", "0.10")


def test_only_those_asked_for_are_written_and_ended_rows_never(tmp_path):
    records = Records.from_rows({
        "person": [{"person_id": "p1", "name": "甲"}, {"person_id": "p2", "name": "乙"}],
        "award": [
            {"award_id": "a1", "person": "p1", "name": "三等功"},
            {"award_id": "a2", "person": "p2", "name": "嘉奖"},
            {"award_id": "a3", "person": "p1", "name": "误登", "recorded_at": datetime(2025, 1, 1), "superseded_at": datetime(2025, 1, 2)},
        ],
    })  # fmt: skip
    assert export_workbook(records, ["p1"], tmp_path / "o.xlsx") == 2
    held = {s.name: [row for _, row in s.records()] for s in read_sheets("o.xlsx", (tmp_path / "o.xlsx").read_bytes())}  # fmt: skip
    assert [row["姓名"] for row in held["人员"]] == ["甲"]
    assert [(row["姓名"], row["名称"]) for row in held["奖励"]] == [("甲", "三等功")]


@pytest.mark.parametrize("text", [t for t in ACTIVE if t[0] in "=+-@\t"])
def test_a_report_that_is_opened_in_a_spreadsheet_program_runs_nothing(text):
    told = ImportReport(issues=[Issue("a.lrmx", "姓名", "x", f"姓名“{text}”", text, line=3)]).text()
    ((row),) = csv.DictReader(io.StringIO(told.removeprefix("\ufeff")))
    assert row["raw"] == f"'{text}" and row["message"] == f"姓名“{text}”" and row["line"] == "3"


@given(text=st.text(max_size=20))
def test_a_text_is_only_ever_given_a_mark_in_front(text):
    made = inert(text)
    assert made in (text, f"'{text}") and not made.startswith(("=", "@", "\t", "\r"))
    assert inert(made) == made


def test_a_tenth_month_that_lost_its_zero_in_a_spreadsheet_is_pointed_out():
    found = read_book("a.xlsx", book({"人员": [["姓名", "出生日期"], ["甲", 1980.1], ["乙", "1980.10"], ["丙", "1980-01"]]}))  # fmt: skip
    told = {one.name: [issue.code for issue in one.issues] for one in found.people}
    assert told == {"甲": ["date.month_ambiguous"], "乙": [], "丙": []}
    assert {one.name: str(one.rows["person"][0]["birth_date"]) for one in found.people} == {"甲": "1980-01", "乙": "1980-10", "丙": "1980-01"}  # fmt: skip


@pytest.mark.parametrize(
    ("register", "field", "text", "said"),
    [
        ("person", "birth_date", "1980-13", "2026-06-30、2026-06 或 202606"),
        ("assessment", "year", "二四", "应为整数"),
        ("deed", "points", "1.123456789", "位小数的数"),
        ("deed", "points", "1e3", "位小数的数"),
        ("person", "spouse_abroad", "也许", "应为 是 或 否"),
        ("assessment", "grade", "优良", "不在代码表"),
        ("person", "resume", "字" * 100_001, "超过 100000 字"),
    ],
)
def test_a_cell_that_does_not_fit_says_what_was_expected(register, field, text, said):
    item = WORDS[register].fields[field]
    with pytest.raises(RecordsError, match=said) as error:
        typed(WORDS[register], item, text)
    assert str(error.value).startswith(item.label) and len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("register", "field", "text", "value"),
    [
        ("person", "birth_date", "1980年3月", PartialDate(1980, 3)),
        ("person", "ethnic_group", "汉", "汉族"),
        ("person", "spouse_abroad", "有", True),
        ("deed", "points", "-1.50", Decimal("-1.50")),
        ("assessment", "year", "+2024", 2024),
    ],
)
def test_a_cell_is_read_as_offices_write_it(register, field, text, value):
    assert typed(WORDS[register], WORDS[register].fields[field], text) == value


def test_a_filled_template_is_read_and_every_wrong_line_told_at_once():
    head, hints = template_rows(WORDS["award"])
    assert hints[0][0].startswith("#")
    who = {"甲": "p1"}.__getitem__
    at = {label: n for n, label in enumerate(head)}

    def line(**values: str) -> list[str]:
        row = [""] * len(head)
        for label, value in values.items():
            row[at[label]] = value
        return row

    subject = WORDS["award"].fields["person"].label
    (row,) = rows_from_table(WORDS["award"], Sheet("s", [head, *hints, line(**{subject: "甲", "名称": "三等功"})]), who)  # fmt: skip
    assert row["person"] == "p1" and row["name"] == "三等功" and row["award_id"].startswith("award-")
    with pytest.raises(RecordsError) as error:
        rows_from_table(WORDS["award"], Sheet("s", [head, *[line(名称="x")] * 30]), who)
    assert "第 2 行：没有写" in str(error.value) and "另有 10 处" in str(error.value)
    with pytest.raises(RecordsError, match="没有“奖厉”这一栏"):
        rows_from_table(WORDS["award"], Sheet("s", [["奖厉"]]), who)
    with pytest.raises(RecordsError, match="没有一行内容"):
        rows_from_table(WORDS["award"], Sheet("s", [head, *hints]), who)
