"""The form on paper: two pages whatever it has to hold, every word of it there, and type that shrinks no more than it must."""

from __future__ import annotations

import io
import re
import zlib
from datetime import date

import docx
import pytest
from docx.enum.table import WD_ROW_HEIGHT_RULE
from docx.oxml.ns import qn
from hypothesis import given
from hypothesis import strategies as st

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm, FamilyMember
from ganbu.formats.paper import form_docx, form_pdf, paper_values, pdf
from ganbu.formats.paper.page import NO_PHOTO, ROOM, dotted, lines_needed
from ganbu.formats.paper.word import SIZES, size_for
from ganbu.synthetic.files import PORTRAIT

TODAY = date(2026, 6, 30)
FAMILY = [
    FamilyMember("母亲", "王桂英", "195203", "群众", "某县某镇居民"),
    FamilyMember("女儿", "李小满", "201109", "", "某县实验小学学生"),
    FamilyMember("父亲", "李建国", "195006", "中共党员", "某县某厂工人（已去世）"),
    FamilyMember("妻子", "张敏", "197911", "中共党员", "某县卫生健康局科员"),
    FamilyMember("儿子", "李大满", "200801", "共青团员", "某县第一中学学生"),
]
FORM = AppointmentForm(
    name="李芳<&>", sex="男", birth_date="197803", ethnic_group="汉族", native_place="某省某县", birth_place="某省某市",
    party_joining="200107；民盟", work_start="199907", health="健康", professional_title="高级经济师", major="区域经济",
    full_time_education="大学", full_time_degree="管理学学士", full_time_school="某大学工商管理专业", full_time_degree_school="某大学工商管理专业",
    in_service_education="研究生", in_service_school="某省委党校公共管理专业", current_post="某县某局副局长", proposed_post="某县某局局长",
    removed_post="某县某局副局长", awards="2019.05，经某市政府批准，记三等功。", assessments="近三年年度考核均为称职", reasons="工作需要",
    reporting_unit="中共某县委组织部", filled_by="赵六", filled_date="20260601", age_date="20260601", family=FAMILY,
)  # fmt: skip
VALUES = (
    "李芳<&>", "男", "汉族", "某省某县", "某省某市", "1999.07", "健康", "高级经济师", "区域经济", "某大学工商管理专业", "研究生", "某省委党校公共管理专业",
    "某县某局副局长", "某县某局局长", "2019.05，经某市政府批准，记三等功。", "近三年年度考核均为称职", "工作需要", "中共某县委组织部", "赵六", "2026.06.01",
    "王桂英", "李小满", "李建国", "张敏", "李大满", "某县卫生健康局科员",
)  # fmt: skip


def resume(lines: int) -> str:
    return "\n".join(f"{1960 + n % 60}.07--{1961 + n % 60}.07  某县某局第{n}科科员" for n in range(lines))


def form(**changes: object) -> AppointmentForm:
    return AppointmentForm(**{**{f: getattr(FORM, f) for f in FORM.__dataclass_fields__}, **changes})


# A font with its size, or a string, or one in hexadecimal digits.
_PIECE = re.compile(rb"/(f\d+) ([\d.]+) Tf|\(((?:\\.|[^\\()])*)\)|<([0-9A-Fa-f]+)>", re.S)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.S)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    plain = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    return bytes([int(escape[1], 8)]) if len(escape[1]) == 3 else plain.get(escape[1], escape[1])


