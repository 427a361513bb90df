"""Large tables of the snapshot on disk (快照文件): mapped into memory by every process, brought up to date from the record.

A file tells which changes it has seen, so that it is never taken for more than it is; one that does not fit the
record any more is read again. It holds what the database holds unencrypted, readable by its owner only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from django.conf import settings

from ganbu.records.snapshot import NUMBER
from ganbu.vocabulary import Register

FOLDER = "snapshot"
LEAST = 20_000  # rows; fewer are read from the database as quickly
LOG = logging.getLogger("ganbu.snapshot")
SEEN, SHAPE = b"seen", b"shape"


def path_of(register: Register) -> Path:
    """The file of a register."""
    return Path(settings.HOME) / FOLDER / f"{register.name}.arrow"


def _shape(register: Register) -> bytes:
    """What the fields are: a file written by another version of the vocabulary is not ours."""
    told = [(item.name, item.kind, item.scale, item.sealed) for item in register.fields.values()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest().encode()


def keep(register: Register, table: pa.Table, numbers: Any, seen: Mapping[int, str]) -> None:
    """Write a table with the numbers of its rows, and the changes that it has seen; in one step, or not at all.

    Where the folder cannot be written to, the record is read from the database each time, and the log says so.
    """
    if table.num_rows < LEAST:
        return
    try:
        _write(path_of(register), register, table, numbers, seen)
    except OSError as error:
        LOG.warning("%s：快照文件写不下：%s", path_of(register), error)


def _write(path: Path, register: Register, table: pa.Table, numbers: Any, seen: Mapping[int, str]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = {SEEN: json.dumps(seen).encode(), SHAPE: _shape(register)}
    whole = table.append_column(NUMBER, pa.array(numbers)).replace_schema_metadata(told)
    handle, name = tempfile.mkstemp(dir=path.parent)  # readable by nobody else
    try:
        with os.fdopen(handle, "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
            writer.write_table(whole)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def kept(
    register: Register, told: Mapping[int, tuple[str, Mapping[str, int]]]
) -> tuple[pa.Table, Any, list[int]] | None:
    """A table from its file, the numbers of its rows, and the changes since that touched it; None where it is of no use.

    `told` are the last changes: their digests, and how many rows of which registers they wrote.
    """
    path = path_of(register)
    if not told or not path.is_file():
        return None
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = reader.schema.metadata or {}
        if metadata.get(SHAPE) != _shape(register):
            return None
        seen = {int(pk): digest for pk, digest in json.loads(metadata[SEEN]).items()}
        table = reader.read_all()
    except (OSError, pa.ArrowInvalid, ValueError, KeyError):
        return None
    fresh = [pk for pk, (digest, _rows) in told.items() if seen.get(pk) != digest]
    # What it has seen and the record has not, or has otherwise, was taken back by a restored backup.
    gone = any(pk > min(told) and pk not in told for pk in seen)
    other = any(seen.get(pk) not in (None, "", digest) for pk, (digest, _rows) in told.items())
    if len(fresh) == len(told) or gone or other:
        return None
    changes = [pk for pk in fresh if any(name.rstrip("-") == register.name for name in told[pk][1])]
    numbers = np.asarray(table[NUMBER].combine_chunks())
    return table.drop_columns([NUMBER]).replace_schema_metadata(None), numbers, changes
