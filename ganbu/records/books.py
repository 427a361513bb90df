"""Workbooks of people (信息采集表、导入模板): sheets of registers whose rows name a person, as rows per person.

Two books are read: our own template, a sheet per register under its Chinese name, and the national collection book
(sheets A01…A36, B01) whose columns are called otherwise. A row names its person by 姓名 and 身份证号. What a book
has and the record has no place for is a remark, once per column.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganbu.errors import FormatError, GanbuError, RecordsError
from ganbu.formats.generic_zip import is_generic
from ganbu.formats.issues import Issue
from ganbu.formats.tables import SUFFIXES, Sheet, read_sheets
from ganbu.formats.text import name_key, read_date
from ganbu.formats.zips import open_archive
from ganbu.records.merging import Merge
from ganbu.records.tables import typed
from ganbu.vocabulary import Field, Register, load_vocabulary

Row = dict[str, Any]
NAME, NUMBER = "姓名", "身份证号"
REGISTERS = ("person", "appointment", "rank", "education", "assessment", "award", "family")
SHEETS = {
    "A01": "person", "A02": "appointment", "A05": "rank", "A08": "education", "A14": "award", "A15": "assessment", "A36": "family",
    "B01": "unit",
}  # fmt: skip
# Columns of the national book under the names of our fields.
COLUMNS: dict[str, dict[str, str]] = {
    "person": {
        "出生年月": "birth_date", "人员管理状态": "status", "熟悉专业有何特长": "major", "现工作单位及职务全称": "current_post_text",
        "入党时间": "party_date", "公务员登记时间": "entry_date",
    },
    "appointment": {"任职机构名称": "unit", "任职机构": "unit", "是否领导成员": "team_member", "成员类别": "kind", "选拔任用方式": "way", "是否破格提拔": "exceptional", "主职务": "main", "职务变动原因综述": "removal_reason"},
    "rank": {"批准日期": "start_date", "任职级时间": "start_date", "终止日期": "end_date"},
    "education": {"学历名称": "level", "学历": "level", "学位名称": "degree", "学位": "degree", "学校（单位）名称": "school", "学校名称": "school", "毕业院校": "school", "所学专业名称": "major", "入学日期": "start_date", "毕（肄）业日期": "end_date", "毕业日期": "end_date"},
    "assessment": {"考核年度": "year", "考核结论": "grade", "考核结论类别": "grade"},
    "award": {"奖惩名称": "name", "奖惩名称代码": "name", "批准日期": "date", "批准机关": "body", "批准机关名称": "body"},
    "family": {"人员称谓": "relation", "工作单位及职务": "work", "人员工作单位及职务": "work", "人员姓名": "name", "成员姓名": "name", "家庭成员姓名": "name"},
    "unit": {"机构名称": "name", "机构简称": "short_name", "机构编码": "code", "所在政区": "region", "机构级别": "level", "行政编制数": "headcount", "内设机构领导职数": "middle_authorised", "正职领导职数": "principals_authorised", "副职领导职数": "deputies_authorised"},
}  # fmt: skip
_CODE_ROW = re.compile(r"^[AB]\d{2,4}[A-Z]?$")


@dataclass
class Filing:
    """What a book tells of one person (一人的登记): rows by register, and remarks."""

    file: str
    name: str
    id_number: str
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in REGISTERS})
    issues: list[Issue] = field(default_factory=list)
    photo: bytes | None = None


Found = dict[str, list[Filing]]  # by the plain name


@dataclass
class Book:
    """A workbook read: people, units, and what was found amiss outside any person."""

    people: list[Filing] = field(default_factory=list)
    units: list[Row] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def read_book(file: str, content: bytes) -> Book:
    """Read a workbook. Raises FormatError when it is not one, RecordsError when no sheet is known."""
    book = Book()
    found: Found = {}
    known = 0
    for sheet in read_sheets(file, content):
        register = _register_of(sheet.name)
        header = _header(sheet, register)
        if register is None or header is None:
            continue
        known += 1
        _read_sheet(file, sheet, register, header, book, found)
    if not known:
        labels = "、".join(load_vocabulary().registers[name].label for name in REGISTERS)
        raise RecordsError(f"{file}：没有认得的工作表；应是信息采集表（A01人员…）或导入模板（{labels}）")
    book.people = [filing for same in found.values() for filing in same]
    return book


def _register_of(name: str) -> Register | None:
    words = load_vocabulary()
    plain = name.strip()
    if (code := plain[:3].upper()) in SHEETS:
        return words.registers[SHEETS[code]]
    register = words.find(plain)
    return register if register is not None and register.name in (*REGISTERS, "unit") else None


def _header(sheet: Sheet, register: Register | None) -> int | None:
    """Which of the first rows names the columns."""
    if register is None:
        return None
    wanted = ("机构名称", "名称") if register.name == "unit" else (NAME,)
    for at, row in enumerate(sheet.rows[:5]):
        if any(text.strip() in wanted for text in row):
            return at
    return None


def _fields(file: str, sheet: Sheet, header: int, register: Register, book: Book) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    own = COLUMNS[register.name]
    for text in dict.fromkeys(cell.strip() for cell in sheet.rows[header]):
        if not text or (text in (NAME, NUMBER) and register.name != "person"):
            continue
        item = register.fields.get(own.get(text, "")) or register.find(text)
        if item is None or item.name in (register.id_field, register.subject_field):
            book.issues.append(Issue(f"{file} {sheet.name}", text, "column.no_place", f"档案中没有登记处，“{text}”这一栏未采用", severity="note"))  # fmt: skip
        elif item.name not in {f.name for f in fields.values()}:
            fields[text] = item
    return fields


def _read_sheet(file: str, sheet: Sheet, register: Register, header: int, book: Book, found: Found) -> None:
    fields = _fields(file, sheet, header, register, book)
    own_name = next((text for text, item in fields.items() if item.name == "name"), "")
    for line, values in sheet.records(header):
        first = next((value for value in values.values() if value), "")
        if _CODE_ROW.match(first) or first == NAME or first.startswith("#"):
            continue  # the second header row, or hints
        where = f"{file} {sheet.name}"
        row: Row = {}
        issues: list[Issue] = []
        for text, item in fields.items():
            value = values.get(text, "")
            if value and (register.name != "family" or text != NAME):
                _take(register, item, text, value, row, issues, where, line)
        if register.name == "unit":
            book.units.append({**row, "_line": line})
            book.issues += issues
            continue
        filing = _filing(register, values, where, line, found, book)
        if filing is None:
            continue
        filing.issues += issues
        if register.name == "person":
            row["name"] = values.get(NAME, "")
        if register.name == "family" and not own_name:
            filing.issues.append(Issue(where, "家庭成员姓名", "family.no_name", "没有家庭成员姓名一栏，未采用", severity="error", line=line))  # fmt: skip
            continue
        filing.rows[register.name].append(row)


def _filing(
    register: Register, values: dict[str, str], where: str, line: int, found: Found, book: Book
) -> Filing | None:
    """Whom a row is about. Two of one name without a number are two people; other rows of that name are nobody's."""
    name, number = values.get(NAME, ""), values.get(NUMBER, "").strip().upper()
    if not name:
        book.issues.append(
            Issue(where, NAME, "person.no_name", "这一行没有姓名，未采用", severity="error", line=line)
        )
        return None
    same = found.setdefault(name_key(name), [])
    fits = [f for f in same if f.id_number == number] or [f for f in same if not f.id_number or not number]
    if register.name == "person":
        fits = [f for f in fits if not f.rows["person"] and f.id_number == number]
    elif len(fits) > 1:
        book.issues.append(Issue(where, NAME, "person.ambiguous", f"不止一人叫“{name}”，这一行没有写清身份证号，未采用", name, severity="error", line=line))  # fmt: skip
        return None
    if not fits:
        fits = [Filing(f"{where} 第 {line} 行", name, number)]
        same.append(fits[0])
    return fits[0]


