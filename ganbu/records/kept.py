"""Large tables of the snapshot on disk (快照文件): mapped into memory by every process, brought up to date from the record.

A file tells which changes it has seen, so that it is never taken for more than it is; one that does not fit the
record any more is read again. It holds what the database holds unencrypted, readable by its owner only.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from django.conf import settings

from ganbu.engine import mapped
from ganbu.records.snapshot import NUMBER
from ganbu.vocabulary import Register

FOLDER = "snapshot"
LOG = logging.getLogger("ganbu.snapshot")
SEEN, SHAPE, MARK = b"seen", b"shape", b"mark"


@dataclass
class Kept:
    """A table from its file, the numbers of its rows, its mark, and the changes since that touched it."""

    table: pa.Table
    numbers: Any
    mark: str
    changes: list[int]


def path_of(register: Register) -> Path:
    """The file of a register."""
    return Path(settings.HOME) / FOLDER / f"{register.name}.arrow"


def columns_folder() -> Path:
    """Where what the kernel prepared of the registers is kept."""
    return Path(settings.HOME) / FOLDER / "columns"


def keep(register: Register, table: pa.Table, numbers: Any, seen: Mapping[int, str]) -> str:
    """Write a table with the numbers of its rows, and the changes that it has seen; gives the mark of what was written.

    Where the folder cannot be written to, the record is read from the database each time, and the log says so.
    """
    if not mapped.worthwhile(table.num_rows):
        return ""
    mark, path = uuid.uuid4().hex, path_of(register)
    told = {SEEN: json.dumps(seen).encode(), SHAPE: register.shape.encode(), MARK: mark.encode()}
    try:
        mapped.write(path, table.append_column(NUMBER, pa.array(numbers)), told)
    except OSError as error:
        LOG.warning("%s：快照文件写不下：%s", path, error)
        return ""
    return mark


def kept(register: Register, told: Mapping[int, tuple[str, Mapping[str, int]]]) -> Kept | None:
    """What is on disk of a register; None where it is of no use.

    `told` are the last changes: their digests, and how many rows of which registers they wrote.
    """
    found = mapped.told(path_of(register)) if told else None
    if found is None or found[1].get(SHAPE) != register.shape.encode():
        return None
    reader, metadata = found
    try:
        seen = {int(pk): digest for pk, digest in json.loads(metadata[SEEN]).items()}
        table = reader.read_all()
        mark = metadata[MARK].decode()
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
    return Kept(table.drop_columns([NUMBER]).replace_schema_metadata(None), numbers, mark, changes)