def printed(content: bytes) -> list[list[tuple[float, str]]]:
    """The pages of a pdf of typst: of each the pieces of text in their order, with the size of their type."""
    objects = {int(n): body for n, body in re.findall(rb"(?:^|\n)(\d+) 0 obj\n(.*?)\nendobj", content, re.S)}

    def stream(number: int) -> bytes:
        return zlib.decompress(objects[number].partition(b"stream\n")[2].rpartition(b"\nendstream")[0])

    def letters(font: int) -> dict[int, str]:
        told = stream(int(re.search(rb"/ToUnicode (\d+)", objects[font])[1]))
        pairs = re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]+)>", told.partition(b"beginbfchar")[2])
        return {int(a, 16): bytes.fromhex(b.decode()).decode("utf-16-be") for a, b in pairs}

    pages = []
    for body in objects.values():
        if not re.search(rb"/Type\s*/Page\b", body):
            continue
        resources = objects[int(re.search(rb"/Resources (\d+)", body)[1])]
        fonts = {name: letters(int(n)) for name, n in re.findall(rb"/(f\d+) (\d+) 0 R", resources)}
        pieces: list[tuple[float, str]] = []
        known, size = {}, 0.0
        for name, points, text, digits in _PIECE.findall(
            stream(int(re.search(rb"/Contents (\d+)", body)[1]))
        ):
            if name:
                known, size = fonts[name], float(points)
            else:
                raw = bytes.fromhex(digits.decode()) if digits else _ESCAPE.sub(_unescaped, text)
                pieces.append((size, "".join(known[int.from_bytes(raw[at : at + 2], "big")] for at in range(0, len(raw), 2))))  # fmt: skip
        pages.append(pieces)
    return pages


def text_of(pages: list[list[tuple[float, str]]]) -> str:
    return "".join(text for page in pages for _, text in page)


def size_of(pages: list[list[tuple[float, str]]], text: str) -> set[float]:
    """The sizes in which the letters of a text stand on the first page; it must have letters that nothing else has."""
    return {size for size, piece in pages[0] if piece and set(piece) <= set(text)}


@pytest.mark.parametrize(
    "told",
    [
        AppointmentForm(),
        FORM,
        form(resume=resume(60), awards="奖" * 552, assessments="称" * 414, reasons="因" * 552, current_post="职" * 324),
        form(resume=resume(200), family=FAMILY * 5, name="阿卜杜拉·阿卜杜热合曼·买买提明", reporting_unit="部" * 252),
    ],
    ids=["empty", "usual", "full", "more than it can hold"],
)  # fmt: skip
def test_the_pdf_is_two_pages_of_a4(told):
    content = form_pdf(told, TODAY)
    assert len(printed(content)) == 2
    assert set(re.findall(rb"/MediaBox\[0 0 (\d+)\.\d+ (\d+)\.\d+\]", content)) == {(b"595", b"841")}


def test_every_value_stands_on_the_pdf():
    front, back = printed(form_pdf(FORM, TODAY))
    told = text_of([front, back])
    assert [value for value in VALUES if value not in told] == []
    assert text_of([front]).startswith("干部任免审批表") and "1978.03（48岁）" in told
    assert "简历" in text_of([front]) and "家庭主要成员及重要社会关系" in text_of([back])


def test_every_line_of_a_long_resume_is_printed_and_its_type_shrinks_with_their_number():
    sizes = []
    for lines in (3, 15, 30, 45, 60):
        pages = printed(form_pdf(form(resume=resume(lines)), TODAY))
        told = text_of(pages[:1])
        assert all(f"某县某局第{n}科科员" in told for n in range(lines))
        (size,) = size_of(pages, "某县局第科员0123456789")
        sizes.append(size)
    assert sizes[0] == 12 and sizes == sorted(sizes, reverse=True) and 12 > sizes[2] > sizes[4] >= 5


@given(name=st.sampled_from(sorted(ROOM)), lines=st.lists(st.text("甲乙a1 ", max_size=90), max_size=60))
def test_the_type_of_the_docx_is_the_largest_at_which_a_text_fits(name, lines):
    text, (per_line, room) = "\n".join(lines), ROOM[name]
    size = size_for(name, text)

    def fits(points: float) -> bool:
        return lines_needed(text, int(per_line * 12 / points)) <= int(room * 12 / points)

    assert fits(size) or size == SIZES[-1]
    assert not any(fits(larger) for larger in SIZES if larger > size)
    assert size_for(name, f"{text}\n甲") <= size


def test_the_docx_opens_and_has_every_value_in_a_box():
    book = docx.Document(io.BytesIO(form_docx(form(resume=resume(40)), today=TODAY)))
    front, back = book.tables
    boxes = [cell.text for table in (front, back) for row in table.rows for cell in row.cells]
    paragraphs = [paragraph.text for paragraph in book.paragraphs]
    assert paragraphs[0] == "干部任免审批表" and "填表人：赵六    2026.06.01" in paragraphs
    assert [v for v in VALUES if v not in "\n".join(boxes) + paragraphs[-1]] == []
    assert "1978.03\n（48岁）" in boxes and "大学\n管理学学士" in boxes and "2001.07；民盟" in boxes
    assert not any("{" in box for box in boxes)
    story = front.cell(9, 1)
    assert story.text == resume(40)
    sizes = {run.font.size.pt for paragraph in story.paragraphs for run in paragraph.runs if run.text}
    assert sizes == {size_for("resume", resume(40))} and max(sizes) < 12


