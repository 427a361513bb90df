"""Importing (导入): files into a records folder, previewed, all or nothing, and undone as a batch."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ganbu.engine.records import Records
from ganbu.errors import FormatError, MisuseError
from ganbu.formats.batch import FORMS, read_batch
from ganbu.formats.form import AppointmentForm
from ganbu.formats.interchange import form_to_rows
from ganbu.formats.issues import Issue
from ganbu.formats.tables import SUFFIXES, inert
from ganbu.records.books import merge_ready
from ganbu.records.folder import batches, new_batch, open_records, replace_tables, undo, writing
from ganbu.records.generic import lay_all_units, read_filings
from ganbu.records.matching import People, valid_id_number
from ganbu.records.merging import Merge, fresh_id, merge_details, meta_of, same

REPORT = ("file", "line", "field", "severity", "code", "message", "raw", "normalised")
NEW = "新"
_INVENTED = re.compile(r"^([a-z_]+)-\d+$")


@dataclass
class ImportReport:
    """What an import did, or would do (导入报告). `undecided` forms need somebody to say who they are about."""

    batch: str = ""
    files: int = 0
    unreadable: int = 0
    undecided: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    issues: list[Issue] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many issues of each code, most frequent first."""
        return dict(Counter(issue.code for issue in self.issues).most_common())

    def text(self) -> str:
        """One line per issue as csv: file, field, raw, normalised."""
        stream = io.StringIO(newline="")
        writer = csv.DictWriter(stream, REPORT, extrasaction="ignore")
        writer.writeheader()
        for issue in self.issues:
            row = issue.as_row()
            writer.writerow({k: inert(v) if isinstance(v, str) else v for k, v in row.items()})
        return "\ufeff" + stream.getvalue()

    def write(self, path: Path) -> None:
        """Write the issues as csv, as Excel opens it."""
        path.write_bytes(self.text().encode())


def import_paths(
    paths: Iterable[Path],
    into: Path,
    dry_run: bool = False,
    progress: Callable[[str], None] | None = None,
    people: Mapping[str, str] | None = None,
    prefer_new: bool = False,
) -> ImportReport:
    """Import lrmx, lrm, workbooks, packages, zips and folders of them, or records folders, into the records folder `into`.

    Nothing is written when `dry_run` or when anything fails; else all tables change together, and `undo_import` takes
    the batch back. Where file and record differ the record stays, unless `prefer_new`; either way it is reported, and
    the old value stays in the history. `people` says whom a file is about (file name to identity, or 新).
    Raises FormatError, RecordsError and MisuseError.
    """
    if dry_run:
        return _import(list(paths), into, None, progress, people or {}, prefer_new)
    existed = into.exists()
    with writing(into):
        try:
            return _import(list(paths), into, new_batch(into), progress, people or {}, prefer_new)
        finally:
            if not existed and not batches(into):
                _clear_empty(into)


def _clear_empty(into: Path) -> None:
    """A folder that a failed import made is not left behind."""
    log = into / "_imports"
    for path in (log / "lock", log, into):
        try:
            path.unlink() if path.is_file() else path.rmdir()
        except OSError:
            return


