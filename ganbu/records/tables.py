"""Rows from filled-in tables (表格登记): typed by the vocabulary, every error with its line and column."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ganbu.errors import GanbuError, RecordsError, nearest
from ganbu.formats.tables import Sheet
from ganbu.formats.text import read_date
from ganbu.vocabulary import Field, Register, load_vocabulary

MOST_ERRORS = 20
MOST_TEXT = 100_000
_INTEGER, _DECIMAL = re.compile(r"[+-]?\d{1,15}"), re.compile(r"[+-]?\d{1,15}(\.\d+)?")
_YES_NO = {
    "是": True,
    "否": False,
    "true": True,
    "false": False,
    "1": True,
    "0": False,
    "有": True,
    "无": False,
}


def typed(register: Register, item: Field, text: str) -> Any:
    """A text as a value of a field. Raises RecordsError that says what is expected."""
    expected = ""
    if item.kind == "date":
        found, _remark = read_date(text)
        if found is not None:
            return found
        expected = "应为日期，如 2026-06-30、2026-06 或 202606"
    elif item.kind == "int":
        if _INTEGER.fullmatch(text):
            return int(text)
        expected = "应为整数"
    elif item.kind == "decimal":
        if _DECIMAL.fullmatch(text) and len(text.partition(".")[2].rstrip("0")) <= item.scale:
            return Decimal(text)
        expected = f"应为至多 {item.scale} 位小数的数"
    elif item.kind == "bool":
        if text in _YES_NO:
            return _YES_NO[text]
        expected = "应为 是 或 否"
    elif item.kind == "code":
        codes = load_vocabulary().codes[item.target]
        word = codes.canonical(text) or codes.canonical(
            text + "族" if item.target == "ethnic_group" else text
        )
        if word is not None or not codes.closed:
            return word or text
        expected = f"不在代码表“{codes.label}”中。{nearest(text, codes.names())}"
    elif len(text) > MOST_TEXT:
        expected = f"超过 {MOST_TEXT} 字"
    else:
        return text
    raise RecordsError(f"{item.label}“{text[:60]}”：{expected}")


def rows_from_table(register: Register, sheet: Sheet, who: Callable[[str], str]) -> list[dict[str, Any]]:
    """The rows of a filled template; `who` gives the identity of a person that a cell names.

    Raises RecordsError with every wrong line (at most twenty): nothing is taken then.
    """
    names = [text.strip() for text in sheet.rows[0]]
    fields: dict[str, Field] = {}
    for name in names:
        item = register.find(name)
        if name and item is None:
            known = [f.label for f in register.fields.values()]
            raise RecordsError(
                f"{sheet.name} 第 1 行：{register.label}没有“{name}”这一栏。{nearest(name, known)}"
            )
        if item is not None:
            fields[name] = item
    found: list[dict[str, Any]] = []
    wrong: list[str] = []
    for line, values in sheet.records():
        if values.get(names[0], "").startswith("#"):
            continue  # a line of hints in the template
        row: dict[str, Any] = {}
        for name, item in fields.items():
            text = values.get(name, "")
            if not text:
                continue
            try:
                row[item.name] = (
                    who(text) if item.name == register.subject_field else typed(register, item, text)
                )
            except GanbuError as error:
                wrong.append(f"第 {line} 行：{error}")
        if register.subject_field and register.subject_field not in row:
            wrong.append(f"第 {line} 行：没有写{register.fields[register.subject_field].label}")
        row.setdefault(register.id_field, f"{register.name}-{uuid.uuid4().hex[:12]}")
        found.append(row)
    if wrong:
        more = f"；另有 {len(wrong) - MOST_ERRORS} 处" if len(wrong) > MOST_ERRORS else ""
        raise RecordsError(f"{sheet.name}：" + "；".join(dict.fromkeys(wrong[:MOST_ERRORS])) + more)
    if not found:
        raise RecordsError(f"{sheet.name}：没有一行内容")
    return found


def template_rows(register: Register) -> tuple[list[str], list[list[str]]]:
    """The header of a template and one line of hints, which is left out when it is read."""
    codes = load_vocabulary().codes
    items = [f for f in register.fields.values() if f.name != register.id_field]
    hints = []
    for item in items:
        told = {"date": "日期，如 2026-06-30", "int": "整数", "decimal": "数", "bool": "是 或 否", "ref": "编号或姓名"}.get(item.kind, "文字")  # fmt: skip
        if item.kind == "code" and item.target in codes:
            told = "、".join(codes[item.target].names()[:12])
        hints.append(told)
    hints[0] = f"# {hints[0]}（本行是填写说明，导入时不读）"
    return [item.label for item in items], [hints]