def test_the_boxes_of_the_docx_fill_two_pages_and_no_more():
    book = docx.Document(io.BytesIO(form_docx(FORM, today=TODAY)))
    section = book.sections[0]
    room = section.page_height - section.top_margin - section.bottom_margin
    assert (round(section.page_width.mm), round(section.page_height.mm)) == (210, 297)
    for table in book.tables:
        assert {row.height_rule for row in table.rows} == {WD_ROW_HEIGHT_RULE.EXACTLY}
        assert 0.8 * room < sum(row.height for row in table.rows) < room
    breaks = [b.get(qn("w:type")) for b in book.element.body.iter(qn("w:br")) if b.get(qn("w:type"))]
    assert breaks == ["page"]


@pytest.mark.parametrize(
    "photo",
    [b"\xff\xd8\xff\xe0" + bytes(range(256)) + b"\xff\xd9", PORTRAIT[:40], b"\x89PNG\r\n\x1a\n", b"BM" + b"\xff" * 60],
    ids=["no jpeg", "cut short", "no png", "no bmp"],
)  # fmt: skip
def test_a_damaged_photo_is_no_reason_to_print_nothing(photo):
    whole = form(photo=PORTRAIT)
    assert b"/Subtype/Image" in form_pdf(whole, TODAY)
    assert len(docx.Document(io.BytesIO(form_docx(whole, today=TODAY))).inline_shapes) == 1
    told = form(photo=photo)
    pages = printed(form_pdf(told, TODAY))
    assert len(pages) == 2 and NO_PHOTO in text_of(pages[:1]) and "李芳<&>" in text_of(pages)
    book = docx.Document(io.BytesIO(form_docx(told, today=TODAY)))
    assert len(book.inline_shapes) == 0 and NO_PHOTO in book.tables[0].cell(0, 6).text


def test_without_a_chinese_font_it_says_so_and_what_else_can_be_done(monkeypatch):
    monkeypatch.setattr(pdf, "chinese_fonts", tuple)
    with pytest.raises(FormatError, match=r"fonts-noto-cjk.*docx"):
        form_pdf(FORM)


def test_the_family_stands_in_its_order_with_ages_and_none_for_the_dead():
    family = paper_values(FORM, TODAY)["family"]
    told = [(m["relation"], m["age"]) for m in family]
    assert told == [("妻子", "46"), ("儿子", "18"), ("女儿", "14"), ("父亲", ""), ("母亲", "74"), ("", ""), ("", "")]  # fmt: skip
    assert len(paper_values(form(family=FAMILY * 2), TODAY)["family"]) == 10


def test_the_same_school_of_study_and_degree_is_said_once():
    values = paper_values(FORM, TODAY)
    assert values["full_time_school"] == "某大学工商管理专业"
    other = paper_values(form(full_time_degree_school="某学院"), TODAY)
    assert other["full_time_school"] == "某大学工商管理专业\n某学院"


def test_ages_are_counted_at_the_day_of_the_form_and_else_today():
    assert paper_values(FORM, date(2030, 1, 1))["birth"] == "1978.03\n（48岁）"
    assert paper_values(form(age_date="", filled_date=""), date(2030, 1, 1))["birth"] == "1978.03\n（51岁）"
    assert paper_values(form(birth_date=""), TODAY)["birth"] == ""


@pytest.mark.parametrize(
    ("text", "short", "full"),
    [
        ("197803", "1978.03", "1978.03"),
        ("19780315", "1978.03", "1978.03.15"),
        ("1978", "1978", "1978"),
        ("一九七八年", "一九七八年", "一九七八年"),
        ("", "", ""),
    ],
)
def test_dates_are_printed_as_the_office_writes_them(text, short, full):
    assert (dotted(text), dotted(text, full=True)) == (short, full)
