"""A department's own layout of the form: filled in like ours, and a mistake in it is told with its tag."""

from __future__ import annotations

import io

import docx
import pytest

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm, FamilyMember
from ganbu.formats.paper import form_docx, form_template
from ganbu.formats.paper.page import ROOM, paper_values
from ganbu.formats.paper.template import NAMES, check_template
from ganbu.synthetic.files import PORTRAIT

FORM = AppointmentForm(
    name="甲{{一}}<&>", sex="女", birth_date="198103", filled_date="20260630", resume="2002.07--2008.03  某县某局科员\n2008.03--         某局副局长",
    family=[FamilyMember("丈夫", "乙", "198002", "群众", "某厂工人")], photo=PORTRAIT,
)  # fmt: skip


@pytest.fixture
def layout(tmp_path):
    """A template of some paragraphs; a paragraph given as a list has one run per piece."""

    def made(*paragraphs, header=""):
        book = docx.Document()
        for paragraph in paragraphs:
            place = book.add_paragraph()
            for piece in [paragraph] if isinstance(paragraph, str) else paragraph:
                place.add_run(piece)
        if header:
            book.sections[0].header.paragraphs[0].text = header
        book.save(tmp_path / "form.docx")
        return tmp_path / "form.docx"

    return made


def told(content):
    return "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(content)).paragraphs)


def test_the_shipped_template_passes_its_own_check_and_uses_known_names_only():
    check_template(form_template(), "form.docx")


def test_an_edited_copy_of_the_shipped_template_is_filled(tmp_path):
    book = docx.Document(io.BytesIO(form_template()))
    book.paragraphs[0].runs[0].text = "某县干部任免审批表"
    book.save(tmp_path / "form.docx")
    content = form_docx(FORM, tmp_path / "form.docx")
    assert "某县干部任免审批表" in told(content)
    cells = [cell.text for table in docx.Document(io.BytesIO(content)).tables for row in table.rows for cell in row.cells]  # fmt: skip
    assert {FORM.name, "某厂工人"} <= set(cells) and not any("{%" in cell for cell in cells)


def test_every_name_can_be_used(layout):
    plain = [f"{{{{ {name} }}}}" for name in sorted(NAMES - ROOM.keys() - {"family"})]
    runs = [f"{{{{r {name} }}}}" for name in ROOM]
    family = ["{%p for m in family %}", "{{ m.relation }}{{ m.name }}{{ m.age }}{{ m.political_status }}{{ m.work }}", "{%p endfor %}"]  # fmt: skip
    text = told(form_docx(FORM, layout(*plain, *runs, *family)))
    assert "1981.03\n（45岁）" in text and "2026.06.30" in text and "某局副局长" in text
    assert "丈夫乙46群众某厂工人" in text


def test_a_tag_in_several_runs_in_a_header_and_with_conditions(layout):
    path = layout(["{", "{ na", "me }}：", "{% if sex == “女” %}女同志{% endif %}"], header="{{ reporting_unit or name }}")  # fmt: skip
    content = form_docx(FORM, path)
    assert told(content) == f"{FORM.name}：女同志"
    assert docx.Document(io.BytesIO(content)).sections[0].header.paragraphs[0].text == FORM.name


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("姓名：{{ nmae }}", "“{{ nmae }}”里没有“nmae”这个名称。是否想写：name"),
        ("{{ 姓名 }}", "“{{ 姓名 }}”里没有“姓名”这个名称。可用的名称见文档"),
        ("姓名：{{ name }", "“姓名：{{ name }”的花括号不成对"),
        ("｛｛ name ｝｝", "不是半角"),
        ("{{ name + }}", "“{{ name + }}”写得不对"),
        ("{{ resume }}", "“{{ resume }}”应写作 {{r resume }}"),
        ("{{r name }}", "“{{r name }}”应写作 {{ name }}"),
        ("{%p for m in family %}{{ m.name }}", "“{%p for m in family %}”后面没有 endfor"),
        ("{% endif %}", "“{% endif %}”前面没有与它成对的 if"),
        ("{% for m in family %}{% endif %}", "“{% endif %}”前面没有与它成对的 if"),
        ("{% fro m in family %}", "“{% fro m in family %}”写得不对"),
        ("{% for m in family %}{{ m.agee }}{% endfor %}", "“{{ m.agee }}”里没有“agee”这个名称。是否想写：age"),
        ("{{ name / 0 }}", "模板有误"),
        ("{{ ''.__class__ }}", "没有“__class__”"),
        ("{{ name.__class__ }}", "没有“__class__”"),
        ("{{ ''|attr('__class__')|attr('__mro__') }}", "模板有误"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_tag(layout, written, said):
    path = layout("干部任免审批表", written)
    with pytest.raises(FormatError, match=r"^form\.docx：") as error:
        form_docx(FORM, path)
    assert said in str(error.value)


def test_a_mistake_in_a_header_is_told_too(layout):
    with pytest.raises(FormatError, match="nmae"):
        form_docx(FORM, layout("x", header="{{ nmae }}"))


@pytest.mark.parametrize("content", [b"", b"no docx", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_docx_is_told(tmp_path, content):
    (tmp_path / "form.docx").write_bytes(content)
    with pytest.raises(FormatError, match="不是 docx 文件"):
        form_docx(FORM, tmp_path / "form.docx")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="folder：模板无法读取"):
        form_docx(FORM, tmp_path / "folder")


def test_the_parts_of_a_member_are_those_of_the_page():
    assert set(paper_values(FORM)["family"][0]) == {"relation", "name", "age", "political_status", "work"}
