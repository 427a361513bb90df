"""The generic form: what it can carry comes back, codes are those of the tables, and nothing hostile or odd is lost or run."""

import io
import zipfile
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.errors import FormatError
from ganbu.formats import generic_zip
from ganbu.formats.batch import read_batch
from ganbu.formats.generic import (
    GenericForm,
    GenericPerson,
    Line,
    ended_unknown,
    read_generic,
    write_generic,
)
from ganbu.formats.generic_columns import COLUMNS, LEVEL, PLACES, SETS
from ganbu.formats.generic_zip import is_generic
from ganbu.formats.text import legal, trim
from ganbu.synthetic.files import PORTRAIT
from ganbu.vocabulary import load_vocabulary

CODES = load_vocabulary().codes
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


# -- what is written is what is read --------------------------------------------------------------------------------


def plain(text):
    """A text that a value can be: what trimming leaves."""
    return trim(trim(legal(text), line_breaks=True), line_breaks=True)


TEXTS = st.text(st.sampled_from("甲乙·〔2019〕1号 \n<>&\"'aé𠮷"), max_size=12).map(plain).filter(bool)
DATES = st.one_of(
    st.dates(min_value=date(1900, 1, 1), max_value=date(2100, 12, 31)).map(lambda d: PartialDate(d.year, d.month, d.day)),
    st.builds(PartialDate, st.integers(1900, 2100), st.integers(1, 12)),
    st.builds(PartialDate, st.integers(1900, 2100)),
)  # fmt: skip


def values_of(column):
    if column.kind == "date":
        return DATES
    if column.kind == "int":
        return st.integers(-(10**9), 10**9)
    if column.kind in ("bool", "leading"):
        return st.booleans()
    if column.kind == "code":
        return st.sampled_from(CODES[column.table].names())
    if column.kind == "award_level":
        return st.sampled_from(CODES["award_level"].names())
    if column.kind == "word":
        words = [name for name in CODES[column.table].names() if name not in CODES["award_or_sanction"].under("惩戒")]  # fmt: skip
        return st.one_of(st.sampled_from(words), st.just("按章程"))
    return TEXTS


def lines_of(register, **fixed):
    columns = {c.field: values_of(c) for c in PLACES[register] if c.kind != "ref" and c.field != "unit_id"}
    return st.builds(
        lambda values, rest: Line({**values, **fixed}, rest),
        st.fixed_dictionaries({}, optional=columns),
        st.dictionaries(st.sampled_from(["X01", "A9901", "扩展"]), TEXTS, max_size=2),
    )


@st.composite
def packages(draw):
    units = [Line({"unit_id": f"U{at}", "name": draw(TEXTS), **({"parent": f"U{draw(st.integers(0, at - 1))}"} if at and draw(st.booleans()) else {})}) for at in range(draw(st.integers(0, 4)))]  # fmt: skip
    people = []
    for at in range(draw(st.integers(0, 3))):
        person = GenericPerson(f"人{at}", photo=draw(st.sampled_from([None, PORTRAIT, PNG])))
        person.rows["person"] = [draw(lines_of("person"))]
        for register in ("appointment", "education", "assessment", "family", "award"):
            person.rows[register] = draw(st.lists(lines_of(register), max_size=3))
        person.rows["rank"] = draw(st.lists(lines_of("rank", rank="一级科员"), max_size=2))
        person.rows[LEVEL] = draw(st.lists(lines_of(LEVEL, level="县处级正职"), max_size=2))
        for line in person.rows["award"]:
            line.values["name"] = "嘉奖"
        if units and draw(st.booleans()):
            for line in (person.line, *person.rows["appointment"]):
                line.values["statistics_unit" if line is person.line else "unit"] = draw(st.sampled_from(units)).values["unit_id"]  # fmt: skip
        people.append(person)
    header = draw(st.dictionaries(st.sampled_from(["time", "contact", "tel", "notes", "tableext"]), TEXTS))
    row = st.dictionaries(st.sampled_from(["A0000", "A3001", "甲"]), TEXTS, min_size=1)
    foreign = draw(st.dictionaries(st.sampled_from(["A06", "A99Z1", "EXTRA_TAGS"]), st.lists(row, min_size=1, max_size=3)))  # fmt: skip
    return GenericForm(people, units, header, foreign)


def written(form):
    stream = io.BytesIO()
    write_generic(form, stream)
    return stream.getvalue()


def read(tmp_path, content, name="包.zip"):
    path = tmp_path / name
    path.write_bytes(content)
    return read_generic(path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])  # fmt: skip
