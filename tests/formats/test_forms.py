"""任免审批表 files; the numbers are those of the exchange-format test vectors."""

import base64
import contextlib
import time
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.errors import FormatError
from ganbu.formats.form import (
    AppointmentForm,
    FamilyMember,
    age_at_form_date,
    family_age_at_form_date,
    in_printing_order,
)
from ganbu.formats.grammars import read_assessments, read_awards, read_party_joining
from ganbu.formats.lrm import lrm_losses, read_lrm, write_lrm
from ganbu.formats.lrm_repair import regroup_fields, rejoin_units
from ganbu.formats.lrmx import read_lrmx, write_lrmx

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3 + b"\xff\xd9"


def form(**changes):
    values = {"name": "李芳", "sex": "女", "birth_date": "198003", "ethnic_group": "汉族", "party_joining": "200108", "work_start": "200207", "resume": "2002.07--         某县司法局科员",
              "family": [FamilyMember("丈夫", "王强", "197901", "中共党员", "某公司")], "id_number": "11010119800302002X"}  # fmt: skip
    return AppointmentForm(**{**values, **changes})


def xml(inner, head='<?xml version="1.0" encoding="utf-8"?>'):
    return f"{head}\r\n<Person>\r\n{inner}\r\n</Person>\r\n"


def test_01_byte_order_mark_and_crlf():
    assert read_lrmx(b"\xef\xbb\xbf" + write_lrmx(form()), "a.lrmx") == form()


def test_02_utf_16_little_endian():
    content = write_lrmx(form()).decode().replace("utf-8", "utf-16").encode("utf-16-le")
    assert read_lrmx(b"\xff\xfe" + content, "a.lrmx") == form()


def test_03_no_declaration_and_gbk_bytes():
    content = write_lrmx(form()).decode().split("\r\n", 1)[1].encode("gbk")
    assert read_lrmx(content, "a.lrmx") == form()


def test_04_pretty_printed_empties():
    found = read_lrmx(
        xml("  <XingMing>李芳</XingMing>\r\n  <JiGuan>\r\n  </JiGuan>\r\n  <NiRenZhiWu/>").encode(), "a.lrmx"
    )
    assert (found.name, found.native_place, found.proposed_post) == ("李芳", "", "")


def test_05_an_unknown_element_is_kept():
    content = write_lrmx(form()).replace(
        b"<ZhaoPian>", b'<XinZeng a="1">\xe4\xb8\x80<b/></XinZeng>\r\n  <ZhaoPian>'
    )
    found = read_lrmx(content, "a.lrmx")
    assert found.unknown == ('<XinZeng a="1">一<b/></XinZeng>',) and write_lrmx(found) == content


def test_06_two_family_lists():
    item = "<Item><ChengWei>{}</ChengWei><XingMing>{}</XingMing></Item>"
    inner = f"<XingMing>李芳</XingMing><JiaTingChengYuan>{item.format('父亲', '李一')}</JiaTingChengYuan><JiaTingChengYuan>{item.format('母亲', '张二')}</JiaTingChengYuan>"
    assert [m.name for m in read_lrmx(xml(inner).encode(), "a.lrmx").family] == ["李一", "张二"]


def test_07_padding_items_are_dropped():
    item = "<Item><ChengWei></ChengWei><XingMing></XingMing></Item>"
    assert (
        read_lrmx(
            xml(f"<XingMing>李芳</XingMing><JiaTingChengYuan>{item * 3}</JiaTingChengYuan>").encode(),
            "a.lrmx",
        ).family
        == []
    )


def test_08_photo_in_76_column_lines():
    lines = base64.encodebytes(JPEG).decode()
    assert (
        read_lrmx(xml(f"<XingMing>李芳</XingMing><ZhaoPian>{lines}</ZhaoPian>").encode(), "a.lrmx").photo
        == JPEG
    )


def test_09_a_photo_with_a_tail_of_zeros():
    found = read_lrmx(
        xml(
            f"<XingMing>李芳</XingMing><ZhaoPian>{base64.b64encode(JPEG + bytes(500)).decode()}</ZhaoPian>"
        ).encode(),
        "a.lrmx",
    )
    assert found.photo == JPEG and [issue.code for issue in found.issues] == ["photo.zero_tail"]


