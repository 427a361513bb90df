"""The records a run looks at (档案快照): one Arrow table per register, checked against the vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ganbu.dates import PartialDate
from ganbu.engine.record_files import SUFFIXES, Origin, plain_text, read_day, read_file, write_file
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


def arrow_type(item: Field) -> pa.DataType:
    """The Arrow type of a field; decimals are stored as whole numbers of their last digit's unit."""
    return {"int": pa.int64(), "decimal": pa.int64(), "date": pa.date32(), "bool": pa.bool_()}.get(
        item.kind, pa.string()
    )


@dataclass
class Records:
    """Tables by register (登记表数据), typed; `place` says where each came from, for messages."""

    tables: MutableMapping[str, pa.Table] = field(default_factory=dict)
    vocabulary: Vocabulary = field(default_factory=load_vocabulary)
    places: dict[str, str] = field(default_factory=dict)
    # Columns that are dear to read, such as sealed ones: by register and field, when something asks for them.
    later: Callable[[str, str], Any] | None = field(default=None, repr=False, compare=False)

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
            if path.suffix.lower() not in SUFFIXES or path.name.startswith((".", "_")):
                continue
            stem = path.stem.strip()
            register = vocabulary.find(stem) or vocabulary.find(stem.lower())
            if register is None:
                hint = nearest(stem, _all_names(vocabulary))
                raise RecordsError(f"{path}：没有名为“{stem}”的登记表。{hint}")
            if register.name in records.tables:
                both = f"{Path(records.places[register.name]).name}、{path.name}"
                raise RecordsError(f"{folder}：登记表“{register.label}”有两个文件：{both}，请只留一个")
            records.add(register.name, *read_file(path))
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

    def add(self, name: str, table: pa.Table, origin: Origin | str = "") -> None:
        """Check and type one table; `origin` says where its rows came from, for messages."""
        register = self.vocabulary.registers[name]
        if isinstance(origin, str):
            origin = Origin(origin)
        self.places[name] = origin.place
        if not origin.place:
            origin = Origin(register.label)
        self.tables[name] = _typed(register, table, self.vocabulary, origin)

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
            write_file(self._plain(name), folder / f"{name}.{fmt}")

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
                    None if v is None else format(Decimal(v).scaleb(-item.scale).normalize(), "f")
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


def _from_rows(
    register: Register, rows: list[Mapping[str, Any]], vocabulary: Vocabulary, place: str
) -> pa.Table:
    written: dict[str, str] = {}  # what a field is called in the rows: its name
    for number, row in enumerate(rows, 1):
        for key in row:
            if key in written:
                continue
            item = register.find(key)
            if item is None and key not in META:
                hint = nearest(key.strip(), _field_names(register)) or _labels(register)
                raise RecordsError(f"{place}：{register.label} 第 {number} 行：没有字段“{key}”。{hint}")
            written[key] = item.name if item else key
    columns: dict[str, list[str | None]] = {}
    for key, name in written.items():
        values = [None if (value := row.get(key)) is None else plain_text(value) for row in rows]
        if name in columns:  # a field by its name in some rows, by its label in others
            values = [one if two is None else two for one, two in zip(columns[name], values, strict=True)]
        columns[name] = values
    columns.setdefault(register.id_field, [None] * len(rows))
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _field_names(register: Register) -> list[str]:
    return [text for f in register.fields.values() for text in (f.label, f.name)]


def _labels(register: Register) -> str:
    return "可用：" + "、".join(f.label for f in register.fields.values())


def _typed(register: Register, table: pa.Table, vocabulary: Vocabulary, origin: Origin) -> pa.Table:
    columns: dict[str, Any] = {}
    for at, key in enumerate(table.column_names):
        if key.endswith(PRECISION):
            columns[key] = table.column(at)
            continue
        plain = key.strip()
        item = register.find(plain)
        if item is None and plain not in META:
            hint = nearest(plain, _field_names(register)) or _labels(register)
            raise RecordsError(f"{origin.place}：没有字段“{key}”。{hint}")
        name = item.name if item else plain
        if name in columns:
            raise RecordsError(f"{origin.place}：字段“{name}”出现两次")
        columns.update(_column(name, item, table.column(at), vocabulary, origin))
    absent = [item for item in register.fields.values() if item.name not in columns]
    zeros = pa.py_buffer(bytes(8 * (table.num_rows + 1))) if absent else None
    for item in absent:
        columns[item.name] = _nothing(arrow_type(item), table.num_rows, zeros)
    if register.id_field and register.fields[register.id_field].kind == "id":
        columns[register.id_field] = _identities(register, columns, table.num_rows, origin)
    return pa.table(columns)


