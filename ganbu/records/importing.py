"""Importing (导入): files into a records folder, previewed, all or nothing, and undone as a batch."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganbu.engine.records import Records
from ganbu.errors import FormatError, RecordsError
from ganbu.formats.batch import FORMS, read_batch
from ganbu.formats.interchange import form_to_rows, rows_to_form
from ganbu.formats.issues import Issue
from ganbu.formats.lrmx import write_lrmx

LOG = "_imports"
REPORT = ("file", "line", "field", "severity", "code", "message", "raw", "normalised")
SKIPPED = {"recorded_at", "superseded_at", "source"}


@dataclass
class ImportReport:
    """What an import did, or would do (导入报告)."""

    batch: str = ""
    files: int = 0
    unreadable: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    issues: list[Issue] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many issues of each code, most frequent first."""
        return dict(Counter(issue.code for issue in self.issues).most_common())

    def write(self, path: Path) -> None:
        """One line per issue: file, field, raw, normalised."""
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, REPORT, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(issue.as_row() for issue in self.issues)


def import_paths(
    paths: Iterable[Path], into: Path, dry_run: bool = False, progress: Callable[[str], None] | None = None
) -> ImportReport:
    """Import lrmx, lrm, zips and folders of them, or a records folder, into the records folder `into`.

    Nothing is written when `dry_run`, or when anything fails: the new tables are written aside and then put in place
    together, and the old ones are kept for `undo_import`. Raises FormatError and RecordsError.
    """
    existing = Records.open(into) if _has_records(into) else Records()
    held = {
        name: {str(row[register.id_field]): row for row in existing.rows(name)}
        for name, register in existing.vocabulary.registers.items()
        if name in existing.tables
    }
    report = ImportReport(batch=_next_batch(into))
    for path in paths:
        if path.is_dir() and not any(f.suffix.lower() in FORMS for f in path.rglob("*")):
            _merge_folder(Records.open(path), held, report)
            continue
        for name, form, issues in read_batch(path):
            report.files += 1
            report.issues += issues
            if progress:
                progress(name)
            if form is None:
                report.unreadable += 1
                continue
            rows, remarks = form_to_rows(form, name)
            report.issues += [issue for issue in remarks if issue not in issues]
            _find_units(rows["appointment"], held, name, report)
            _merge_person(rows, held, report, name)
    if report.files and report.files == report.unreadable and not report.rows:
        raise FormatError("；".join(issue.message for issue in report.issues[:5]))
    if not report.files and not report.rows:
        raise FormatError("没有可以导入的文件（lrmx、lrm、zip，或档案文件夹）")
    merged = Records.from_rows({name: list(rows.values()) for name, rows in held.items() if rows})
    if not dry_run:
        _put_in_place(merged, into, report)
    return report


def _has_records(folder: Path) -> bool:
    return folder.is_dir() and any(f.suffix in (".parquet", ".csv", ".jsonl") for f in folder.iterdir())


def _merge_folder(records: Records, held: dict[str, dict[str, Any]], report: ImportReport) -> None:
    for name in records.tables:
        register = records.vocabulary.registers[name]
        table = held.setdefault(name, {})
        for row in records.rows(name):
            key = str(row[register.id_field])
            if table.get(key) != row:
                report.rows[name] += 1
                table[key] = {**table.get(key, {}), **row}


def _find_units(
    appointments: list[dict[str, Any]], held: dict[str, dict[str, Any]], file: str, report: ImportReport
) -> None:
    """The unit a post text begins with; the longest known name wins, and an unknown one is reported, not invented."""
    names = sorted(
        ((str(row.get("name") or ""), key) for key, row in held.get("unit", {}).items() if row.get("name")),
        key=lambda item: -len(item[0]),
    )
    for row in appointments:
        text = str(row.pop("unit", ""))
        found = next(((name, key) for name, key in names if text.startswith(name)), None)
        if found is None:
            report.issues.append(
                Issue(file, "简历", "unit.unknown", "职务中的单位不在机构表中，机构留空", text)
            )
            continue
        row["unit"] = found[1]
        row["title"] = text[len(found[0]) :] or text


def _merge_person(
    rows: dict[str, list[dict[str, Any]]], held: dict[str, dict[str, Any]], report: ImportReport, file: str
) -> None:
    person = rows["person"][0]
    people = held.setdefault("person", {})
    same = _same_person(person, people)
    if same and same != person["person_id"]:
        _rekey(rows, person["person_id"], same)
        person["person_id"] = same
    key = str(person["person_id"])
    before = people.get(key)
    if before is None:
        report.new += 1
    elif _changed(before, person, report, file):
        report.changed += 1
    else:
        report.unchanged += 1
    people[key] = {**(before or {}), **person}
    for name, items in rows.items():
        if name == "person":
            continue
        table = held.setdefault(name, {})
        identity = f"{name}_id"
        known = {_content(row, identity) for row in table.values() if str(row.get("person")) == key}
        if name in ("appointment", "education", "family") and known:
            # The record already tells this part, with more than a form can hold: the form does not overwrite it.
            continue
        for item in items:
            if _content(item, identity) not in known and not (
                name == "assessment"
                and any(str(r.get("person")) == key and r.get("year") == item["year"] for r in table.values())
            ):
                table[str(item[identity])] = item
                report.rows[name] += 1


