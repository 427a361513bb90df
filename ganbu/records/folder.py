"""A records folder that changes all at once (档案文件夹的整体写入): prepared aside, put in place by a journal, undone as a batch.

A batch lies in `_imports/<batch>/`: `fresh/` holds the new files, `before/` the ones they replace, `journal.json` what
to do with them. Only when all of it is on disk does `_imports/pending` name the batch; from then on the change is
certain, and whoever opens the folder next completes it if it was interrupted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganbu.engine.records import Records
from ganbu.errors import RecordsError

LOG, PENDING, JOURNAL = "_imports", "pending", "journal.json"


@dataclass
class Journal:
    """What a batch does to a folder (日志): files put in place, files taken away, and their fingerprints afterwards."""

    put: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    after: dict[str, str] = field(default_factory=dict)
    done: bool = False
    undoes: str = ""

    def save(self, path: Path) -> None:
        """Write it so that it is whole or not there."""
        _write(path, json.dumps(self.__dict__, ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read it back."""
        return cls(**json.loads(path.read_text("utf-8")))


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder for one writer (独占写入), and complete what an earlier one left. Raises RecordsError when it is held."""
    (folder / LOG).mkdir(parents=True, exist_ok=True)
    with (folder / LOG / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RecordsError(f"{folder}：另一个导入正在进行，请等它结束后再试") from error
        _complete(folder)
        yield


def recover(folder: Path) -> bool:
    """Complete a change that was interrupted (恢复中断的写入); whether there was one."""
    if not (folder / LOG / PENDING).exists():
        return False
    with writing(folder):
        return True


def open_records(folder: Path, vocabulary: Any = None) -> Records:
    """Open a records folder, first completing a change that was interrupted. Raises RecordsError."""
    recover(folder)
    return Records.open(folder, vocabulary)


def _complete(folder: Path) -> None:
    pending = folder / LOG / PENDING
    if not pending.exists():
        return
    batch = folder / LOG / pending.read_text("utf-8").strip()
    journal = Journal.load(batch / JOURNAL)
    for name in journal.put:
        # A copy, so that doing it again after another interruption does the same.
        part = folder / f".{name}.part"
        shutil.copy2(batch / "fresh" / name, part)
        part.replace(folder / name)
    for name in journal.remove:
        (folder / name).unlink(missing_ok=True)
    journal.done = True
    journal.save(batch / JOURNAL)
    pending.unlink()
    if journal.undoes:
        shutil.rmtree(folder / LOG / journal.undoes, ignore_errors=True)
        shutil.rmtree(batch, ignore_errors=True)
    else:
        shutil.rmtree(batch / "fresh", ignore_errors=True)


def new_batch(folder: Path) -> str:
    """A name for a batch; names sort in the order they are given."""
    made = [f.name for f in (folder / LOG).iterdir() if f.is_dir()] if (folder / LOG).is_dir() else []
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{sum(name.startswith(stamp) for name in made) + 1:03}"


def replace_tables(
    folder: Path, batch: str, tables: Records, old: dict[str, str], extra: dict[str, str]
) -> None:
    """Put the tables in place together (整体替换); `old` tells the file each table stands in now, if any.

    `extra` are texts kept with the batch, by file name. Call it inside `writing`.
    """
    log = folder / LOG / batch
    (log / "before").mkdir(parents=True)
    tables.write(log / "fresh")
    journal = Journal()
    for path in sorted((log / "fresh").iterdir()):
        journal.put.append(path.name)
        journal.after[path.name] = _fingerprint(path)
        held = old.get(path.stem)
        if held is not None:
            shutil.copy2(folder / held, log / "before" / held)
            if held != path.name:
                journal.remove.append(held)
    for name, text in extra.items():
        (log / name).write_text(text, "utf-8")
    journal.save(log / JOURNAL)
    _write(folder / LOG / PENDING, batch + "\n")
    _complete(folder)


def batches(folder: Path) -> list[str]:
    """The batches that can be undone (可撤销的批次), oldest first."""
    log = folder / LOG
    if not log.is_dir():
        return []
    return sorted(f.parent.name for f in log.glob(f"*/{JOURNAL}") if Journal.load(f).done)


def undo(folder: Path, batch: str) -> None:
    """Put the tables of a batch back as they were before it (撤销导入); only the last batch can be undone.

    Tables it did not write are left alone. Raises RecordsError when one it wrote has been changed since.
    """
    with writing(folder):
        known = batches(folder)
        if batch not in known:
            hint = f"，可撤销的是 {known[-1]}" if known else ""
            raise RecordsError(f"{folder}：没有导入批次“{batch}”{hint}")
        if batch != known[-1]:
            raise RecordsError(f"先撤销后来的批次 {known[-1]}，再撤销 {batch}")
        log = folder / LOG / batch
        made = Journal.load(log / JOURNAL)
        for name, fingerprint in made.after.items():
            if not (folder / name).exists() or _fingerprint(folder / name) != fingerprint:
                raise RecordsError(
                    f"{folder / name}：导入之后又有改动，撤销会丢掉它；"
                    f"请先另存这个文件，再从 {log / 'before'} 取回原来的表"
                )
        back = folder / LOG / f"{batch}-undo"
        shutil.rmtree(back, ignore_errors=True)
        shutil.copytree(log / "before", back / "fresh")
        kept = sorted(f.name for f in (log / "before").iterdir())
        journal = Journal(kept, [name for name in made.put if name not in kept], undoes=batch)
        journal.save(back / JOURNAL)
        _write(folder / LOG / PENDING, back.name + "\n")
        _complete(folder)
