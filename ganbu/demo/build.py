"""Building the demonstration data (演示数据): records as Parquet, then files through the real importer."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from ganbu.engine.records import Records
from ganbu.errors import MisuseError
from ganbu.records.importing import ImportReport, import_paths
from ganbu.synthetic import build_district, write_lrmx_folder

MARK = ".ganbu-demo"
BASE = "_before-import"


@dataclass(frozen=True)
class Built:
    """What was built: where, for whom, and what the import said."""

    folder: Path
    as_of: date
    people: int
    report: ImportReport


def build(folder: Path, people: int, seed: int, as_of: date, console: Console) -> Built:
    """Write the district into `folder`, then import lrmx files of its first people, some of whom are not yet there.

    A folder that is not a demonstration of ours is never overwritten.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise MisuseError(f"{folder} 不是空的，也不是演示数据，不会覆盖；请用 --dir 另选一个文件夹")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).write_text("made-up people only\n", "utf-8")
    with Progress(console=console, transient=True) as progress:
        step = progress.add_task("编造一个县", total=4)
        district = build_district(people, seed, as_of)
        progress.advance(step)
        files = folder / "lrmx"
        come = min(120, people)
        district["person"] = (
            district["person"][-come:] + district["person"][:-come]
        )  # not the leaders, who are first
        count = write_lrmx_folder(district, files, come, seed)
        progress.advance(step)
        Records.from_rows(
            _without(district, {row["person_id"] for row in district["person"][: count // 2]})
        ).write(folder)
        shutil.copytree(folder, folder / BASE, ignore=shutil.ignore_patterns("lrmx", MARK))
        progress.advance(step)
        task = progress.add_task("导入 lrmx 文件", total=count)
        found = import_paths([files], folder, progress=lambda name: progress.advance(task))
        progress.advance(step)
    return Built(folder, as_of, people, found)


def _without(
    district: dict[str, list[dict[str, object]]], people: set[str]
) -> dict[str, list[dict[str, object]]]:
    """The district without some people, who then come by file: their form has less than the record had."""
    own = ("appointment", "education", "assessment", "award", "family")
    kept = {
        name: [row for row in rows if name not in own or row.get("person") not in people]
        for name, rows in district.items()
    }
    kept["person"] = [row for row in district["person"] if row["person_id"] not in people]
    everybody = {row["person_id"] for row in kept["person"]}
    return {
        name: [row for row in rows if "person" not in row or row["person"] in everybody]
        for name, rows in kept.items()
    }