def _changed(before: dict[str, Any], after: dict[str, Any], report: ImportReport, file: str) -> bool:
    changed = False
    for name, value in after.items():
        old = before.get(name)
        if name == "resume" or old is None or str(old) == str(value):
            changed = changed or (old is None and name != "resume")
            continue
        if name in ("birth_date", "work_start", "party_date") and str(old).startswith(str(value)):
            after[name] = old  # the record knows the day, the form only the month
            continue
        changed = True
        report.issues.append(
            Issue(file, name, "person.changed", f"与原记录不同：原为“{old}”", str(old), str(value))
        )
    return changed


def _same_person(person: dict[str, Any], people: dict[str, Any]) -> str:
    """Somebody already on record: by identity, by identity number, else by name and month of birth if only one fits."""
    if person["person_id"] in people:
        return str(person["person_id"])
    fits = [
        key
        for key, row in people.items()
        if row.get("name") == person.get("name")
        and row.get("birth_date") is not None
        and str(row["birth_date"])[:7] == str(person.get("birth_date"))[:7]
    ]
    return fits[0] if len(fits) == 1 else ""


def _rekey(rows: dict[str, list[dict[str, Any]]], old: str, new: str) -> None:
    for items in rows.values():
        for item in items:
            for name, value in item.items():
                if isinstance(value, str) and (
                    (name == "person" and value == old)
                    or (name.endswith("_id") and value.startswith(f"{old}-"))
                ):
                    item[name] = new if value == old else new + value[len(old) :]


def _content(row: dict[str, Any], identity: str) -> str:
    return json.dumps(
        {k: str(v) for k, v in sorted(row.items()) if k != identity and k not in SKIPPED}, ensure_ascii=False
    )


# -- batches ---------------------------------------------------------------------------------------------------


def _next_batch(into: Path) -> str:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    number = 1
    while (into / LOG / f"{stamp}-{number}").exists():
        number += 1
    return f"{stamp}-{number}"


def _put_in_place(records: Records, into: Path, report: ImportReport) -> None:
    log = into / LOG / report.batch
    (log / "before").mkdir(parents=True)
    fresh = log / "fresh"
    records.write(fresh)
    for file in [f for f in into.iterdir() if f.suffix in (".parquet", ".csv", ".jsonl")]:
        shutil.copy2(file, log / "before" / file.name)
    try:
        for file in fresh.iterdir():
            for old in into.glob(f"{file.stem}.*"):
                old.unlink()
            shutil.move(str(file), into / file.name)
    except OSError:
        _restore(into, log / "before")
        raise
    fresh.rmdir()
    report.write(log / "report.csv")
    summary = {
        "batch": report.batch,
        "files": report.files,
        "new": report.new,
        "changed": report.changed,
        "rows": dict(report.rows),
    }
    (log / "batch.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _restore(into: Path, before: Path) -> None:
    for file in [f for f in into.iterdir() if f.suffix in (".parquet", ".csv", ".jsonl")]:
        file.unlink()
    for file in before.iterdir():
        shutil.copy2(file, into / file.name)


def batches(into: Path) -> list[str]:
    """The batches that can be undone, oldest first."""
    folder = into / LOG
    return sorted(f.name for f in folder.iterdir() if (f / "before").is_dir()) if folder.is_dir() else []


def undo_import(into: Path, batch: str) -> None:
    """Put the records folder back as it was before a batch (撤销导入); only the last one can be undone."""
    known = batches(into)
    if batch not in known:
        raise RecordsError(f"{into}：没有导入批次“{batch}”" + (f"，可撤销的是 {known[-1]}" if known else ""))
    if batch != known[-1]:
        raise RecordsError(f"先撤销后来的批次 {known[-1]}，再撤销 {batch}")
    _restore(into, into / LOG / batch / "before")
    shutil.rmtree(into / LOG / batch)


# -- exporting -------------------------------------------------------------------------------------------------


def export_lrmx(records: Records, people: Iterable[str] | None, out: Path) -> int:
    """Write one `.lrmx` file per person (导出 lrmx); `people` are identities, None for all. Returns how many."""
    wanted = set(people) if people is not None else None
    units = {str(row["unit_id"]): str(row.get("name") or "") for row in records.rows("unit")}
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in ("appointment", "education", "assessment", "award", "family"):
        for row in records.rows(name):
            grouped.setdefault(str(row.get("person")), {}).setdefault(name, []).append(row)
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for person in records.rows("person"):
        key = str(person["person_id"])
        if wanted is not None and key not in wanted:
            continue
        form = rows_to_form(person, grouped.get(key, {}), units)
        safe = "".join(c if c.isalnum() or c in "·-" else "_" for c in f"{person.get('name') or ''}-{key}")
        (out / f"{safe}.lrmx").write_bytes(write_lrmx(form))
        count += 1
    return count
