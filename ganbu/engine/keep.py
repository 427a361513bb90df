"""Keeping the results of a run (保存评估结果): each policy's as Parquet, with a fingerprint of what it says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ganbu.engine.policy import Pack
from ganbu.errors import RecordsError

GROUP = 5000  # rows read to find one subject


def ordered(table: pa.Table) -> pa.Table:
    """Results in one order, whichever order the record had: by subject, then whatever else tells two rows apart."""
    keys = [
        name for name in ("对象", "名称", "结果", "后果", "起始日", "截止日") if name in table.column_names
    ]
    return table.sort_by([(key, "ascending") for key in keys]).combine_chunks()


def fingerprint(table: pa.Table) -> str:
    """SHA-256 of the results written out as CSV (指纹): the same whatever the order of the rows, the file, the engine."""
    plain = ordered(table)
    for at, column in enumerate(plain.columns):
        if not pa.types.is_string(column.type):
            plain = plain.set_column(at, plain.column_names[at], column.cast(pa.string()))
    written = pa.BufferOutputStream()
    pa_csv.write_csv(plain, written)
    return hashlib.sha256(written.getvalue()).hexdigest()


def put(table: pa.Table, folder: Path, policy: str) -> str:
    """Write one policy's results whole or not at all; gives the fingerprint."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(policy)
    part = path.with_name(path.name + ".part")
    pq.write_table(ordered(table), part, row_group_size=GROUP, compression="zstd")
    part.replace(path)
    return fingerprint(table)


def get(folder: Path, policy: str, subject: str | None = None) -> pa.Table:
    """What was kept of a policy, of one subject or of all. Raises RecordsError where it is gone or damaged."""
    path = folder / file_name(policy)
    try:
        return pq.read_table(
            path, filters=None if subject is None else [("对象", "=", subject)], partitioning=None
        )
    except (OSError, pa.ArrowException) as error:
        raise RecordsError(f"{path}：保存的评估结果读不出来：{error}") from error


def file_name(policy: str) -> str:
    """The file of a policy."""
    return f"{policy.replace('/', '／')}.parquet"


def pack_fingerprint(pack: Pack) -> str:
    """SHA-256 of the files of a pack and of all it inherits (规则包指纹)."""
    told = hashlib.sha256()
    for one in pack.lineage:
        for path in [one.folder] if one.folder.is_file() else sorted(one.folder.glob("*.yaml")):
            told.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return told.hexdigest()
