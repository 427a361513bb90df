"""Files of a records folder (档案文件): csv as Excel saves it, jsonl and parquet, read into tables of plain columns.

What is wrong is told in the words of the person who keeps the file: its name, its real line, what to do.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ganbu.dates import PartialDate
from ganbu.errors import RecordsError

SUFFIXES = (".parquet", ".csv", ".jsonl")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_BLOCK = 16 * 1024 * 1024  # the longest row read
csv.field_size_limit(_BLOCK)  # a résumé or a log can be longer than Python's own limit of 128 KB


@dataclass(frozen=True)
class Origin:
    """Where rows came from (数据来源), for messages: `line` gives the line in the file of the row at an index."""

    place: str
    line: Callable[[int], int] | None = None

    def at(self, index: int) -> str:
        """`人员.csv：第 12 行`."""
        return f"{self.place}：第 {self.line(index) if self.line else index + 1} 行"


def read_file(path: Path) -> tuple[pa.Table, Origin]:
    """The columns of a file as they stand (读取档案文件). Raises RecordsError with file, line and column."""
    try:
        if path.suffix.lower() == ".parquet":
            return pq.read_table(path), Origin(str(path))
        text = _decoded(path.read_bytes(), path)
    except pa.ArrowException as error:
        message = "无法读取：不是完好的 parquet 文件，可能没有写完，请重新导出"
        raise RecordsError(f"{path}：{message}") from error
    except OSError as error:
        message = "无法读取：请检查文件是否完好、有没有读取权限"
        raise RecordsError(f"{path}：{message}") from error
    return _read_csv(path, text) if path.suffix.lower() == ".csv" else _read_jsonl(path, text)


def _decoded(content: bytes, path: Path) -> str:
    """Text in UTF-8, or as Excel saves it in China: UTF-16, or GBK."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _strictly(content[len(mark) :], (encoding,), path)
    if zeros := [at for at, byte in enumerate(content[:1000]) if not byte]:
        return _strictly(content, ("utf-16-le" if zeros[0] % 2 else "utf-16-be",), path)
    return _strictly(content, ("utf-8", "gb18030"), path)


def _strictly(content: bytes, encodings: tuple[str, ...], path: Path) -> str:
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    message = "无法读取：编码不是 UTF-8、UTF-16 或 GB18030，请用 Excel 另存为“CSV UTF-8”"
    raise RecordsError(f"{path}：{message}")


# -- csv -------------------------------------------------------------------------------------------------------


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty, with the line it begins at."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    for row in reader:
        if any(row):
            yield line, row
        line = reader.line_num + 1


def _read_csv(path: Path, text: str) -> tuple[pa.Table, Origin]:
    # Excel's “Unicode 文本” parts by tabs.
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = "\t" if "\t" in first and "," not in first else ","
    line, header, body = _header(path, text, delimiter)
    names = [name.strip() for name in header]
    if doubled := sorted({name for name in names if name and names.count(name) > 1}):
        raise RecordsError(f"{path}：第 {line} 行：表头中“{'、'.join(doubled)}”重复，请只留一列")
    # Columns without a name are read under their position, and dropped when they are empty.
    keys = [name or f"\0{at}" for at, name in enumerate(names)]
    if text.count('"') % 2:
        _refuse_open_quote(path, text, delimiter)
    table = _parsed(path, text, delimiter, keys, body)
    return _named(path, table, names), Origin(str(path), lambda index: _line_of(text, delimiter, index))


def _header(path: Path, text: str, delimiter: str) -> tuple[int, list[str], int]:
    """The line of the header, its cells, and how many lines end with it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    for row in reader:
        if any(row):
            return line, row, reader.line_num
        line = reader.line_num + 1
    raise RecordsError(f"{path}：没有表头，第一行应是各列的名称")


def _parsed(path: Path, text: str, delimiter: str, keys: list[str], header: int) -> pa.Table:
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text.encode("utf-8")),
            pa_csv.ReadOptions(column_names=keys, skip_rows=header, block_size=_BLOCK),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as error:
        rows = list(_rows(text, delimiter))
        if len(rows) == 1:
            return pa.table({key: pa.array([], pa.string()) for key in keys})
        for line, row in rows:
            if len(row) != len(keys):
                message = f"有 {len(row)} 格，表头有 {len(keys)} 格；格内有逗号时，整格应加英文双引号"
                raise RecordsError(f"{path}：第 {line} 行{message}") from error
        raise RecordsError(f"{path}：无法读取：不是完好的 csv 文件，请用 Excel 打开后另存") from error
    if not all(column.null_count for column in table.columns):
        return table
    # Rows of commas alone, as Excel leaves them below the data.
    filled = pc.is_valid(table.column(0))
    for column in table.columns[1:]:
        filled = pc.or_(filled, pc.is_valid(column))
    return table.filter(filled)


def _named(path: Path, table: pa.Table, names: list[str]) -> pa.Table:
    for at, name in enumerate(names):
        if not name and table.column(at).null_count < table.num_rows:
            raise RecordsError(f"{path}：第 {at + 1} 列没有列名，请补上或删去这一列")
    return table.select([at for at, name in enumerate(names) if name])


def _refuse_open_quote(path: Path, text: str, delimiter: str) -> None:
    """A quote that is never closed would swallow every row after it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        raise RecordsError(f"{path}：第 {line} 行起有英文双引号没有成对，请补上或删去") from error