def test_10_twice_escaped_ampersands():
    found = read_lrmx(
        xml("<XingMing>李芳</XingMing><RenMianLiYou>甲&amp;lt;乙&amp;amp;丙&1amp;丁</RenMianLiYou>").encode(),
        "a.lrmx",
    )
    assert found.reasons == "甲<乙&丙&丁" and "text.repaired" in [issue.code for issue in found.issues]


def test_18_month_13_is_reported_not_guessed():
    found = read_lrmx(write_lrmx(form(birth_date="198013")), "a.lrmx")
    assert [issue.code for issue in found.issues] == ["date.month_out_of_range"]
    assert found.birth_date == "198013" and found.issues[0].severity == "error"


def test_19_age_on_the_boundary_month():
    at = form(birth_date="198003", age_date="20250301")
    assert age_at_form_date(at, date(2025, 12, 1)) == 45
    assert age_at_form_date(form(birth_date="198004", age_date="20250301"), date(2025, 12, 1)) == 44


@pytest.mark.parametrize("word", ["去世", "逝世", "已故", "死亡", "病故"])
def test_20_a_dead_relative_has_no_age(word):
    living = FamilyMember("父亲", "李一", "195001", "中共党员", "某局原科员")
    dead = replace(living, work=f"某局原科员（{word}）")
    at, today = form(age_date="20250301"), date(2025, 12, 1)
    assert family_age_at_form_date(at, living, today) == 75
    assert family_age_at_form_date(at, dead, today) is None


def test_20_a_dead_relative_stays_in_the_list():
    dead = FamilyMember("父亲", "李一", "195001", "中共党员", "某局原科员（已故）")
    assert read_lrmx(write_lrmx(form(family=[dead])), "a.lrmx").family == [dead]
    ordered = in_printing_order([dead, FamilyMember("女", "王小"), FamilyMember("丈夫", "王强")])
    assert [m.relation for m in ordered] == ["丈夫", "女", "父亲"]


def test_21_party_month_and_another_party():
    found = read_party_joining("200108；民建")
    assert (found.ccp, found.parties) == (PartialDate(2001, 8), ("民建",))


@pytest.mark.parametrize("slots", [7, 13])
def test_22_lrm_with_7_and_13_slots(slots):
    parts = write_lrm(form())[0].decode("gb18030").split('","')
    for at in range(20, 25):
        values = parts[at].split("@")
        parts[at] = "@".join([*values, *[""] * (slots - len(values))])
    text = '","'.join(parts).encode("gb18030")
    assert read_lrm(text, "a.lrm") == replace(form(), id_number="")
    assert [issue.field for issue in lrm_losses(form(), "a.lrm")] == ["身份证号"]


def shifted(works, slots=7):
    """An `.lrm` whose writer replaced every comma of the units by `@`, as one real writer does."""
    people = [FamilyMember("其他", f"亲属{at}", "195001", "群众", work) for at, work in enumerate(works)]
    text = write_lrm(form(family=people))[0].decode("gb18030")
    parts = text.split('","')
    parts[24] = parts[24].replace("，", "@")
    return '","'.join(parts).encode("gb18030")


@pytest.mark.parametrize(
    "works",
    [
        ["某公司，副经理", "退休"],
        ["某县司法局局长，党组书记", "某县一中教师", "某镇居民"],
        ["退休", "某局副局长，一级调研员", "某医院医生"],
        ["", "某局局长，党组副书记，机关党委书记", ""],
        ["某厂，总经理"],
        ["某局局长，党组书记"] * 7,
    ],
)
def test_23_a_comma_in_a_relatives_unit_shifts_no_column(works):
    found = read_lrm(shifted(works), "a.lrm")
    assert [member.work for member in found.family] == [work.replace("，", ",") for work in works]
    assert "family.units_rejoined" in [issue.code for issue in found.issues]


@pytest.mark.parametrize(
    "works",
    [
        ["某县委，县政府", "某校教师"],
        ["某县委", "县政府，某校教师"],
        ["某公司，", "退休", "某局，某处"],
        ["某局，某处，某科", "某厂", "某校"],
    ],
)
def test_23_where_it_cannot_be_known_no_relative_gets_anothers_unit(works):
    found = read_lrm(shifted(works), "a.lrm")
    assert [member.name for member in found.family] == [f"亲属{at}" for at in range(len(works))]
    told = [work.replace("，", ",").strip(",") for work in works]
    assert all(member.work in ("", work) for member, work in zip(found.family, told, strict=True))
    (issue,) = [issue for issue in found.issues if issue.code == "family.units_unsure"]
    # Nothing is lost: the error shows the list as it stood.
    assert issue.severity == "error" and all(piece in issue.raw for piece in "，".join(works).split("，"))


