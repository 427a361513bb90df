"""The form as docx (任免审批表 docx): a template with names in double braces, filled by docxtpl.

`form_template` makes the shipped template; a department may change it in any word processor and put it where
`form_docx` is told; `template.py` checks it. Names are those of `paper_values`.
"""

from __future__ import annotations

import io
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import docx
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_ROW_HEIGHT_RULE
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.image.image import Image
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from docxtpl import InlineImage, RichText

from ganbu.errors import FormatError
from ganbu.formats.form import AppointmentForm
from ganbu.formats.paper.page import NO_PHOTO, ROOM, lines_needed, paper_values
from ganbu.formats.paper.template import Template, environment, own_template

FONT = "仿宋_GB2312"
GRID = "Table Grid"
SIZES = (12.0, 11.0, 10.5, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0)


def size_for(name: str, text: str) -> float:
    """The largest type, in points, at which a text fits its box."""
    per_line, lines = ROOM[name]
    for size in SIZES:
        scale = 12 / size
        if lines_needed(text, int(per_line * scale)) <= int(lines * scale):
            return size
    return SIZES[-1]


def form_docx(form: AppointmentForm, template: Path | None = None, today: date | None = None) -> bytes:
    """Fill the shipped template, or an edited one. Raises FormatError that names the tag in which it has a mistake."""
    filled = Template(io.BytesIO(form_template() if template is None else own_template(template)))
    values = paper_values(form, today)
    for name in ROOM:
        values[name] = RichText(values[name], size=int(size_for(name, values[name]) * 2), font=FONT)
    values["photo"] = ""
    if form.photo:
        drawn = InlineImage(filled, io.BytesIO(form.photo), width=Mm(28))
        values["photo"] = drawn if _drawable(form.photo) else NO_PHOTO
    try:
        filled.render(values, environment())
    except Exception as error:
        if template is None:
            raise
        # What an expression of a stranger's template makes the library raise cannot be listed.
        raise FormatError(f"{template.name}：模板有误：{error}") from error
    stream = io.BytesIO()
    filled.save(stream)
    return stream.getvalue()


def _drawable(photo: bytes) -> bool:
    """Whether the library finds its way through a picture; what a damaged one makes it raise cannot be listed."""
    try:
        found = Image.from_blob(photo)
    except Exception:
        return False
    return all(0 < side <= 20_000 for side in (found.px_width, found.px_height))


@cache
def form_template() -> bytes:
    """The shipped template as a docx file."""
    made = docx.Document()
    _lightened(made)
    style = made.styles["Normal"]
    style.font.name, style.font.size = FONT, Pt(12)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), FONT)
    style.paragraph_format.space_after = Pt(0)
    section = made.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = Mm(20)
    section.top_margin, section.bottom_margin = Mm(18), Mm(14)
    title = made.paragraphs[0] if made.paragraphs else made.add_paragraph()
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = title.add_run("干部任免审批表")
    run.bold, run.font.size = True, Pt(20)
    _front(made)
    made.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    _back(made)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def _lightened(made: Any) -> None:
    """Without what the library's own document brings along and no form needs: hundreds of styles, a picture of itself."""
    for rels in (made.part.package.rels, made.part.rels):
        for key in [
            k
            for k, rel in rels.items()
            if rel.reltype.endswith(("/thumbnail", "/customXml", "/stylesWithEffects"))
        ]:
            del rels[key]
    styles = made.styles.element
    for style in styles.findall(qn("w:style")):
        if style.get(qn("w:default")) != "1" and style.find(qn("w:name")).get(qn("w:val")) != GRID:
            styles.remove(style)


def _table(made: Any, widths: list[float], heights: list[float]) -> Any:
    table = made.add_table(rows=len(heights), cols=len(widths), style=GRID)
    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        for cell in column.cells:
            cell.width = Mm(width)
    for row, height in zip(table.rows, heights, strict=True):
        row.height, row.height_rule = Mm(height), WD_ROW_HEIGHT_RULE.EXACTLY
    return table