def _line_of(text: str, delimiter: str, index: int) -> int:
    """The line of a row, found again only when there is something to say about it."""
    lines = (line for at, (line, _) in enumerate(_rows(text, delimiter), -1) if at == index)
    return next(lines, index + 2)


# -- jsonl -----------------------------------------------------------------------------------------------------


def _read_jsonl(path: Path, text: str) -> tuple[pa.Table, Origin]:
    rows, lines = [], []
    # Only LF ends a row: str.splitlines would also cut at U+2028 and U+0085 inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            rows.append(_object(f"{path}：第 {number} 行", line))
            lines.append(number)
    names = list(dict.fromkeys(key for row in rows for key in row))
    table = pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})
    return table, Origin(str(path), lines.__getitem__)


def _object(place: str, line: str) -> dict[str, str | None]:
    try:
        row = json.loads(line, parse_float=str, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise RecordsError(f"{place}：不是 JSON，第 {error.colno} 个字符附近有误") from error
    except (ValueError, RecursionError) as error:
        raise RecordsError(f"{place}：不是 JSON，有不能用的数或层次过深") from error
    if not isinstance(row, dict):
        raise RecordsError(f"{place}：每行应是一个对象，如 {{“姓名”: “李芳”}}")
    plain: dict[str, str | None] = {}
    for key, value in row.items():
        if isinstance(value, (list, dict)):
            kind = "列表" if isinstance(value, list) else "对象"
            raise RecordsError(f"{place}：字段“{key}”是{kind}，应只有一个值；多个值请分成多行登记")
        plain[key.strip()] = None if value is None else plain_text(value)
    return plain


def _no_number(text: str) -> str:
    raise ValueError(text)


def plain_text(value: Any) -> str:
    """A value as files hold it (文本值): dates by precision, numbers plainly (`100`, never `1E+2`)."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (PartialDate, date)):
        return value.isoformat() if isinstance(value, date) else value.iso()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        places = next((n for n in range(1, 20) if 10**n % value.denominator == 0), None)
        if places is not None:
            return format(Decimal(int(value * 10**places)).scaleb(-places), "f")
    return str(value)


# -- writing ---------------------------------------------------------------------------------------------------


def write_file(table: pa.Table, path: Path) -> None:
    """Write a table as its suffix says (写出档案文件), whole or not at all."""
    partial = path.with_suffix(path.suffix + ".part")
    if path.suffix == ".parquet":
        pq.write_table(table, partial)
    elif path.suffix == ".csv":
        pa_csv.write_csv(table, partial)
    else:
        lines = (json.dumps(row, ensure_ascii=False, default=str) for row in table.to_pylist())
        partial.write_text("".join(line + "\n" for line in lines), "utf-8", newline="\n")
    partial.replace(path)


# -- dates -----------------------------------------------------------------------------------------------------


_DIGITS = {ord("０") + digit: str(digit) for digit in range(10)} | {
    ord("．"): ".",
    ord("－"): "-",
    ord("／"): "/",
}
_TYPED = re.compile(r"(\d{4})(?:年|[-./年](\d{1,2})(?:月|[-./月](\d{1,2})日?)?)?", re.A)
_GLUED = re.compile(r"(\d{4})(\d\d)(\d\d)?", re.A)


@lru_cache(maxsize=65536)  # a column repeats the same few thousand days
def read_day(text: str) -> PartialDate:
    """A date as people type it (日期): `1980-01-05`, `1980/1/5`, `1980.1.5`, `19800105`, `198001`, `1980年1月`, `1980`.

    Raises ValueError with the reason in Chinese. `1980.1` is refused: a table shows October as that, its zero lost.

    >>> read_day("1980年1月"), read_day("1980/01/05").iso()
    (PartialDate(year=1980, month=1, day=None), '1980-01-05')
    """
    plain = "".join(text.translate(_DIGITS).split())
    for midnight in ("T00:00:00", "00:00:00"):
        if len(plain) > len(midnight) + 7:
            plain = plain.removesuffix(midnight)
    match = _TYPED.fullmatch(plain) or _GLUED.fullmatch(plain)
    if not match:
        raise ValueError("不是日期，应写作 1980-01-05、1980-01 或 1980")
    year, month, day = match.groups()
    if month == "1" and not day and plain[4] == ".":
        raise ValueError(f"可能是 1 月，也可能是丢了 0 的 10 月，请写作 {year}-01 或 {year}-10")
    if month and not 1 <= int(month) <= 12:
        raise ValueError("的月份不在 1–12 之间")
    try:
        return PartialDate(int(year), int(month) if month else None, int(day) if day else None)
    except ValueError as error:
        reason = f"：{int(year)} 年 {int(month)} 月没有 {int(day)} 日" if day else "的年份不在 1–9999 之间"
        raise ValueError(reason) from error