def _nothing(kind: pa.DataType, rows: int, zeros: Any) -> pa.Array:
    """A column without a value; all of a table share their room, which is nothing but zeros."""
    buffers = 3 if pa.types.is_string(kind) else 2
    return pa.Array.from_buffers(kind, rows, [zeros] * buffers, null_count=rows)


def _identities(register: Register, columns: dict[str, Any], rows: int, origin: Origin) -> Any:
    """The identities, none missing; one may stand twice only where one row had ended before the other was recorded."""
    column = columns[register.id_field]
    missing = column.null_count
    label = register.fields[register.id_field].label
    if missing and register.key and register.subject == "":
        raise RecordsError(f"{origin.at(_first_null(column))}：缺少{label}")
    if missing:
        values = [value or f"{register.name}-{number}" for number, value in enumerate(column.to_pylist(), 1)]
        column = pa.chunked_array([pa.array(values, pa.string())])
    if rows and pc.count_distinct(column).as_py() != rows:
        double = _held_twice(column, columns)
        if double is not None:
            key, one, two = double
            place = f"{origin.at(one)}和{origin.at(two).rpartition('：')[2]}"
            raise RecordsError(f"{place}：{label}“{key}”重复，每行应有自己的编号")
    return column


def _held_twice(column: Any, columns: dict[str, Any]) -> tuple[str, int, int] | None:
    """An identity that two rows have at one time, if any, and the two."""
    empty = [None] * len(column)
    begins = columns["recorded_at"].to_pylist() if "recorded_at" in columns else empty
    ends = columns["superseded_at"].to_pylist() if "superseded_at" in columns else empty
    spans: dict[str, list[tuple[datetime, datetime, int]]] = {}
    for at, (key, begin, end) in enumerate(zip(column.to_pylist(), begins, ends, strict=True)):
        spans.setdefault(key, []).append((begin or datetime.min, end or datetime.max, at))
    for key, held in spans.items():
        held.sort()
        for one, two in pairwise(held):
            if one[1] > two[0]:
                first, second = sorted((one[2], two[2]))
                return key, first, second
    return None


def _first_null(column: Any) -> int:
    return int(pc.index(pc.is_null(column), True).as_py())


def _column(
    name: str, item: Field | None, column: Any, vocabulary: Vocabulary, origin: Origin
) -> dict[str, Any]:
    label = item.label if item else name
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        message = f"字段“{label}”每格是列表、对象或二进制（{kind}），应只有一个值；多个值请分成多行登记"
        raise RecordsError(f"{origin.place}：{message}")
    try:
        if item is None:
            return {name: _meta(name, column, origin)}
        if pa.types.is_dictionary(column.type):
            column = column.cast(kind)
        return _values(name, item, column, vocabulary, origin)
    except pa.ArrowException as error:
        message = f"字段“{label}”的类型 {kind} 不能用作 {item.type_text if item else META[name]}"
        raise RecordsError(f"{origin.place}：{message}") from error


def _meta(name: str, column: Any, origin: Origin) -> Any:
    try:
        return column.cast(META[name])
    except pa.ArrowInvalid:
        for index, value in enumerate(column):
            try:
                value.cast(META[name])
            except pa.ArrowInvalid as error:
                expected = "应写作 2026-06-30T17:00:00，不带时区"
                raise RecordsError(f"{origin.at(index)}：{name}“{value.as_py()}”{expected}") from error
        raise