def test_a_family_list_longer_than_any_form_is_given_up_at_once():
    parts = write_lrm(form())[0].decode("gb18030").split('","')
    for at in range(20, 24):
        parts[at] = "@".join(["某"] * 200)
    parts[24] = "@".join(["某局"] * 400)
    start = time.process_time()
    found = read_lrm('","'.join(parts).encode("gb18030"), "a.lrm")
    assert time.process_time() - start < 1 and found.family == []
    (issue,) = [issue for issue in found.issues if issue.code == "family.too_long"]
    assert issue.severity == "error" and "核对" in issue.message


@pytest.mark.parametrize("people", [1, 7, 30, 60])
def test_rejoining_is_quick_however_many_slots_are_allowed(people):
    start = time.process_time()
    rejoin_units(["某局"] * 60, people, people)
    regroup_fields(["x" * 1000] * (33 + 40))
    assert time.process_time() - start < 2


def test_24_canonical_files_come_back_byte_for_byte_and_damaged_ones_by_value():
    content = write_lrmx(form(photo=JPEG))
    assert write_lrmx(read_lrmx(content, "a.lrmx")) == content
    damaged = content.replace(b"\r\n", b"\n").replace(b"  <", b"\t\t<")
    assert read_lrmx(damaged, "a.lrmx") == form(photo=JPEG)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'<?xml version="1.0"?><!DOCTYPE Person [<!ENTITY x SYSTEM "file:///etc/passwd">]><Person><XingMing>&x;</XingMing></Person>',
            "实体",
        ),
        (b"<Person><XingMing>", "XML|读"),
        (b"<Other/>", "Person"),
        (b"", "坏"),
        (b"\x00\x01\x02", "坏"),
    ],
)
def test_a_broken_file_gives_one_clear_error(content, said):
    with pytest.raises(FormatError, match=said) as caught:
        read_lrmx(content, "坏.lrmx")
    assert "坏.lrmx" in str(caught.value)


def test_a_file_too_large_is_refused():
    with pytest.raises(FormatError, match="上限"):
        read_lrmx(b"x" * 100, "a.lrmx", max_bytes=10)
    with pytest.raises(FormatError, match="上限"):
        read_lrm(b"x" * 100, "a.lrm", max_bytes=10)


@pytest.mark.parametrize("content", [b"", b"hello", b'"a","b"'])
def test_what_is_not_lrm_is_refused(content):
    with pytest.raises(FormatError):
        read_lrm(content, "a.lrm")


def test_a_quote_in_the_resume_is_put_back():
    text, _ = write_lrm(form())
    broken = text.decode("gb18030").replace("司法局科员", '司法局","科员').encode("gb18030")
    found = read_lrm(broken, "a.lrm")
    assert '司法局","科员' in found.resume and found.issues[0].code == "lrm.fields_rejoined"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_never_do_anything_else_than_format_error(content):
    for read in (read_lrmx, read_lrm):
        with contextlib.suppress(FormatError):
            read(content, "x")


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=6))
def test_damaged_files_never_do_anything_else_than_format_error(at, noise):
    content = write_lrmx(form())
    at %= len(content)
    for damaged in (content[:at] + noise + content[at:], content[:at], content[:at] + content[at + 5 :]):
        with contextlib.suppress(FormatError):
            read_lrmx(damaged, "x.lrmx")


plain = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=12)


@settings(max_examples=60, deadline=None)
@given(plain, plain, plain)
def test_any_text_survives_both_formats(name, place, reason):
    one = AppointmentForm(name=name, native_place=place, reasons=reason)
    assert read_lrmx(write_lrmx(one), "x") == one
    assert read_lrm(write_lrm(one)[0], "x") == one


def test_small_grammars():
    found, _ = read_assessments("2021—2023年称职；2024年优秀")
    assert [(a.year, a.grade) for a in found] == [
        (2021, "称职"),
        (2022, "称职"),
        (2023, "称职"),
        (2024, "优秀"),
    ]
    assert read_awards("无") == ((), ()) and read_party_joining("群众").none
