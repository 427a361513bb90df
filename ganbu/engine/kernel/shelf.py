"""Columns on disk (列的存放): what was prepared of the record, mapped into memory by the next process that needs it.

Each is told with what it rests on: the registers, by a mark that is another as soon as one of their rows is. What
rests on anything else by now is made anew and takes its place, so that a file is never taken for more than it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ganbu.engine import mapped
from ganbu.engine.kernel.columns import Array

LOG = logging.getLogger("ganbu.snapshot")
FORM = "2"  # of what is written: another form is not ours
NAMES, RESTS, TOLD = b"names", b"rests", b"told"


class Shelf:
    """A folder of columns. `mark` gives the mark of a register's rows, or nothing where they are not to be kept."""

    def __init__(self, folder: Path, mark: Callable[[str], str]) -> None:
        self.folder, self.mark, self.full = folder, mark, False

    def rests(self, registers: Iterable[str]) -> bytes:
        """What something rests on, as it is told with it; empty where it is not to be kept."""
        marks = [(name, self.mark(name)) for name in sorted(set(registers))]
        if not all(mark for _name, mark in marks):
            return b""
        return hashlib.blake2b(json.dumps([FORM, marks]).encode()).hexdigest().encode()

    def get(self, names: tuple[str, ...], rests: bytes) -> tuple[pa.Table, Any] | None:
        """What was put under some names and rests on the same, and what was told with it."""
        found = mapped.told(self._path(names)) if rests else None
        if found is None or found[1].get(RESTS) != rests or found[1].get(NAMES) != _written(names):
            return None
        return found[0].read_all(), json.loads(found[1][TOLD])

    def put(self, names: tuple[str, ...], rests: bytes, table: pa.Table, said: Any = None) -> None:
        """Keep something; where that is not possible it is made anew each time, and the log says so once."""
        if not rests or self.full:
            return
        path = self._path(names)
        try:
            mapped.write(path, table, {NAMES: _written(names), RESTS: rests, TOLD: json.dumps(said).encode()})
        except (OSError, pa.ArrowException) as error:
            self.full = True
            LOG.warning("%s：快照文件写不下：%s", path, error)

    def _path(self, names: tuple[str, ...]) -> Path:
        return self.folder / f"{hashlib.blake2b(_written(names), digest_size=16).hexdigest()}.arrow"


def _written(names: tuple[str, ...]) -> bytes:
    return json.dumps(names, ensure_ascii=False).encode()


def plain(column: pa.ChunkedArray) -> Array:
    """A column without missing values as it lies in the file; of texts the places among those it has."""
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return np.asarray(whole.indices if isinstance(whole, pa.DictionaryArray) else whole)
