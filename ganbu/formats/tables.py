"""Tables people fill in (表格): sheets of xls, xlsx and csv files as plain texts, every row with its line.

A workbook is read by python-calamine, which runs no macro, follows no link and evaluates no formula.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from ganbu.errors import FormatError

MOST_BYTES = 64 * 1024 * 1024
MOST_UNPACKED = 1024 * 1024 * 1024
MOST_ROWS = 1_000_000
SUFFIXES = (".xlsx", ".xls", ".xlsm", ".csv")


# What a spreadsheet program takes for a formula when it opens a csv; a plain number it may have.
_ACTIVE, _NUMBER = re.compile(r"[=+\-@\t\r]"), re.compile(r"[+-]?\d+(?:[./]\d+)?")


def inert(text: str) -> str:
    """A text for a csv that people open in a spreadsheet program: never a formula there (公式不执行).

    >>> inert("=1+1"), inert("-3"), inert("甲")
    ("'=1+1", '-3', '甲')
    """
    return f"'{text}" if _ACTIVE.match(text) and not _NUMBER.fullmatch(text) else text


@dataclass(frozen=True)
class Sheet:
    """A sheet: its name and its rows as texts; row 0 is line 1 of the sheet."""

    name: str
    rows: list[list[str]]

    def records(self, header: int = 0) -> Iterator[tuple[int, dict[str, str]]]:
        """Rows below the header by column name, with their line; blank rows are left out."""
        names = [text.strip() for text in self.rows[header]] if len(self.rows) > header else []
        for line, row in enumerate(self.rows[header + 1 :], header + 2):
            values = {name: row[at].strip() for at, name in enumerate(names) if name and at < len(row)}
            if any(values.values()):
                yield line, values


def read_table(name: str, content: bytes) -> Sheet:
    """The first sheet that has anything. Raises FormatError."""
    for sheet in read_sheets(name, content):
        if any(any(row) for row in sheet.rows):
            return sheet
    raise FormatError(f"{name}：没有一行内容")


def read_sheets(name: str, content: bytes) -> list[Sheet]:
    """All sheets of a workbook, or the one of a csv file. Raises FormatError."""
    if len(content) > MOST_BYTES:
        raise FormatError(f"{name}：文件超过 {MOST_BYTES >> 20} MB，请分几个文件导入")
    if name.lower().endswith(".csv"):
        return [Sheet(name, _csv(name, content))]
    if not name.lower().endswith(SUFFIXES):
        raise FormatError(f"{name}：应为 xlsx、xls 或 csv 文件")
    if content[:2] == b"PK":
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                unpacked = sum(info.file_size for info in archive.infolist())
        except zipfile.BadZipFile as error:
            raise FormatError(f"{name}：xlsx 文件已损坏，请用表格软件重新另存") from error
        if unpacked > MOST_UNPACKED:
            raise FormatError(f"{name}：解开后超过 {MOST_UNPACKED >> 20} MB，未读取")
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
            found = []
            for title in book.sheet_names:
                sheet = book.get_sheet_by_name(title)
                if sheet.total_height > MOST_ROWS:
                    raise FormatError(f"{name} {title}：超过 {MOST_ROWS} 行，请分几个文件导入")
                rows = [[_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
                found.append(Sheet(title, rows))
            return found
    except CalamineError as error:
        raise FormatError(f"{name}：表格文件读不了，可能已损坏或加了密码，请用表格软件重新另存") from error


def _text(cell: Any) -> str:
    """A cell as it would be typed: whole numbers without a point, midnight moments as days."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "是" if cell else "否"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return str(cell).replace("\x00", "")


def _csv(name: str, content: bytes) -> list[list[str]]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return list(csv.reader(io.StringIO(content.decode(encoding), newline="")))
        except UnicodeDecodeError:
            continue
        except csv.Error as error:
            raise FormatError(f"{name}：不是 csv 文件：{error}") from error
    raise FormatError(f"{name}：编码既不是 UTF-8 也不是 GB18030")