def _take(
    register: Register,
    item: Field,
    label: str,
    text: str,
    row: Row,
    issues: list[Issue],
    where: str,
    line: int,
) -> None:
    """One cell: typed, a name of a code table normalised, or an error that says what was expected."""
    if item.kind == "ref":
        row[item.name] = text
        return
    try:
        row[item.name] = typed(register, item, text)
    except (GanbuError, ValueError) as error:
        issues.append(Issue(where, label, "cell.unreadable", str(error), text, severity="error", line=line))
        return
    if item.kind == "date" and read_date(text)[1] == "date.month_ambiguous":
        # A spreadsheet program drops the last zero of 1980.10.
        issues.append(Issue(where, label, "date.month_ambiguous", "按 1 月读取，也可能是丢了 0 的 10 月，请核对", text, str(row[item.name]), line=line))  # fmt: skip


# A row that has none of these says nothing that could be told from another: what was wrong with it is reported.
NEEDED = {
    "appointment": ("title", "unit"), "rank": ("rank",), "education": ("level", "degree"), "assessment": ("year",), "award": ("name",),
    "family": ("name",),
}  # fmt: skip


def merge_ready(filing: Filing) -> dict[str, list[Row]]:
    """Rows as the importer lays them over the record: posts with their unit in front, identities made from order.

    A row with `_unit`, the key of its unit in a package, is left as it is.
    """
    rows = {name: [dict(row) for row in items] for name, items in filing.rows.items()}
    if not rows["person"]:
        rows["person"] = [{"name": filing.name, "id_number": filing.id_number}]
    for name, wanted in NEEDED.items():
        rows[name] = [row for row in rows[name] if any(row.get(item) not in (None, "") for item in wanted)]
    for name in REGISTERS[1:]:
        register = load_vocabulary().registers[name]
        for at, row in enumerate(rows[name], 1):
            row[register.id_field] = f"{filing.name}-{name}-{at}"
            row["person"] = ""
    for row in rows["appointment"]:
        row.setdefault("nature", "任职")
        if "_unit" in row:
            continue
        unit, title = str(row.get("unit") or ""), str(row.get("title") or "")
        row["unit"] = row["title"] = title if title.startswith(unit) else unit + title
        row.setdefault("main", True)
    return rows