def _import(
    paths: list[Path], into: Path, batch: str | None, progress: Callable[[str], None] | None,
    people: Mapping[str, str], prefer_new: bool,
) -> ImportReport:  # fmt: skip
    existing = open_records(into) if has_records(into) else Records()
    merge = Merge(existing, datetime.now().replace(microsecond=0), prefer_new)
    report = ImportReport(batch=batch or "")
    known = People(dict(merge.table("person")))
    folders, laid = 0, False
    for path in paths:
        if (
            path.is_dir()
            and has_records(path)
            and not any(f.suffix.lower() in (*FORMS, ".zip") for f in path.rglob("*"))
        ):
            folders += 1
            merge_folder(open_records(path), merge, report, str(path))
            known = People(dict(merge.table("person")))
            continue
        filings, told_units = read_filings(path)
        units = Units(merge, lay_all_units(merge, told_units))
        laid |= bool(told_units)
        for name, filing, issues in filings:
            report.issues += issues
            if filing is None:
                wrong = any(issue.severity == "error" for issue in issues)
                report.files, report.unreadable = report.files + wrong, report.unreadable + wrong
                continue
            report.files += 1
            merge_rows(merge_ready(filing), name, merge, report, known, units, people)
        for name, form, issues in read_batch(path):
            if Path(name).suffix.lower() in SUFFIXES:
                continue
            report.issues += issues
            if form is None and not any(issue.severity == "error" for issue in issues):
                continue
            report.files += 1
            if progress:
                progress(name)
            if form is None:
                report.unreadable += 1
                continue
            merge_form(form, name, issues, merge, report, known, units, people)
    report.rows, report.issues = merge.rows, report.issues + merge.issues
    if report.files and report.files == report.unreadable and not folders:
        raise FormatError("；".join(issue.message for issue in report.issues[:5]))
    if not report.files and not folders and not laid:
        raise FormatError("没有可以导入的文件（lrmx、lrm、xlsx、zip、通用格式，或档案文件夹）")
    tables = merge.tables()
    if batch is not None and merge.touched:
        old = {name: Path(place).name for name, place in existing.places.items() if place}
        summary = {key: getattr(report, key) for key in ("batch", "files", "unreadable", "undecided", "new", "changed", "unchanged")}  # fmt: skip
        kept = {"report.csv": report.text(), "batch.json": json.dumps({**summary, "rows": dict(report.rows)}, ensure_ascii=False, indent=2) + "\n"}  # fmt: skip
        replace_tables(into, batch, tables, old, kept)
    return report


def has_records(folder: Path) -> bool:
    """Whether a folder holds tables of a record."""
    return folder.is_dir() and any(
        f.suffix.lower() in (".parquet", ".csv", ".jsonl") for f in folder.iterdir()
    )


class Units:
    """The units on record by name, longest first; `told` says which one a key of a package is."""

    def __init__(self, merge: Merge, told: Mapping[str, str] | None = None) -> None:
        self.told = told or {}
        self.keys = {str(row["name"]): key for key, row in merge.table("unit").items() if row.get("name")}
        self.lengths = sorted({len(name) for name in self.keys}, reverse=True)

    def find(self, text: str) -> tuple[str, str] | None:
        """The unit a post text begins with: its name and identity."""
        for length in self.lengths:
            if text[:length] in self.keys:
                return text[:length], self.keys[text[:length]]
        return None


def merge_form(
    form: AppointmentForm, file: str, issues: list[Issue], merge: Merge, report: ImportReport,
    known: People, units: Units, people: Mapping[str, str],
) -> str:  # fmt: skip
    """Lay one form over the record; the identity of its person, empty when it cannot be told who it is."""
    rows, remarks = form_to_rows(form, file)
    report.issues += [issue for issue in remarks if issue not in issues]
    return merge_rows(rows, file, merge, report, known, units, people)


def merge_rows(
    rows: dict[str, list[dict[str, Any]]], file: str, merge: Merge, report: ImportReport,
    known: People, units: Units, people: Mapping[str, str],
) -> str:  # fmt: skip
    """Lay what a file tells of one person over the record; their identity, empty when it cannot be told who it is."""
    person = rows["person"][0]
    if not person.get("name"):
        report.undecided += 1
        return ""
    _check_number(person, file, report.issues)
    decided = people.get(file, people.get(Path(file).name))
    if decided is not None and decided != NEW and decided not in known.rows:
        raise MisuseError(f"--person {file}={decided}：没有编号为“{decided}”的人员")
    key = "" if decided == NEW else decided or known.find(person, file, report.issues)
    if key is None:
        report.undecided += 1
        return ""
    register = merge.vocabulary.registers["person"]
    _place_posts(rows["appointment"], units, file, report.issues)
    _place_person(person, units, file, report.issues)
    fresh = not key
    key = key or known.fresh_key(person)
    for items in rows.values():
        for item in items:
            if "person" in item:
                item["person"] = key
    person["person_id"] = key
    changed = False
    if fresh:
        merge.add(register, person, file)
    else:
        changed = merge.lay(register, key, person, file, file)
    known.add(key, merge.table("person")[key])
    changed |= merge_details(merge, key, rows, file)
    if fresh:
        report.new += 1
    elif changed:
        report.changed += 1
    else:
        report.unchanged += 1
    return key