@given(packages())
def test_what_is_written_is_read_back_and_written_again_byte_for_byte(tmp_path, form):
    content = written(form)
    again = read(tmp_path, content)
    assert again == form
    assert written(again) == content
    errors = [i.code for i in (*again.issues, *(i for p in again.people for i in p.issues)) if i.severity == "error"]  # fmt: skip
    assert set(errors) <= {"person.no_name"}


@pytest.mark.parametrize("register", [*PLACES])
def test_every_word_of_every_code_table_comes_back(tmp_path, register):
    for column in PLACES[register]:
        if column.kind != "code":
            continue
        words = CODES[column.table].names()
        people = []
        for at, word in enumerate(words):
            person = GenericPerson(f"P{at}")
            person.rows["person"] = [Line({"name": "甲"})]
            if register == "person":
                person.line.values[column.field] = word
            elif register != "unit":
                person.rows[register] = [Line({column.field: word})]
            people.append(person)
        units = [Line({"unit_id": f"U{at}", "name": "甲", column.field: word}) for at, word in enumerate(words)] if register == "unit" else []  # fmt: skip
        form = GenericForm(people, units)
        assert read(tmp_path, written(form)) == form, column


# -- packages as others write them ----------------------------------------------------------------------------------

HEADER = '<root><node name="type" value="23"/><node name="psncount" value="{}"/><tablelist><tablelist name="A01"/></tablelist></root>'


