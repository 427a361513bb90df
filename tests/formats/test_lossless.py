"""What no field of the form is for survives reading and writing, or is named in an issue."""

import base64

import pytest

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm, FamilyMember
from ganbu.formats.lrm import lrm_losses, read_lrm, write_lrm
from ganbu.formats.lrmx import read_lrmx, write_lrmx
from ganbu.formats.text import decode

FORM = AppointmentForm(
    name="李芳",
    sex="女",
    birth_date="198003",
    family=[FamilyMember("丈夫", "王强", "197901", "群众", "某公司")],
)
BASE = write_lrmx(FORM).decode()


def changed(*changes):
    text = BASE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text.encode()


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("<Person>", '<Person v="2">', b'<Person v="2">'),
        ("<Person>", '<Person xmlns:xsi="urn:x" xsi:a="&lt;">', b'<Person xmlns:xsi="urn:x" xsi:a="&lt;">'),
        ("<XingBie>", '<XingBie code="2">', '<XingBie code="2">女'.encode()),
        ("<JiaTingChengYuan>", '<JiaTingChengYuan n="1">', b'<JiaTingChengYuan n="1">'),
        ("<Item>", '<Item id="1&#10;2">', b'<Item id="1&#10;2">'),
        ("<ChengWei>", '<ChengWei code="11">', '<ChengWei code="11">丈夫'.encode()),
        ("<ZhaoPian>", '<ZhaoPian type="jpg">', b'<ZhaoPian type="jpg">'),
        ("<Item>", "<Item><DianHua a='1'>138</DianHua>", b'<DianHua a="1">138</DianHua>'),
        ("</Item>", "</Item><Extra><a/></Extra>", b"<Extra><a/></Extra>"),
        ("</Item>", "<!-- 注 --></Item>", "<!-- 注 -->".encode()),
        ("</Item>", "</Item><!-- 注 -->", "<!-- 注 -->".encode()),
        ("<XingBie>", "<!-- 注 --><XingBie>", "<!-- 注 -->".encode()),
        ("<Person>", "<!-- 注 --><Person>", "<!-- 注 -->".encode()),
        ("</Person>", "</Person><!-- 注 -->", "<!-- 注 -->".encode()),
        ("<ZhaoPian>", "<A/><!-- 注 --><ZhaoPian>", b"<A/>\r\n"),
    ],
)
def test_what_the_form_has_no_field_for_is_written_back(old, new, kept):
    found = read_lrmx(changed((old, new)), "a.lrmx")
    written = write_lrmx(found)
    assert (
        kept in written and [issue.severity for issue in found.issues] == ["note"] * len(found.issues) != []
    )
    again = read_lrmx(written, "a.lrmx")
    assert again == found and write_lrmx(again) == written


def test_padding_rows_stay_out_but_a_row_with_only_a_foreign_value_stays_in():
    padding = "</Item><Item><ChengWei/><Extra/></Item><Item><DianHua>138</DianHua></Item>"
    found = read_lrmx(changed(("</Item>", padding)), "a.lrmx")
    assert [member.foreign for member in found.family] == [(), ("<DianHua>138</DianHua>",)]


def test_a_comment_inside_a_value_is_reported_and_the_value_is_whole():
    found = read_lrmx(changed(("李芳", "李<!--x-->芳")), "a.lrmx")
    assert found.name == "李芳" and [(i.code, i.raw) for i in found.issues] == [
        ("element.nested", "<!--x-->")
    ]


def test_an_attribute_that_differs_the_second_time_is_reported():
    twice = '<MinZu a="1">汉族</MinZu><MinZu a="2">汉族</MinZu>'
    found = read_lrmx(changed(("<MinZu></MinZu>", twice)), "a.lrmx")
    assert found.attributes == {"MinZu": ' a="1"'}
    assert [i.severity for i in found.issues if i.code == "element.attributes"] == ["note", "warning"]


@pytest.mark.parametrize("name", ["㐀名", "𠀀", "名𠀀", "ａ"])
def test_a_foreign_element_may_have_any_name_xml_allows(name):
    content = changed(("<ZhaoPian>", f'<{name} a="1">值</{name}><ZhaoPian>'))
    try:
        found = read_lrmx(content, "a.lrmx")
    except FormatError as error:
        assert "a.lrmx" in str(error)
    else:
        assert found.unknown == (f'<{name} a="1">值</{name}>',)


