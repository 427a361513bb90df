"""Many counties' records as one (全省汇总): gathered, people known in several counted once, results handed back.

A gathered folder holds each register as Parquet by county (`person/__region=某县/part.parquet`), `gathered.json`, the
people that several counties sent (`_members.parquet`), where those differ (`_differences.parquet`) and who may be
the same but cannot be told to be (`_alike.parquet`). Identities become `某县:编号`.
"""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ganbu.engine.keep import file_name
from ganbu.engine.kernel import Shelf
from ganbu.engine.records import META, PRECISION, Records
from ganbu.engine.run import Run, Store
from ganbu.engine.sql import Snapshot
from ganbu.engine.sqlrun import seen
from ganbu.errors import MisuseError, RecordsError
from ganbu.formats.zips import open_archive
from ganbu.records.matching import valid_id_number
from ganbu.vocabulary import Register, Vocabulary, load_vocabulary

MANIFEST, WHOLE = "gathered.json", "全省"
REGION, ROW = "__region", "rowid"


@dataclass
class Gathering:
    """What gathering found: rows by register, people sent by several counties, and what somebody should look at.

    `absent` are the registers that a county did not send and others did: its people count as having no such row.
    """

    rows: dict[str, int] = field(default_factory=dict)
    regions: list[str] = field(default_factory=list)
    absent: dict[str, list[str]] = field(default_factory=dict)
    shared: int = 0
    repeated: int = 0
    differences: int = 0
    alike: int = 0


@dataclass
class _People:
    """Who is who (归并): for each county the identities it uses for people that live under another county's."""

    elsewhere: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    members: list[tuple[str, str, str]] = field(default_factory=list)
    filled: dict[str, dict[str, Any]] = field(default_factory=dict)
    differences: list[tuple[str, str, str, str]] = field(default_factory=list)
    alike: list[tuple[str, str, str]] = field(default_factory=list)


