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
from typing import IO, Any

from python_calamine import CalamineError, CalamineWorkbook

from ganbu.errors import FormatError
from ganbu.formats.zips import DAMAGE

MOST_BYTES = 64 * 1024 * 1024
MOST_UNPACKED = 1024 * 1024 * 1024
MOST_ROWS = 1_000_000
MOST_CELLS = 20_000_000  # rows times columns: the reader makes room for all of them, however few are filled
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
        _check_package(name, content)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(content)) as book:
            found = []
            for title in book.sheet_names:
                sheet = book.get_sheet_by_name(title)
                rows, columns = sheet.total_height + 1, sheet.total_width + 1
                if rows > MOST_ROWS or rows * columns > MOST_CELLS:
                    raise FormatError(
                        f"{name} {title}：有 {rows} 行 {columns} 列，超过上限，请分几个文件导入"
                    )
                cells = [[_text(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
                found.append(Sheet(title, cells))
            return found
    except CalamineError as error:
        raise FormatError(f"{name}：表格文件读不了，可能已损坏或加了密码，请用表格软件重新另存") from error


def _check_package(name: str, content: bytes) -> None:
    """Refuse an xlsx that would take more memory than there is. Raises FormatError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise FormatError(f"{name}：解开后超过 {MOST_UNPACKED >> 20} MB，未读取")
            if not any(entry.filename.lower().endswith("workbook.xml") for entry in entries):
                raise FormatError(f"{name}：不是 xlsx 文件，请用表格软件另存为 xlsx")
            for entry in entries:
                rows, columns = _extent(archive, entry)  # a sheet may have any name
                if rows * columns > MOST_CELLS:
                    raise FormatError(f"{name}：内容到了第 {rows} 行、第 {columns} 列，超过上限；请删去远处多余的单元格，或分几个文件导入")  # fmt: skip
    except DAMAGE as error:
        raise FormatError(f"{name}：xlsx 文件已损坏，请用表格软件重新另存") from error


# A cell as every program writes it.
_PLAIN = re.compile(rb'<c r="([A-Z]{1,8})(\d{1,8})"')
# A cell with its place, and `/` where it is empty; a cell with something in it; any cell; any row; the place of either.
_PLACED = re.compile(rb"<(?:\w+:)?c\s(?:[^>]*?\s)?r\s*=\s*[\"']([A-Za-z]{1,8})(\d{1,8})[\"'][^>]*?(/?)>")
_FILLED, _CELL = re.compile(rb"<(?:\w+:)?c(?:\s[^>]*)?(?<!/)>"), re.compile(rb"[<:]c[\s/>]")
_ROW, _PLACE = re.compile(rb"[<:]row[\s>]"), re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]{0,8})(\d{1,8})[\"']")


def _extent(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """How many rows and columns the filled cells of a sheet reach over, at the most."""
    with archive.open(entry) as stream:
        rows, columns = _reach(stream, exact=False)
    if rows * columns <= MOST_CELLS:
        return rows, columns
    with archive.open(entry) as stream:
        return _reach(stream, exact=True)


def _reach(stream: IO[bytes], exact: bool) -> tuple[int, int]:
    """The same; empty cells count unless `exact`, which takes ten times as long. Cells without a place are counted."""
    rows = columns = wide = 0
    left = b""
    while chunk := stream.read(1 << 20):
        chunk = left + chunk
        cut = chunk.rfind(b"<")
        chunk, left = chunk[:cut], chunk[cut:]
        filled = _PLAIN.findall(chunk)
        plain = not exact and len(filled) == len(_CELL.findall(chunk))
        placed = [] if plain else _PLACED.findall(chunk)
        if not plain:
            filled = [(letters, digits) for letters, digits, empty in placed if not empty]
        if not plain and len(_FILLED.findall(chunk)) > len(filled):
            # Some stand behind the one before, wherever that is: the row is as wide as it has cells, at the most.
            filled = _PLACE.findall(chunk)
            rows += len(_ROW.findall(chunk))
            for at, part in enumerate(_ROW.split(chunk)):
                wide = len(_CELL.findall(part)) + (0 if at else wide)
                columns = max(columns, wide)
        columns = max([columns, *(_column(letters) for letters in {letters for letters, _ in filled})])
        rows = max([rows, *(int(digits) for _, digits in filled)])
    return rows, columns


def _column(letters: bytes) -> int:
    """The number of a column by its letters.

    >>> _column(b"A"), _column(b"xfd")
    (1, 16384)
    """
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


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