def _values(name: str, item: Field, column: Any, vocabulary: Vocabulary, origin: Origin) -> dict[str, Any]:
    if item.kind == "date":
        return date_columns(name, item, column, origin)
    if item.kind == "code":
        return {name: _codes(item, column, vocabulary, origin)}
    if item.kind == "bool" and not pa.types.is_boolean(column.type):
        return {name: _mapped(column, pa.bool_(), _bool, item, origin, "应为 是/否")}
    if item.kind == "int" and not pa.types.is_integer(column.type):
        return {name: _mapped(column, pa.int64(), _int, item, origin, "应为整数")}
    if item.kind == "decimal":
        expected = f"应为至多 {item.scale} 位小数"
        return {name: _mapped(column, pa.int64(), lambda text: _decimal(text, item), item, origin, expected)}
    return {name: column.cast(arrow_type(item))}


def _mapped(column: Any, kind: pa.DataType, convert: Any, item: Field, origin: Origin, expected: str) -> Any:
    values: list[Any] = []
    for index, value in enumerate(column.to_pylist()):
        text = "" if value is None else str(value).strip()
        try:
            values.append(convert(text) if text else None)
        except (ValueError, InvalidOperation) as error:
            raise RecordsError(f"{origin.at(index)}：{item.label}“{value}”{expected}") from error
    return pa.chunked_array([pa.array(values, kind)])


def _bool(text: str) -> bool:
    if text.lower() in TRUE_WORDS:
        return True
    if text.lower() in FALSE_WORDS:
        return False
    raise ValueError(text)


def _int(text: str) -> int:
    # A table with gaps in a column of whole numbers saves them as 3.0.
    value = int(text.removesuffix(".0"))
    if abs(value) >= 10**12:
        raise ValueError(text)
    return value


def _decimal(text: str, item: Field) -> int:
    value = Decimal(text).scaleb(item.scale)
    if not value.is_finite() or value != value.to_integral_value() or abs(value) >= 10**item.digits:
        raise ValueError(text)
    return int(value)


def _codes(item: Field, column: Any, vocabulary: Vocabulary, origin: Origin) -> Any:
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
            place = origin.at(pc.index(column, text).as_py())
            hint = nearest(text, table.names())
            raise RecordsError(f"{place}：{item.label}“{text}”不在代码表“{table.label}”中。{hint}")
        names.append(canonical or text or None)
    return pa.chunked_array([pc.take(pa.array(names, pa.string()), encoded.indices)])


def date_columns(name: str, item: Field, column: Any, origin: Origin) -> dict[str, Any]:
    """A column of dates as days, and beside it how precisely each is known where it is not to the day."""
    if pa.types.is_date32(column.type):
        return {name: column}
    if pa.types.is_timestamp(column.type) or pa.types.is_date64(column.type):
        return {name: column.cast(pa.date32(), safe=False)}  # the day counts, whatever the hour
    encoded = column.cast(pa.string()).dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = (
            encoded.combine_chunks() if encoded.num_chunks else pa.array([], pa.string()).dictionary_encode()
        )
    days: list[date | None] = []
    precisions: list[int | None] = []
    for text in encoded.dictionary.to_pylist():
        if not text or not text.strip():
            days.append(None)
            precisions.append(None)
            continue
        try:
            partial = read_day(text)
        except ValueError as error:
            place = origin.at(pc.index(column.cast(pa.string()), text).as_py())
            raise RecordsError(f"{place}：{item.label}“{text}”{error}") from error
        # A year alone cannot be placed on the calendar: it is kept, but counts as not known.
        days.append(None if partial.precision == "year" else partial.first())
        precisions.append({"day": None, "month": 1, "year": partial.year}[partial.precision])
    result: dict[str, Any] = {name: pa.chunked_array([pc.take(pa.array(days, pa.date32()), encoded.indices)])}
    if any(p is not None for p in precisions):
        result[name + PRECISION] = pa.chunked_array(
            [pc.take(pa.array(precisions, pa.int32()), encoded.indices)]
        )
    return result


def moment(text: str) -> datetime:
    """Read `--known-at` (已知时点). Raises RecordsError."""
    try:
        if len(text.strip()) == 10:  # a day alone: all that was recorded on it is known
            return datetime.fromisoformat(text.strip()).replace(
                hour=23, minute=59, second=59, microsecond=999_999
            )
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is None else found.astimezone().replace(tzinfo=None)
    except ValueError as error:
        raise RecordsError(f"时点“{text}”应写作 2026-06-30 或 2026-06-30T17:00:00") from error