def gather(packages: Mapping[str, Path], into: Path, vocabulary: Vocabulary | None = None) -> Gathering:
    """Gather counties' packages (records folders, or zips of one) into a folder that is new or empty.

    A person is known by ID number; the county where they hold a post now, the latest begun, gives the row, the
    others fill its gaps. Rows that two counties both sent are counted once. Raises RecordsError, FormatError and
    MisuseError; nothing is left behind then.
    """
    vocabulary = vocabulary or load_vocabulary()
    for region in packages:
        if not region or set(region) & set(':/\\= "') or region.startswith((".", "_")) or region == WHOLE:
            raise MisuseError(f"县名“{region}”不能用：不能有 : / \\ = 引号和空格，也不能叫“{WHOLE}”")
    if into.exists() and any(into.iterdir()):
        raise MisuseError(f"{into} 不是空文件夹，不会覆盖")
    into.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{into.name}-", dir=into.parent))
    try:
        found = _gathered(packages, work, vocabulary)
        if into.exists():
            into.rmdir()
        work.replace(into)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _gathered(packages: Mapping[str, Path], work: Path, vocabulary: Vocabulary) -> Gathering:
    extra: dict[str, set[str]] = defaultdict(set)
    registers: dict[str, None] = {}
    people: dict[str, list[dict[str, Any]]] = {}
    sent: dict[str, set[str]] = {}
    for region, path in packages.items():
        with _package(path, region, vocabulary) as records:
            for name, table in records.tables.items():
                registers[name] = None
                extra[name] |= set(table.column_names) - set(vocabulary.registers[name].fields)
            people[region] = _identities(records)
            sent[region] = set(records.tables)
    for columns in extra.values():
        if columns & {"recorded_at", "superseded_at"}:
            columns |= {"recorded_at", "superseded_at"}
    who = _merged(people, vocabulary)
    found = Gathering(regions=list(packages), shared=len({m for m, _r, _l in who.members}))
    found.differences, found.alike = len(who.differences), len(who.alike)
    for region, names in sent.items():
        if missing := [vocabulary.registers[name].label for name in registers if name not in names]:
            found.absent[region] = missing
    shared = {merged for merged, _region, _local in who.members}
    twice: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    marks = Snapshot(frozenset(registers), frozenset())
    for region, path in packages.items():
        with _package(path, region, vocabulary) as records:
            ready: dict[str, pa.Table] = {}
            for name, table in records.tables.items():
                register = vocabulary.registers[name]
                table = _renamed(table, register, region, who.elsewhere[region])
                if name == "person":
                    table = _settled(table, register, region, who)
                elif shared:
                    before = table.num_rows
                    table = _once(table, register, shared, twice[name])
                    found.repeated += before - table.num_rows
                ready[name] = _complete(table, extra[name])
            for name, table in ready.items():
                first = found.rows.get(name, 0)
                found.rows[name] = first + table.num_rows
                numbers = pa.array(range(first, first + table.num_rows), pa.int64())
                folder = work / name / f"{REGION}={region}"
                folder.mkdir(parents=True)
                pq.write_table(table.append_column(ROW, numbers), folder / "part.parquet")
            local = seen(ready)
            marks = Snapshot(
                marks.loaded, marks.gaps | local.gaps, "", marks.bitemporal | local.bitemporal, marks.partial | local.partial
            )  # fmt: skip
    _write(work / "_members.parquet", ("merged", "region", "local"), who.members)
    _write(work / "_differences.parquet", ("merged", "field", "region", "value"), who.differences)
    _write(work / "_alike.parquet", ("one", "other", "name"), who.alike)
    manifest = {
        "regions": found.regions, "rows": found.rows, "gaps": sorted(marks.gaps), "partial": sorted(marks.partial),
        "bitemporal": sorted(marks.bitemporal), "mark": uuid.uuid4().hex,
    }  # fmt: skip
    (work / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")
    return found


@contextmanager
def _package(path: Path, region: str, vocabulary: Vocabulary) -> Iterator[Records]:
    if not path.exists():
        raise RecordsError(f"{region}：没有数据包 {path}")
    try:
        if path.is_dir():
            yield Records.open(path, vocabulary)
            return
        with tempfile.TemporaryDirectory() as folder, open_archive(path, path.name) as archive:
            for name, info in archive.entries:
                (Path(folder) / Path(name).name).write_bytes(archive.read(name, info))
            yield Records.open(folder, vocabulary)
    except RecordsError as error:
        raise RecordsError(f"{region}：{error}") from error


def _identities(records: Records) -> list[dict[str, Any]]:
    """People of a county with what tells who they are, and when their present post began."""
    table = records.tables.get("person")
    if table is None:
        return []
    since: dict[str, Any] = {}
    held = records.tables.get("appointment")
    if held is not None:
        for row in _now(held).select(["person", "start_date", "end_date"]).to_pylist():
            if row["end_date"] is None and row["start_date"] is not None:
                since[row["person"]] = max(since.get(row["person"], row["start_date"]), row["start_date"])
    rows: dict[str, dict[str, Any]] = {row["person_id"]: row for row in _now(table).to_pylist()}
    return [{**row, "__since": since.get(key)} for key, row in rows.items()]


def _now(table: pa.Table) -> pa.Table:
    """The rows that have not been superseded: a package may bring its history."""
    return (
        table.filter(pc.is_null(table["superseded_at"])) if "superseded_at" in table.column_names else table
    )


def _merged(people: Mapping[str, list[dict[str, Any]]], vocabulary: Vocabulary) -> _People:
    by_number: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    by_looks: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for region, rows in people.items():
        for row in rows:
            number = (row.get("id_number") or "").strip().upper()
            if valid_id_number(number):  # what stands in for a number nobody knows is no number
                by_number[number].append((region, row))
            if row.get("name") and row.get("birth_date"):
                by_looks[row["name"], row["birth_date"], row.get("sex")].append((region, row))
    who = _People()
    for found in by_number.values():
        if len({region for region, _ in found}) > 1:
            _merge(found, who, vocabulary.registers["person"])
    for (name, *_rest), found in by_looks.items():
        numbers = {(row.get("id_number") or "").strip().upper() for _, row in found}
        if len({region for region, _ in found}) > 1 and not all(map(valid_id_number, numbers)):
            one, *others = [f"{region}:{row['person_id']}" for region, row in found]
            who.alike += [(one, other, name) for other in others]
    return who


def _merge(found: list[tuple[str, dict[str, Any]]], who: _People, register: Register) -> None:
    latest = max((row["__since"] for _, row in found if row["__since"]), default=None)
    keeper = next((at for at, (_, row) in enumerate(found) if latest and row["__since"] == latest), 0)
    region, kept = found[keeper]
    merged = f"{region}:{kept['person_id']}"
    filled: dict[str, Any] = {}
    for other, row in found:
        if row is not kept and other == region:
            continue  # two people of one county with one number are that county's to sort out
        who.members.append((merged, other, row["person_id"]))
        if row is kept:
            continue
        if other != region:
            who.elsewhere[other][row["person_id"]] = merged
        for key, spec in register.fields.items():
            value = row.get(key)
            if value is None or key == register.id_field:
                continue
            if kept.get(key) is None:
                filled.setdefault(key, value)
            elif kept[key] != value:
                who.differences.append((merged, spec.label, other, str(value)))
    who.filled[merged] = filled


def _renamed(table: pa.Table, register: Register, region: str, elsewhere: Mapping[str, str]) -> pa.Table:
    """Identities and references with the county before them; people kept under another county by that one's."""
    for spec in register.fields.values():
        target = (
            register.name if spec.name == register.id_field else (spec.target if spec.kind == "ref" else "")
        )
        if not target or not pa.types.is_string(table[spec.name].type):
            continue
        column = table[spec.name]
        new = pc.binary_join_element_wise(pa.scalar(region), column, ":")
        if target == "person" and elsewhere:
            at = pc.index_in(column, value_set=pa.array(list(elsewhere), pa.string()))
            moved = pa.chunked_array([pa.array(list(elsewhere.values()), pa.string())]).take(at)
            new = pc.coalesce(moved, new)
        table = table.set_column(table.column_names.index(spec.name), spec.name, new)
    return table


def _settled(table: pa.Table, register: Register, region: str, who: _People) -> pa.Table:
    """The people of a county that it is the one to tell of, gaps filled from what other counties know."""
    ids = table[register.id_field]
    gone = pa.array(sorted(set(who.elsewhere[region].values())), pa.string())
    table = table.filter(pc.invert(pc.is_in(ids, value_set=gone)))
    ended = table["superseded_at"] if "superseded_at" in table.column_names else pa.nulls(table.num_rows)
    present = pc.indices_nonzero(pc.is_null(ended))
    seats = {
        key: at
        for at, key in zip(
            present.to_pylist(), table[register.id_field].take(present).to_pylist(), strict=True
        )
    }
    patches: dict[str, dict[int, Any]] = defaultdict(dict)
    for merged, values in who.filled.items():
        if merged in seats:
            for key, value in values.items():
                patches[key][seats[merged]] = value
    for key, patch in patches.items():
        values = table[key].to_pylist()
        for at, value in patch.items():
            values[at] = value
        table = table.set_column(table.column_names.index(key), key, pa.array(values, table[key].type))
    return table


def _once(table: pa.Table, register: Register, shared: set[str], known: set[tuple[Any, ...]]) -> pa.Table:
    """Rows about shared people that another county has not sent already."""
    links = [spec.name for spec in register.links_to("person")]
    if not links:
        return table
    value_set = pa.array(sorted(shared), pa.string())
    about = pc.is_in(table[links[0]], value_set=value_set)
    at = pc.indices_nonzero(about)
    told = [
        spec.name
        for spec in register.fields.values()
        if spec.name != register.id_field and not (spec.kind == "ref" and spec.target != "person")
    ]
    keys = [tuple(row.values()) for row in table.select(told).take(at).to_pylist()]
    gone = {seat for seat, key in zip(at.to_pylist(), keys, strict=True) if key in known}
    known |= set(keys)  # only now: what one county itself sent twice is left as it is
    return (
        table.filter(pa.array([seat not in gone for seat in range(table.num_rows)], pa.bool_()))
        if gone
        else table
    )


def _complete(table: pa.Table, extra: set[str]) -> pa.Table:
    for column in sorted(extra - set(table.column_names)):
        kind = META.get(column, pa.int32() if column.endswith(PRECISION) else pa.string())
        table = table.append_column(column, pa.nulls(table.num_rows, kind))
    return table.select(sorted(table.column_names))


def _write(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    pq.write_table(
        pa.table({name: pa.array(list(v), pa.string()) for name, v in zip(columns, by_column, strict=True)}),
        path,
    )


class Gathered(Store):
    """A gathered folder as a store for runs: Spark reads it where it lies, the other engines load it."""

    def __init__(self, folder: Path, vocabulary: Vocabulary | None = None) -> None:
        try:
            told = json.loads((folder / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RecordsError(
                f"{folder}：不是汇总文件夹（没有完好的 {MANIFEST}），请先用 ganbu province gather"
            ) from error
        self.folder, self.vocabulary = folder, vocabulary or load_vocabulary()
        # What was gathered is never other: what the kernel prepares of it is kept beside it.
        self.shelf = Shelf(folder / "_columns", self._mark) if told.get("mark") else None
        self.gathering: str = told.get("mark", "")
        self.rows: dict[str, int] = told["rows"]
        self.regions: list[str] = told["regions"]
        pairs = {key: frozenset((r, f) for r, f in told[key]) for key in ("gaps", "partial")}
        self.snapshot = Snapshot(
            frozenset(self.rows), pairs["gaps"], "", frozenset(told["bitemporal"]), pairs["partial"]
        )

    def _mark(self, register: str) -> str:
        known = self.vocabulary.registers.get(register) if self.rows.get(register) else None
        return f"{self.gathering} {known.shape}" if known else "-"

    @cached_property
    def records(self) -> Records:  # type: ignore[override]
        """Everything in memory, in the order of gathering."""
        tables = {}
        for name in self.rows:
            parts = [
                pq.read_table(self.folder / name / f"{REGION}={r}" / "part.parquet", partitioning=None)
                for r in self.regions
                if (self.folder / name / f"{REGION}={r}").exists()
            ]
            tables[name] = pa.concat_tables(parts).drop_columns([ROW])
        known = {name: table for name, table in tables.items() if name in self.vocabulary.registers}
        return Records(known, self.vocabulary)  # they were checked when they were gathered

    @cached_property
    def spark(self) -> Any:
        """The folder in Spark."""
        from ganbu.engine.spark import SparkTables

        return SparkTables.of_folder(self.folder, self.snapshot, sum(self.rows.values()))

    @cached_property
    def members(self) -> dict[str, list[tuple[str, str]]]:
        """For people that several counties sent, each county and its own identity for them."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in pq.read_table(self.folder / "_members.parquet").to_pylist():
            found[row["merged"]].append((row["region"], row["local"]))
        return found


def hand_back(run: Run, store: Gathered, out: Path) -> dict[str, int]:
    """Each county's results under its own identities: `某县/规则.parquet`; those about groups under `全省`.

    Gives the rows written by county. A rule whose name another pack has used already is told apart by its pack.
    """
    written: dict[str, int] = defaultdict(int)
    for policy in run.names:
        table = run.table(policy)
        file = file_name(policy)
        if any(out.glob(f"*/{glob.escape(file)}")):
            file = file_name(f"{run.evaluator.pack.title} {policy}")
        grouped = run.evaluator.judge(policy).lowered.layout == "groups"
        for region, part in {WHOLE: table}.items() if grouped else _by_region(table, store):
            (out / region).mkdir(parents=True, exist_ok=True)
            pq.write_table(part, out / region / file)
            written[region] += part.num_rows
    return dict(written)


def _by_region(table: pa.Table, store: Gathered) -> Iterator[tuple[str, pa.Table]]:
    seats: dict[str, list[int]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for at, subject in enumerate(table["对象"].to_pylist()):
        region, _, local = str(subject).partition(":")
        for place, own in store.members.get(str(subject)) or [(region, local)]:
            seats[place].append(at)
            names[place].append(own)
    for region in store.regions:
        part = table.take(pa.array(seats[region], pa.int64()))
        yield (
            region,
            part.set_column(part.column_names.index("对象"), "对象", pa.array(names[region], pa.string())),
        )