@pytest.mark.parametrize(
    "head",
    [
        '<?xml version="1.0" encoding="utf-8"?',
        '?xml version="1.0"?>',
        '<?xml version="1.0" encoding="utf-8">',
        '<? xml version="1.0"?>',
        '<?xml version="1.0"?><?xml version="1.0"?>',
        '<?XML version="1.0"?>',
        "乱码",
    ],
)
def test_a_damaged_first_line_does_not_cost_the_form(head):
    content = changed(
        ('<?xml version="1.0" encoding="utf-8"?>', head), ("<ZhaoPian>", "<XinZeng>1</XinZeng><ZhaoPian>")
    )
    found = read_lrmx(content, "a.lrmx")
    assert found.name == "李芳" and found.unknown == ("<XinZeng>1</XinZeng>",)


def test_what_cannot_be_parsed_is_told_in_chinese_with_its_line():
    with pytest.raises(FormatError, match=r"a.lrmx.*第 \d+ 行") as caught:
        read_lrmx(changed(("</XingMing>", "")).replace(b"</Person>", b""), "a.lrmx")
    assert not any(word in str(caught.value) for word in ("tag", "line", "expected"))


# -- encodings -------------------------------------------------------------------------------------------------


def test_utf_8_that_declares_gbk_is_read_as_utf_8():
    found = read_lrmx(changed(('"utf-8"', '"gbk"')), "a.lrmx")
    assert found == FORM and [issue.code for issue in found.issues] == ["encoding.misdeclared"]


def test_gbk_that_declares_gbk_or_utf_8_is_read_as_gbk():
    for declared in ("gbk", "gb2312", "utf-8"):
        content = BASE.replace("utf-8", declared, 1).encode("gb18030")
        assert read_lrmx(content, "a.lrmx") == FORM


def test_short_gbk_text_that_happens_to_be_utf_8_is_still_gbk():
    assert decode("联通".encode("gbk"))[:2] == ("联通", "gb18030")


# -- photos ----------------------------------------------------------------------------------------------------


def segment(marker, body):
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


PREVIEW = b"\xff\xd8\xff\xd9"
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
JPEG = b"\xff\xd8" + segment(0xE0, b"JFIF\0") + segment(0xE1, b"Exif" + PREVIEW) + SCAN + SCAN + b"\xff\xd9"


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b"", None),
        (bytes(500), "photo.zero_tail"),
        (bytes(500) + b"\r\n", "photo.zero_tail"),
        (b"\r\n", "photo.zero_tail"),
        (b"rubbish \xff\xd9", "photo.tail"),
        (bytes(9) + JPEG, "photo.tail"),
    ],
)
def test_a_jpeg_ends_at_its_own_end_mark(tail, code):
    photo = base64.b64encode(JPEG + tail).decode()
    found = read_lrmx(changed(("<ZhaoPian>", f"<ZhaoPian>{photo}")), "a.lrmx")
    assert found.photo == JPEG and [issue.code for issue in found.issues] == ([code] if code else [])


def test_a_jpeg_cut_short_is_kept_as_it_is():
    for photo in (JPEG[:-2], JPEG[:20], b"\xff\xd8\xff"):
        assert read_lrm(write_lrm(FORM)[0], "a.lrm", photo).photo == photo


# -- lrm -------------------------------------------------------------------------------------------------------


def test_what_lrm_cannot_hold_is_told_before_it_is_written():
    rich = changed(
        ("<Person>", '<Person v="2"><!-- 注 -->'), ("<Item>", '<Item id="1"><DianHua>138</DianHua>')
    )
    form = read_lrmx(rich, "a.lrmx")
    form.party_joining = "（民建）"
    told = [issue.raw for issue in lrm_losses(form, "a.lrm")]
    for lost in ("<!-- 注 -->", "<DianHua>138</DianHua>", 'Person v="2"', 'Item id="1"', "（民建）"):
        assert lost in told
    assert read_lrm(write_lrm(form)[0], "a.lrm").party_joining == "民建"