def template(registers: tuple[str, ...] = REGISTERS) -> Iterator[tuple[str, list[str]]]:
    """The sheets of our own template: the name of each and its columns."""
    for name in registers:
        register = load_vocabulary().registers[name]
        items = [
            f for f in register.fields.values() if f.name not in (register.id_field, register.subject_field)
        ]
        if name == "family":
            labels = ["家庭成员姓名" if f.name == "name" else f.label for f in items]
        else:
            labels = [f.label for f in items if f.label not in (NAME, NUMBER)]
        yield register.label, [NAME, NUMBER, *labels]


def workbooks(path: Path) -> Iterator[tuple[str, bytes]]:
    """The workbooks of a file, a folder or the zips in it: name and content, or what is wrong with an archive."""
    files = (
        sorted(f for f in path.rglob("*") if f.is_file() and not f.is_symlink()) if path.is_dir() else [path]
    )
    for file in files:
        suffix = file.suffix.lower()
        if suffix in SUFFIXES and not file.name.startswith("~$") and suffix != ".csv":
            yield file.name, file.read_bytes()
        elif suffix == ".zip" and not is_generic(file):
            try:
                with open_archive(file, file.name) as archive:
                    for name, info in archive.entries:
                        if Path(name).suffix.lower() in SUFFIXES and not name.lower().endswith(".csv"):
                            yield f"{file.name}/{name}", archive.read(name, info)
            except FormatError:
                continue  # told by the reader of forms, who opens it too


def read_books(path: Path) -> tuple[list[tuple[str, Filing | None, list[Issue]]], list[Row]]:
    """Everybody that workbooks tell of, as (file, filing or None, remarks), and the units."""
    people: list[tuple[str, Filing | None, list[Issue]]] = []
    units: list[Row] = []
    for name, content in workbooks(path):
        try:
            book = read_book(name, content)
        except GanbuError as error:
            people.append(
                (name, None, [Issue(name, "文件", "file.unreadable", str(error), severity="error")])
            )
            continue
        people += [(one.file, one, one.issues) for one in book.people]
        if remarks := [i for i in book.issues if i.severity != "error"]:
            people.append((name, None, remarks))
        people += [(f"{i.file} 第 {i.line} 行", None, [i]) for i in book.issues if i.severity == "error"]
        units += [{**unit, "_file": name} for unit in book.units]
    return people, units


def lay_units(merge: Merge, told: list[Row]) -> None:
    """Units of a book: by name; what is there is filled up, what is not is added."""
    register = merge.vocabulary.registers["unit"]
    known = {str(row.get("name")): key for key, row in merge.table("unit").items()}
    for unit in told:
        plain = {k: v for k, v in unit.items() if not k.startswith("_") and v not in (None, "")}
        name = str(plain.get("name") or "")
        if not name:
            continue
        above = known.get(str(plain.pop("parent", "")))
        if above:
            plain["parent"] = above
        if name in known:
            merge.lay(register, known[name], plain, str(unit["_file"]), str(unit["_file"]))
        else:
            key = known[name] = f"U{uuid.uuid5(uuid.NAMESPACE_OID, name).hex[:10]}"
            merge.add(register, {"unit_id": key, **plain}, str(unit["_file"]))