def _check_number(person: dict[str, Any], file: str, issues: list[Issue]) -> None:
    """An identity number that cannot be one is not used to tell people apart, and is not registered."""
    number = str(person.get("id_number") or "").strip().upper()
    if not number:
        return
    if not valid_id_number(number):
        issues.append(Issue(file, "身份证号", "id_number.invalid", "身份证号位数或校验码不对，未采用，不用它认人", number, severity="error"))  # fmt: skip
        person.pop("id_number")
        return
    person["id_number"] = number
    birth = str(person.get("birth_date") or "").replace("-", "")
    if birth and not number[6:14].startswith(birth):
        issues.append(Issue(file, "身份证号", "id_number.birth_differs", "身份证号中的出生日期与出生年月不一致，请核对", f"{number[6:14]} / {birth}"))  # fmt: skip
    sex = "男" if int(number[16]) % 2 else "女"
    if person.get("sex") and person["sex"] != sex:
        issues.append(Issue(file, "身份证号", "id_number.sex_differs", "身份证号中的性别与性别栏不一致，请核对", f"{sex} / {person['sex']}"))  # fmt: skip


def _place_posts(appointments: list[dict[str, Any]], units: Units, file: str, issues: list[Issue]) -> None:
    """The unit a post text begins with; the longest known name wins, and an unknown one is reported, not invented."""
    for row in appointments:
        text, told = str(row.pop("unit", "")), units.told.get(row.pop("_unit", ""))
        if told:
            row["unit"] = told
            continue
        found = units.find(text)
        if found is None:
            issues.append(Issue(file, "简历", "unit.unknown", "职务中的单位不在机构表中，机构留空", text))
            continue
        row["unit"] = found[1]
        row["title"] = text[len(found[0]) :] or text


def _place_person(person: dict[str, Any], units: Units, file: str, issues: list[Issue]) -> None:
    """The unit a book counts a person in, by its name, or by its key in a package."""
    text, told = str(person.pop("statistics_unit", "") or ""), units.told.get(person.pop("_unit", ""))
    if told:
        person["statistics_unit"] = told
    elif text in units.keys:
        person["statistics_unit"] = units.keys[text]
    elif text:
        issues.append(Issue(file, "统计关系所在单位", "unit.unknown", "单位不在机构表中，留空", text))


def merge_folder(records: Records, merge: Merge, report: ImportReport, folder: str) -> None:
    """A records folder: rows by identity; a row whose identity was only numbered is new unless the same row is there."""
    for name in records.tables:
        register = records.vocabulary.registers[name]
        identity, left_out = register.id_field, (register.id_field, *meta_of(register))
        contents: dict[tuple[Any, ...], str] | None = None
        rows = records.rows(name)
        ended = sum(row.get("superseded_at") is not None for row in rows)
        if ended:
            report.issues.append(Issue(f"{folder}/{name}", register.label, "row.superseded", f"{ended} 行已失效，只导入仍有效的", severity="note"))  # fmt: skip
        for row in rows:
            if row.get("superseded_at") is not None:
                continue
            key = str(row[identity])
            plain = {k: v for k, v in row.items() if k not in left_out}
            invented = _INVENTED.match(key)
            if invented and invented[1] == name:
                if contents is None:
                    contents = {_content(r, left_out): k for k, r in merge.table(name).items()}
                if _content(row, left_out) in contents:
                    report.unchanged += name == "person"
                    continue
                key = fresh_id(f"{name}-", merge.table(name))
                contents[_content(row, left_out)] = key
            held = merge.table(name).get(key)
            if held is None:
                merge.add(register, {identity: key, **plain}, folder)
                report.new += name == "person"
            elif all(same(held.get(k), v) for k, v in plain.items()):
                report.unchanged += name == "person"
            else:
                changed = merge.lay(register, key, plain, f"{folder}/{name}", folder)
                merge.rows[name] += changed
                report.changed += changed and name == "person"


def _content(row: Mapping[str, Any], left_out: Iterable[str]) -> tuple[Any, ...]:
    return tuple(sorted((k, str(v)) for k, v in row.items() if k not in left_out))


undo_import = undo

__all__ = ["ImportReport", "batches", "import_paths", "undo_import"]