def _put(table: Any, row: int, first: int, last: int, text: str, left: bool = False, below: int = 0) -> None:
    cell = table.cell(row, first)
    if last > first or below:
        cell = cell.merge(table.cell(row + below, last))
    cell.vertical_alignment = WD_CELL_VERTICAL_ALIGNMENT.CENTER
    paragraph = cell.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.LEFT if left else WD_ALIGN_PARAGRAPH.CENTER
    paragraph.add_run(text)


def _front(made: Any) -> None:
    table = _table(made, [17, 24, 20, 25, 22, 27, 35], [13, 13, 13, 15, 15, 15, 14, 14, 14, 118])
    rows = (
        ("姓  名", "{{ name }}", "性  别", "{{ sex }}", "出生年月\n（岁）", "{{ birth }}"),
        ("民  族", "{{ ethnic_group }}", "籍  贯", "{{ native_place }}", "出生地", "{{ birth_place }}"),
        ("入党时间", "{{ party_joining }}", "参加工\n作时间", "{{ work_start }}", "健康状况", "{{ health }}"),
    )
    for at, cells in enumerate(rows):
        for column, text in enumerate(cells):
            _put(table, at, column, column, text)
    _put(table, 0, 6, 6, "{{ photo }}", below=3)
    _put(table, 3, 0, 0, "专业技\n术职务")
    _put(table, 3, 1, 2, "{{ professional_title }}")
    _put(table, 3, 3, 3, "熟悉专业\n有何专长")
    _put(table, 3, 4, 5, "{{ major }}")
    _put(table, 4, 0, 0, "学  历\n学  位", below=1)
    for at, name, label in ((4, "full_time", "全日制\n教  育"), (5, "in_service", "在  职\n教  育")):
        _put(table, at, 1, 1, label)
        _put(table, at, 2, 3, f"{{{{ {name} }}}}")
        _put(table, at, 4, 4, "毕业院校\n系及专业")
        _put(table, at, 5, 6, f"{{{{ {name}_school }}}}")
    for at, name, label in ((6, "current_post", "现 任 职 务"), (7, "proposed_post", "拟 任 职 务"), (8, "removed_post", "拟 免 职 务")):  # fmt: skip
        _put(table, at, 0, 1, label)
        _put(table, at, 2, 6, f"{{{{r {name} }}}}", left=True)
    _put(table, 9, 0, 0, "简\n历")
    _put(table, 9, 1, 6, "{{r resume }}", left=True)


def _back(made: Any) -> None:
    table = _table(made, [17, 20, 22, 14, 22, 75], [34, 18, 24, 9, 10, 10, 10, 14, 24, 24])
    for at, name, label in ((0, "awards", "奖惩\n情况"), (1, "assessments", "年度考\n核结果"), (2, "reasons", "任免\n理由")):  # fmt: skip
        _put(table, at, 0, 0, label)
        _put(table, at, 1, 5, f"{{{{r {name} }}}}", left=True)
    _put(table, 3, 0, 0, "家庭主要成员及重要社会关系", below=3)
    for column, text in enumerate(("称谓", "姓名", "年龄", "政治面貌", "工作单位及职务"), 1):
        _put(table, 3, column, column, text)
    table.cell(4, 1).paragraphs[0].add_run("{%tr for m in family %}")
    for column, name in enumerate(("relation", "name", "age", "political_status", "work"), 1):
        _put(table, 5, column, column, f"{{{{ m.{name} }}}}", left=name == "work")
    table.cell(6, 1).paragraphs[0].add_run("{%tr endfor %}")
    _put(table, 7, 0, 0, "呈报单位")
    _put(table, 7, 1, 5, "{{ reporting_unit }}", left=True)
    _put(table, 8, 0, 0, "审批机\n关意见")
    _put(table, 8, 1, 2, "")
    _put(table, 8, 3, 3, "行政机关任免意见")
    _put(table, 8, 4, 5, "")
    _put(table, 9, 0, 0, "备  注")
    _put(table, 9, 1, 5, "")
    end = made.add_paragraph("填表人：{{ filled_by }}    {{ filled_date }}")
    end.alignment = WD_ALIGN_PARAGRAPH.RIGHT
