"""The records a run looks at (档案快照): one Arrow table per register, checked against the vocabulary."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ganbu.dates import PartialDate
from ganbu.errors import RecordsError, nearest
from ganbu.vocabulary import Field, Register, Vocabulary, load_vocabulary

TRUE_WORDS = {"true", "1", "是", "yes", "y", "t"}
FALSE_WORDS = {"false", "0", "否", "no", "n", "f"}
PRECISION = "__p"
META = {
    "recorded_at": pa.timestamp("us"),
    "superseded_at": pa.timestamp("us"),
    "source": pa.string(),
    "evidence": pa.string(),
}
SUFFIXES = (".parquet", ".csv", ".jsonl")


def arrow_type(item: Field) -> pa.DataType:
    """The Arrow type of a field; decimals are stored as whole numbers of their last digit's unit."""
    return {"int": pa.int64(), "decimal": pa.int64(), "date": pa.date32(), "bool": pa.bool_()}.get(
        item.kind, pa.string()
    )


@dataclass
class Records:
    """Tables by register (登记表数据), typed; `place` says where each came from, for messages."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=load_vocabulary)
    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path | str, vocabulary: Vocabulary | None = None) -> Records:
        """Read a records folder (档案文件夹): `person.csv|jsonl|parquet` and so on.

        Raises RecordsError with file, row and field.
        """
        vocabulary = vocabulary or load_vocabulary()
        folder = Path(folder)
        if not folder.is_dir():
            raise RecordsError(f"{folder}：没有这个档案文件夹")
        records = cls({}, vocabulary)
        for path in sorted(folder.iterdir()):
            if path.suffix not in SUFFIXES or path.name.startswith((".", "_")):
                continue
            register = vocabulary.find(path.stem)
            if register is None:
                hint = nearest(path.stem, vocabulary.registers)
                raise RecordsError(f"{path}：没有名为“{path.stem}”的登记表。{hint}")
            if register.name in records.tables:
                raise RecordsError(f"{path}：登记表“{register.label}”有两个文件")
            records.add(register.name, _read(path), str(path))
        if not records.tables:
            raise RecordsError(f"{folder}：文件夹里没有任何登记表（person.csv、appointment.parquet 等）")
        return records

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, Iterable[Mapping[str, Any]]],
        vocabulary: Vocabulary | None = None,
        place: str = "",
    ) -> Records:
        """Records from plain rows: register (name or label) to rows with field names or labels."""
        vocabulary = vocabulary or load_vocabulary()
        records = cls({}, vocabulary)
        for name, items in rows.items():
            register = vocabulary.find(name)
            if register is None:
                raise RecordsError(
                    f"{place or '数据'}：没有登记表“{name}”。{nearest(name, _all_names(vocabulary))}"
                )
            records.add(
                register.name, _from_rows(register, list(items), vocabulary, place or register.label), place
            )
        return records

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table], vocabulary: Vocabulary | None = None) -> Records:
        """Records from Arrow tables with vocabulary column names."""
        records = cls({}, vocabulary or load_vocabulary())
        for name, table in tables.items():
            records.add(name, table, name)
        return records

    def add(self, name: str, table: pa.Table, place: str = "") -> None:
        """Check and type one table."""
        register = self.vocabulary.registers[name]
        self.tables[name] = _typed(register, table, self.vocabulary, place or register.label)
        self.places[name] = place

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a register as plain values: dates as PartialDate, decimals as Decimal."""
        register, table = self.vocabulary.registers[name], self.tables.get(name)
        if table is None:
            return []
        rows = []
        for raw in table.to_pylist():
            row = {}
            for key, value in raw.items():
                item = register.fields.get(key)
                if item is None:
                    if not key.endswith(PRECISION) and value is not None:
                        row[key] = value
                elif value is not None and item.kind == "decimal":
                    row[key] = Decimal(value).scaleb(-item.scale)
                elif item.kind == "date" and raw.get(key + PRECISION) is not None:
                    row[key] = _partial(raw[key], raw[key + PRECISION])
                elif value is not None:
                    row[key] = value
            rows.append(row)
        return rows

    def write(self, folder: Path | str, fmt: str = "parquet") -> None:
        """Write a records folder; `fmt` is parquet, csv or jsonl. Reading it back gives equal records."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.tables:
            table = self._plain(name)
            path = folder / f"{name}.{fmt}"
            partial = path.with_suffix(path.suffix + ".part")
            if fmt == "parquet":
                pq.write_table(table, partial)
            elif fmt == "csv":
                pa_csv.write_csv(table, partial)
            else:
                lines = (json.dumps(row, ensure_ascii=False, default=str) for row in table.to_pylist())
                partial.write_text("".join(line + "\n" for line in lines), "utf-8")
            partial.replace(path)

    def _plain(self, name: str) -> pa.Table:
        """The table as it stands in a file: partial dates and decimals as text."""
        register, table = self.vocabulary.registers[name], self.tables[name]
        columns = {}
        for key in table.column_names:
            column = table[key]
            item = register.fields.get(key)
            if key.endswith(PRECISION):
                continue
            if item is not None and item.kind == "decimal":
                texts = [
                    None if v is None else str(Decimal(v).scaleb(-item.scale).normalize())
                    for v in column.to_pylist()
                ]
                column = pa.chunked_array([pa.array(texts, pa.string())])
            elif item is not None and item.kind == "date" and key + PRECISION in table.column_names:
                kept = zip(column.to_pylist(), table[key + PRECISION].to_pylist(), strict=True)
                texts = [_partial(v, p).iso() if p else v.isoformat() if v else None for v, p in kept]
                column = pa.chunked_array([pa.array(texts, pa.string())])
            columns[key] = column
        return pa.table(columns)


def _partial(value: date | None, precision: int) -> PartialDate:
    if value is None:
        return PartialDate(precision)
    return PartialDate(value.year, value.month)


def _all_names(vocabulary: Vocabulary) -> list[str]:
    return [text for r in vocabulary.registers.values() for text in (r.label, r.name)]


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        if path.suffix == ".csv":
            return _read_csv(path)
        return _read_jsonl(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordsError(f"{path}：无法读取：{error}") from error


def _read_csv(path: Path) -> pa.Table:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream), None)
    if not header:
        raise RecordsError(f"{path}：没有表头")
    if len(set(header)) != len(header):
        raise RecordsError(f"{path}：表头有重复的列")
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
        quoted_strings_can_be_null=True,
    )
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    read = pa_csv.ReadOptions(column_names=header, skip_rows=1)
    return pa_csv.read_csv(path, read_options=read, parse_options=parse, convert_options=options)


def _read_jsonl(path: Path) -> pa.Table:
    rows = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=str)
        except json.JSONDecodeError as error:
            raise RecordsError(f"{path}:{number}：不是 JSON：{error.msg}") from error
        if not isinstance(row, dict):
            raise RecordsError(f"{path}:{number}：每行应是一个对象")
        rows.append({key: None if value is None else _text(value) for key, value in row.items()})
    names = list(dict.fromkeys(key for row in rows for key in row))
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (PartialDate, date)):
        return value.isoformat() if isinstance(value, date) else value.iso()
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        places = next((n for n in range(1, 20) if 10**n % value.denominator == 0), None)
        return str(value) if places is None else str(Decimal(int(value * 10**places)).scaleb(-places))
    return str(value)


def _from_rows(
    register: Register, rows: list[Mapping[str, Any]], vocabulary: Vocabulary, place: str
) -> pa.Table:
    names: dict[str, None] = {}
    renamed = []
    for number, row in enumerate(rows, 1):
        one = {}
        for key, value in row.items():
            item = register.find(key)
            if item is None and key not in META:
                known = [f.label for f in register.fields.values()]
                raise RecordsError(
                    f"{place}：{register.label} 第 {number} 行：没有字段“{key}”。{nearest(key, known) or '、'.join(known)}"
                )
            one[item.name if item else key] = value
        names.update(dict.fromkeys(one))
        renamed.append(one)
    names.setdefault(register.id_field)
    columns = {}
    for name in names:
        columns[name] = pa.array(
            [None if row.get(name) is None else _text(row[name]) for row in renamed], pa.string()
        )
    return pa.table(columns)


def _typed(register: Register, table: pa.Table, vocabulary: Vocabulary, place: str) -> pa.Table:
    columns: dict[str, Any] = {}
    for key in table.column_names:
        if key.endswith(PRECISION):
            columns[key] = table[key]
            continue
        item = register.find(key)
        if item is None and key not in META:
            raise RecordsError(f"{place}：没有字段“{key}”。{nearest(key, register.fields)}")
        name = item.name if item else key
        if name in columns:
            raise RecordsError(f"{place}：字段“{name}”出现两次")
        columns.update(_column(name, item, table[key], vocabulary, place))
    for item in register.fields.values():
        if item.name not in columns:
            columns[item.name] = pa.nulls(table.num_rows, arrow_type(item))
    if register.id_field and register.fields[register.id_field].kind == "id":
        columns[register.id_field] = _identities(register, columns, table.num_rows, place)
    return pa.table(columns)


def _identities(register: Register, columns: dict[str, Any], rows: int, place: str) -> Any:
    """The identities, none missing; one may stand twice only where one row had ended before the other was recorded."""
    column = columns[register.id_field]
    missing = column.null_count
    if missing and register.key and register.subject == "":
        raise RecordsError(
            f"{place}：第 {_first_null(column) + 2} 行缺少{register.fields[register.id_field].label}"
        )
    if missing:
        values = [value or f"{register.name}-{number}" for number, value in enumerate(column.to_pylist(), 1)]
        column = pa.chunked_array([pa.array(values, pa.string())])
    if rows and pc.count_distinct(column).as_py() != rows:
        double = _held_twice(column, columns)
        if double is not None:
            raise RecordsError(f"{place}：{register.fields[register.id_field].label}“{double}”重复")
    return column


def _held_twice(column: Any, columns: dict[str, Any]) -> str | None:
    """An identity that two rows have at one time, if any."""
    empty = [None] * len(column)
    begins = columns["recorded_at"].to_pylist() if "recorded_at" in columns else empty
    ends = columns["superseded_at"].to_pylist() if "superseded_at" in columns else empty
    spans: dict[str, list[tuple[datetime, datetime]]] = {}
    for key, begin, end in zip(column.to_pylist(), begins, ends, strict=True):
        spans.setdefault(key, []).append((begin or datetime.min, end or datetime.max))
    for key, held in spans.items():
        held.sort()
        if any(one[1] > two[0] for one, two in pairwise(held)):
            return key
    return None


def _first_null(column: Any) -> int:
    return int(pc.index(pc.is_null(column), True).as_py())


def _column(name: str, item: Field | None, column: Any, vocabulary: Vocabulary, place: str) -> dict[str, Any]:
    if item is None:
        kind = META[name]
        try:
            return {name: column.cast(kind)}
        except pa.ArrowInvalid as error:
            raise RecordsError(f"{place}：字段 {name}：{error}") from error
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    if item.kind == "date":
        return _dates(name, item, column, place)
    if item.kind == "code":
        return {name: _codes(item, column, vocabulary, place)}
    if item.kind == "bool" and not pa.types.is_boolean(column.type):
        return {name: _mapped(column, pa.bool_(), lambda text: _bool(text), item, place, "应为 是/否")}
    if item.kind == "int" and not pa.types.is_integer(column.type):
        return {name: _mapped(column, pa.int64(), _int, item, place, "应为整数")}
    if item.kind == "decimal":
        if (
            pa.types.is_decimal(column.type)
            or pa.types.is_floating(column.type)
            or pa.types.is_integer(column.type)
        ):
            column = column.cast(pa.string())
        return {
            name: _mapped(
                column,
                pa.int64(),
                lambda text: _decimal(text, item),
                item,
                place,
                f"应为至多 {item.scale} 位小数",
            )
        }
    if item.kind in ("int", "bool"):
        return {name: column.cast(arrow_type(item))}
    return {name: column.cast(pa.string())}


def _mapped(column: Any, kind: pa.DataType, convert: Any, item: Field, place: str, expected: str) -> Any:
    values: list[Any] = []
    for number, text in enumerate(column.to_pylist(), 1):
        if text is None or text == "":
            values.append(None)
            continue
        try:
            values.append(convert(str(text).strip()))
        except (ValueError, InvalidOperation) as error:
            raise RecordsError(f"{place}：第 {number + 1} 行：{item.label}“{text}”{expected}") from error
    return pa.chunked_array([pa.array(values, kind)])


def _bool(text: str) -> bool:
    if text.lower() in TRUE_WORDS:
        return True
    if text.lower() in FALSE_WORDS:
        return False
    raise ValueError(text)


def _int(text: str) -> int:
    value = int(text)
    if abs(value) >= 10**12:
        raise ValueError(text)
    return value


def _decimal(text: str, item: Field) -> int:
    value = Decimal(text).scaleb(item.scale)
    if not value.is_finite() or value != value.to_integral_value() or abs(value) >= 10**item.digits:
        raise ValueError(text)
    return int(value)


def _codes(item: Field, column: Any, vocabulary: Vocabulary, place: str) -> Any:
    table = vocabulary.codes[item.target]
    column = column.cast(pa.string())
    encoded = column.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    names = []
    for text in encoded.dictionary.to_pylist():
        canonical = table.canonical(text.strip()) if text else None
        if canonical is None and text and table.closed:
            row = pc.index(column, text).as_py()
            hint = nearest(text, table.names())
            raise RecordsError(
                f"{place}：第 {row + 2} 行：{item.label}“{text}”不在代码表“{table.label}”中。{hint}"
            )
        names.append(canonical or text or None)
    return pa.chunked_array([pc.take(pa.array(names, pa.string()), encoded.indices)])


def _dates(name: str, item: Field, column: Any, place: str) -> dict[str, Any]:
    if pa.types.is_date32(column.type):
        return {name: column}
    if pa.types.is_temporal(column.type):
        return {name: column.cast(pa.date32())}
    days: list[date | None] = []
    precisions: list[int | None] = []
    for number, text in enumerate(column.cast(pa.string()).to_pylist(), 1):
        if not text:
            days.append(None)
            precisions.append(None)
            continue
        try:
            partial = PartialDate.parse(text)
        except ValueError as error:
            raise RecordsError(f"{place}：第 {number + 1} 行：{item.label}：{error}") from error
        # A year alone cannot be placed on the calendar: it is kept, but counts as not known.
        days.append(None if partial.precision == "year" else partial.first())
        precisions.append({"day": None, "month": 1, "year": partial.year}[partial.precision])
    result: dict[str, Any] = {name: pa.chunked_array([pa.array(days, pa.date32())])}
    if any(p is not None for p in precisions):
        result[name + PRECISION] = pa.chunked_array([pa.array(precisions, pa.int32())])
    return result


def moment(text: str) -> datetime:
    """Read `--known-at` (已知时点). Raises RecordsError."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise RecordsError(f"时点“{text}”应写作 2026-06-30 或 2026-06-30T17:00:00") from error