def package(tables, psncount="", extra=(), root=""):
    """A zip with the tables given as XML text or as lists of rows."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{root}gwyinfo.xml", HEADER.format(psncount))
        for name, rows in tables.items():
            if not isinstance(rows, str | bytes):
                tags = "".join("<row " + " ".join(f'{k}="{v}"' for k, v in row.items()) + "/>" for row in rows)  # fmt: skip
                rows = f"<xml><data>{tags}</data></xml>"
            archive.writestr(f"{root}Table/{name}.xml", rows)
        for name, content in extra:
            archive.writestr(root + name, content)
    return stream.getvalue()


LI = {"A0000": "a", "A0101": "李芳", "A0104": "2", "A0107": "19800315", "A0117": "01"}


def told(form, severity=""):
    every = [*form.issues, *(issue for person in form.people for issue in person.issues)]
    return [i for i in every if not severity or i.severity == severity]


def codes(form, severity=""):
    return {issue.code for issue in told(form, severity)}


def test_codes_become_words_and_digits_dates(tmp_path):
    form = read(
        tmp_path,
        package({
            "A01": [{**LI, "A0141": "06", "A0160": "61", "A0163": "21", "A0195": "001.001"}],
            "A02": [{"A0000": "a", "A0201A": "县司法局", "A0201B": "001.001", "A0215A": "局长", "A0219": "1", "A0201E": "1", "A0243": "201901", "A0247": "12", "A0255": "1", "A0279": "1", "A0281": "1"}],
            "A05": [
                {"A0000": "a", "A0531": "0", "A0501B": "0141", "A0504": "201901", "A0524": "1"},
                {"A0000": "a", "A0531": "", "A0501B": "17", "A0504": "20200601"},
            ],
            "A08": [{"A0000": "a", "A0801B": "21", "A0801A": "大学", "A0901B": "403", "A0837": "1", "A0807": "2002"}],
            "A14": [{"A0000": "a", "A1404A": "个人三等功", "A1404B": "01114", "A1407": "201905", "A1414": "105", "A1415": "1A42"}],
            "A15": [{"A0000": "a", "A1521": "2024", "A1517": "2B"}],
            "A36": [{"A0000": "a", "A3601": "王强", "A3604A": "11", "A3607": "197901", "A3627": "13", "SORTID": "1"}],
            "B01": [{"B0111": "001", "B0101": "某县", "B0121": "-1"}, {"B0111": "001.001", "B0101": "县司法局", "B0121": "001", "B0127": "109", "B0131": "3413", "B0227": "12"}],
        }, "1"),
    )  # fmt: skip
    person = form.people[0]
    assert person.line.values["political_status"] == "民建" and person.line.values["sex"] == "女"
    assert person.line.values["category"] == "参照管理事业单位工作人员" and person.line.values["status"] == "离退"  # fmt: skip
    post = person.rows["appointment"][0]
    assert post == Line({"unit": "001.001", "title": "局长", "leading": True, "kind": "正职", "start_date": PartialDate(2019, 1), "way": "竞争上岗", "main": True})  # fmt: skip
    assert person.rows[LEVEL][0].values == {"level": "乡科级正职", "start_date": PartialDate(2019, 1)}
    assert person.rows["rank"][0].values == {"rank": "一级主任科员", "start_date": PartialDate(2020, 6, 1)}
    assert person.rows["education"][0].values == {"mode": "全日制", "level": "大学", "degree": "法学学士", "end_date": PartialDate(2002)}  # fmt: skip
    award = person.rows["award"][0]
    assert (award.values["name"], award.values["kind"], award.values["level"], award.rest) == ("个人三等功", "记三等功", "市级", {"A1415": "1A42"})  # fmt: skip
    assert person.rows["assessment"][0].values == {"year": 2024, "grade": "称职"}
    assert person.rows["family"][0].values["relation"] == "丈夫"
    assert person.rows["family"][0].values["political_status"] == "群众"
    assert form.units[1].values == {"unit_id": "001.001", "name": "县司法局", "parent": "001", "level": "乡科级", "kind": "司法", "headcount": 12}  # fmt: skip
    assert codes(form, "error") == set() and {"code.normalised", "date.year_only", "column.no_place"} <= codes(form)  # fmt: skip
    assert [i.line for i in told(form) if i.code == "code.normalised" and i.raw == "61"] == [1]


def test_what_is_no_value_keeps_its_text_beside_the_line(tmp_path):
    row = {**LI, "A0104": "7", "A0107": "197513", "A0195": "无", "A0901X": "1"}
    post = {"A0000": "a", "A0219": "3", "A0279": "甲", "A0201B": "无", "A0201A": "某局"}
    form = read(tmp_path, package({"A01": [row], "A02": [post], "A15": [{"A0000": "a", "A1521": "二四"}], "A14": [{"A0000": "a", "A1414": "106"}]}))  # fmt: skip
    person = form.people[0]
    assert person.line.rest == {"A0104": "7", "A0107": "197513", "A0195": "无", "A0901X": "1"}
    assert person.rows["appointment"][0] == Line({}, {"A0219": "3", "A0279": "甲", "A0201B": "无", "A0201A": "某局"})  # fmt: skip
    found = {(i.file.rpartition("/")[2], i.field, i.code): i.raw for i in told(form)}
    assert found["A01.xml", "性别", "code.unknown"] == "7"
    assert found["A01.xml", "出生日期", "date.month_out_of_range"] == "197513"
    assert found["A02.xml", "是否领导职务", "cell.unreadable"] == "3"
    assert found["A15.xml", "年度", "cell.unreadable"] == "二四"
    assert found["A14.xml", "级别", "code.unknown"] == "106"
    assert ("A01.xml", "A0901X", "column.no_place") in found
    assert read(tmp_path, written(form)) == form, "and is written as it was"


def test_a_post_or_rank_that_ended_nobody_says_when_is_told(tmp_path):
    form = read(tmp_path, package({"A01": [LI], "A02": [{"A0000": "a", "A0215A": "科员", "A0255": "0"}], "A05": [{"A0000": "a", "A0531": "1", "A0501B": "17", "A0524": "0"}]}))  # fmt: skip
    person = form.people[0]
    assert ended_unknown("appointment", person.rows["appointment"][0]) and ended_unknown("rank", person.rows["rank"][0])  # fmt: skip
    assert [i.code for i in person.issues].count("appointment.no_end") == 2


def test_what_only_the_first_table_tells_is_taken_from_it(tmp_path):
    row = {**LI, "A0221": "1A31", "A0288": "201503", "A0192E": "13", "A0140": "200108；民建", "A15Z101": "2023年、2024年年度考核均为优秀。", "A14Z101": "2019.05，经市委批准，记三等功。"}  # fmt: skip
    form = read(tmp_path, package({"A01": [row]}))
    person = form.people[0]
    assert person.rows[LEVEL] == [Line({"level": "县处级正职", "start_date": PartialDate(2015, 3)})]
    assert person.rows["rank"] == [Line({"rank": "一级调研员"})]
    assert person.line.values["party_date"] == PartialDate(2001, 8)
    assert [line.values["year"] for line in person.rows["assessment"]] == [2023, 2024]
    assert person.rows["award"][0].values["name"] == "记三等功"
    assert read(tmp_path, written(form)) == form


def test_an_education_by_name_or_by_code_only(tmp_path):
    rows = [{"A0000": "a", "A0801A": "大学本科"}, {"A0000": "a", "A0801A": "夜校"}, {"A0000": "a", "A0901B": "4"}]  # fmt: skip
    form = read(tmp_path, package({"A01": [LI], "A08": rows}))
    one, two, three = form.people[0].rows["education"]
    assert (one.values, two.values, three.values) == ({"level": "大学"}, {}, {"degree": "学士"})
    assert two.rest == {"A0801A": "夜校"} and {"code.normalised", "code.unknown"} <= codes(form)


def test_a_sanction_is_not_registered_and_not_lost(tmp_path):
    rows = [{"A0000": "a", "A1404B": "02110"}, {"A0000": "a", "A1404A": "党内严重警告"}, {"A0000": "a", "A1404A": "嘉奖"}]  # fmt: skip
    form = read(tmp_path, package({"A01": [LI], "A14": rows}))
    assert [line.values for line in form.people[0].rows["award"]] == [{"name": "嘉奖"}]
    assert form.foreign == {"A14": rows[:2]} and "award.sanction" in codes(form)
    assert read(tmp_path, written(form)) == form


def test_unknown_tables_columns_and_rows_are_kept_and_told(tmp_path):
    tables = {
        "A01": [LI, {**LI, "A0101": "又一"}, {"A0101": "无号"}],
        "A15": [{"A0000": "不在", "A1521": "2024"}],
        "A06": [{"A0000": "a", "A0601": "1"}],
        "EXTRA_TAGS": [{"A0000": "a", "a0193_tag": "1"}],
    }
    form = read(tmp_path, package(tables, "7"))
    assert form.foreign == {
        "A01": [{**LI, "A0101": "又一"}, {"A0101": "无号"}], "A15": tables["A15"], "A06": tables["A06"], "EXTRA_TAGS": [{"A0000": "a", "A0193_TAG": "1"}],
    }  # fmt: skip
    assert codes(form, "error") == {"row.repeated", "row.no_person"}
    assert {"table.no_place", "package.count"} <= codes(form)
    assert read(tmp_path, written(form)) == form


def test_the_tree_of_units_is_checked(tmp_path):
    rows = [
        {"B0111": "1", "B0101": "甲", "B0121": "2"}, {"B0111": "2", "B0101": "乙", "B0121": "1"}, {"B0111": "3", "B0101": "丙", "B0121": "9"},
        {"B0111": "3", "B0101": "丁"}, {"B0101": "无号"},
    ]  # fmt: skip
    form = read(tmp_path, package({"A01": [], "B01": rows}))
    assert [line.values.get("parent") for line in form.units] == [None, "1", None]
    assert [line.rest.get("B0121") for line in form.units] == ["2", None, "9"]
    assert {"unit.circle", "unit.no_parent", "row.repeated"} == {i.code for i in form.issues if i.code != "table.missing"}  # fmt: skip


def test_photographs_by_their_name_with_or_without_suffix(tmp_path):
    people = [{**LI, "A0000": key} for key in "abcde"]
    photos = [{"A0000": "a", "A5714": "one.JPG"}, {"A0000": "b", "A5714": "two"}, {"A0000": "c", "A5714": r"..\..\etc\passwd"}, {"A0000": "d", "A5714": ""}, {"A0000": "x", "A5714": "one.jpg"}, {"A0000": "a", "A5714": "d.jpg", "A5799": "1"}]  # fmt: skip
    extra = [("Photos/One.jpg", PORTRAIT), ("Photos/two.jpg", b"not a picture"), ("Photos/d.jpg", PORTRAIT), ("Photos/nobody.jpg", PORTRAIT), ("说明.txt", "x")]  # fmt: skip
    form = read(tmp_path, package({"A01": people, "A57": photos}, extra=extra))
    assert [person.photo for person in form.people] == [PORTRAIT, None, None, PORTRAIT, None]
    assert [i.code for i in told(form)].count("photo.missing") == 3
    assert {"photo.unknown_type", "file.ignored"} <= codes(form)
    assert len(form.foreign["A57"]) == 3


def test_two_people_whose_keys_make_one_file_name_have_two_photographs(tmp_path):
    people = []
    for key in ("a/b", "a:b"):
        person = GenericPerson(key, photo=PORTRAIT)
        person.rows["person"] = [Line({"name": key})]
        people.append(person)
    form = GenericForm(people)
    assert read(tmp_path, written(form)) == form


# -- damaged and hostile --------------------------------------------------------------------------------------------


def test_line_breaks_and_angle_brackets_in_a_value_are_read(tmp_path):
    xml = '<xml><data><row A0000="a" A0101="李芳" A0192A="x=" \n A1701="1998.09--  甲\r\n2002--  <乙>&丙" A0180="R\x0b"/></data></xml>'
    form = read(tmp_path, package({"A01": xml}))
    assert form.people[0].line.values["resume"] == "1998.09--  甲\n2002--  <乙>&丙"
    assert form.people[0].line.values["current_post_text"] == "x=" and "xml.repaired" in codes(form)


def test_gbk_and_odd_elements_are_told(tmp_path):
    xml = '<xml><data>甲<row A0000="a" A0101="李芳"/>文字<thing/></data></xml>'.encode("gb18030")
    form = read(tmp_path, package({"A01": xml}))
    assert form.people[0].line.values["name"] == "李芳"
    assert {"encoding.unexpected", "element.unknown", "element.stray_text"} <= codes(form)


@pytest.mark.parametrize("content", ["<xml><data><row A0000='a'", "nonsense", ""])
def test_a_broken_table_stops_no_other(tmp_path, content):
    form = read(tmp_path, package({"A01": [LI], "A15": content}))
    assert len(form.people) == 1
    assert [i.file for i in form.issues if i.code == "file.unreadable"] == ["包.zip/Table/A15.xml"]


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 6)), max_size=4))
def test_whatever_happens_to_a_table_is_said_and_harms_nothing(tmp_path, damage):
    content = b'<?xml version="1.0" encoding="UTF-8"?><xml><data>' + "".join(f'<row A0000="{n}" A0101="李芳" A0107="198003" A1701="1998.09--2002.07  甲&#10;乙"/>' for n in range(3)).encode() + b"</data></xml>"  # fmt: skip
    for at, inserted, removed in damage:
        content = content[:at] + inserted + content[at + removed :]
    form = read(tmp_path, package({"A01": content, "A15": [{"A0000": "1", "A1521": "2024"}]}))
    if not any(issue.code == "file.unreadable" for issue in form.issues):
        assert read(tmp_path, written(form)) == form


def test_entities_are_refused(tmp_path):
    bomb = '<!DOCTYPE a [<!ENTITY b "x">]><xml><data><row A0000="a" A0101="&b;"/></data></xml>'
    form = read(tmp_path, package({"A01": bomb}))
    assert form.people == [] and any("出于安全" in i.message for i in form.issues)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gwyinfo.xml", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><root/>')
    with pytest.raises(FormatError, match="出于安全"):
        read(tmp_path, stream.getvalue())


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ([("../../evil.xml", "x")], "压缩包之外"),
        ([("Table/炸.xml", "0" * 5_000_000)], "炸弹"),
        ([("Photos/套.zip", "x")], "压缩包"),
    ],
)
def test_an_archive_that_could_hurt_is_refused_whole(tmp_path, extra, said):
    with pytest.raises(FormatError, match=said):
        read(tmp_path, package({"A01": [LI]}, extra=extra))


def test_a_table_larger_than_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(generic_zip, "LARGEST", 50)
    with pytest.raises(FormatError, match="过大"):
        read(tmp_path, package({"A01": [LI]}))


def test_an_entry_that_cannot_be_unpacked_is_told(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("gwyinfo.xml", HEADER.format(""))
        archive.writestr("Table/A01.xml", '<xml><data><row A0000="a" A0101="李芳"/></data></xml>')
        archive.writestr("Table/A15.xml", "<xml><data>BREAK</data></xml>")
        archive.writestr("Photos/a.jpg", b"HERE")
        archive.writestr("table/a01.XML", "<xml><data/></xml>")
        archive.writestr("坏\0.xml", "x")
    content = stream.getvalue().replace(b"BREAK", b"BROKE").replace(b"HERE", b"GONE")
    form = read(tmp_path, content)
    assert {"file.unreadable", "photo.unreadable", "element.repeated"} <= codes(form, "error")
    assert len(form.people) == 1


def test_a_listed_table_that_is_not_there_is_told(tmp_path):
    form = read(tmp_path, package({"B01": []}))
    assert codes(form) == {"table.missing"}


def test_a_package_is_known_by_its_header(tmp_path):
    for name, content, is_one in [
        ("a.zip", package({"A01": []}), True),
        ("b.zip", package({"A01": []}, root="导出/"), True),
        ("c.zip", package({"A01": []}, root="一/二/"), False),
        ("d.zip", b"PK nonsense", False),
    ]:
        (tmp_path / name).write_bytes(content)
        assert is_generic(tmp_path / name) is is_one, name
    assert [*read_batch(tmp_path / "a.zip")] == [], "it holds no forms"
    assert read_generic(tmp_path / "b.zip").people == []
    with pytest.raises(FormatError, match="不是通用格式"):
        read_generic(tmp_path / "c.zip")


def test_every_set_with_a_register_has_its_columns():
    for name, register in SETS.items():
        assert {column.name for column in PLACES[register]} <= set(COLUMNS[name])
