"""Arrow files mapped into memory (映射文件): written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

LEAST = 20_000  # rows; fewer are read and prepared as quickly


def worthwhile(rows: int) -> bool:
    """Whether so many rows are worth a file."""
    return rows >= LEAST


def write(path: Path, table: pa.Table, told: Mapping[bytes, bytes]) -> None:
    """Write a table and what is told with it; whoever reads the file that was there goes on doing so.

    Raises OSError where it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    whole = table.replace_schema_metadata(dict(told))
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with pa.ipc.new_file(file, whole.schema) as writer:
                writer.write_table(whole)
            file.flush()
            os.fsync(file.fileno())  # a name is not given to what a power cut may yet take away
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def told(path: Path) -> tuple[pa.ipc.RecordBatchFileReader, dict[bytes, bytes]] | None:
    """A reader of a file and what is told with it; None where there is no such file, or no whole one."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
    except (OSError, pa.ArrowInvalid):
        return None
    return reader, dict(reader.schema.metadata or {})
