"""Imports into the database (导入批次): read, match, preview field by field, apply in one transaction, undo as a batch.

Reading lays the files over the part of the record they can be about, and keeps what it would do; applying does it
again with the choices made, against the record as it is then.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Q

from ganbu.access.models import Account
from ganbu.access.sealing import keys
from ganbu.engine.record_files import plain_text
from ganbu.engine.records import Records
from ganbu.errors import FormatError, RecordsError
from ganbu.formats.batch import read_batch
from ganbu.formats.form import FAMILY_LABEL, AppointmentForm, photo_type
from ganbu.formats.interchange import REGISTERS
from ganbu.formats.issues import Issue
from ganbu.formats.tables import SUFFIXES
from ganbu.formats.text import name_key
from ganbu.records import writing as record
from ganbu.records.books import Filing, merge_ready
from ganbu.records.folder import open_records
from ganbu.records.generic import lay_all_units, read_filings
from ganbu.records.importing import NEW, ImportReport, Units, merge_folder, merge_form, merge_rows
from ganbu.records.local import vocabulary
from ganbu.records.matching import People, valid_id_number
from ganbu.records.merging import Merge
from ganbu.records.models import (
    MODELS,
    Card,
    Change,
    ImportBatch,
    ImportIssue,
    ImportItem,
    LocalRow,
    field_name,
)
from ganbu.records.queries import images_of
from ganbu.records.snapshot import snapshot
from ganbu.vocabulary import load_vocabulary

# Labels of fields that are encrypted in the record.
SECRET = frozenset(
    f.label
    for r in load_vocabulary().registers.values()
    for f in r.fields.values()
    if f.sealed and r.name == "person"
) | {f"{FAMILY_LABEL}{f.label}" for f in load_vocabulary().registers["family"].fields.values() if f.sealed}  # fmt: skip
Row = dict[str, Any]

Form = tuple[str, AppointmentForm | Filing | None, list[Issue]]
Laid = tuple[Merge, ImportReport, dict[str, tuple[str, str]]]
PHOTOS = 200  # compared and added at a time


@dataclass
class Parts:
    """What a batch holds (一批的内容): forms and filings, and units; with how they were laid over the record, and when.

    `seen` are the changes there were then.
    """

    forms: list[Form]
    units: list[Row]
    laid: Laid | None = None
    seen: tuple[int | None, int] = (None, 0)


def open_batch(
    account: Account | None, title: str, folder: Path, prefer_new: bool = False, state: str = "waiting"
) -> ImportBatch:
    """A new batch over the files in a folder; nothing is read yet. The worker takes one that is `waiting`."""
    return ImportBatch.objects.create(
        account=account, title=title[:200], folder=str(folder), prefer_new=prefer_new, state=state
    )


def _forms(folder: Path, tick: Callable[[int], None] | None = None) -> list[Form]:
    found: list[Form] = []
    for number, item in enumerate(read_batch(folder), 1):
        if Path(item[0]).suffix.lower() in SUFFIXES:
            continue  # a workbook is read below
        found.append(item)
        if tick and number % 100 == 0:
            tick(number)
    return found


def _record_of(forms: Iterable[Form], decided: Mapping[str, str]) -> Records:
    """The part of the record that some forms can be about: people of the same name or number, and all units."""
    names: set[str] = set()
    marks: set[str] = set()
    for _, form, _ in forms:
        if form is not None:
            names |= {form.name, name_key(form.name)}
            number = form.id_number.strip().upper()
            if valid_id_number(number):
                marks.add(keys().mark(number))
    people = {one for one in decided.values() if one != NEW}
    wanted, chosen = sorted(names), sorted(marks)
    for at in range(0, max(len(wanted), len(chosen)), 400):
        alike = Q(name__in=wanted[at : at + 400]) | Q(number_mark__in=chosen[at : at + 400])
        people |= set(Card.objects.filter(alike).values_list("pk", flat=True))
    return snapshot((*REGISTERS, "rank", "unit", "file_element"), people)


def _lay(
    forms: list[Form],
    units_told: list[Row],
    batch: ImportBatch,
    decided: Mapping[str, str],
    chosen: frozenset[str],
) -> Laid:
    """Lay all forms over the record: the merge, the report, and of each file whom it is about and what it does."""
    forms = list(forms)
    merge = Merge(_record_of(forms, decided), datetime.now(), batch.prefer_new, chosen)
    report = ImportReport()
    placed = lay_all_units(merge, units_told)
    known, units = People(dict(merge.table("person"))), Units(merge, placed)
    told: dict[str, tuple[str, str]] = {}
    for file, form, issues in forms:
        report.issues += issues
        if form is None:
            if any(issue.severity == "error" for issue in issues):
                report.files += 1
                report.unreadable += 1
                told[file] = ("", "unreadable")
            continue
        report.files += 1
        if decided.get(file) == "-":
            told[file] = ("", "skipped")
            continue
        before = (report.new, report.changed)
        if isinstance(form, Filing):
            key = merge_rows(merge_ready(form), file, merge, report, known, units, decided)
        else:
            key = merge_form(form, file, issues, merge, report, known, units, decided)
        state = "unsure" if not key else "new" if report.new > before[0] else "changed" if report.changed > before[1] else "same"  # fmt: skip
        told[file] = (key, state)
    report.issues += merge.issues
    report.rows = merge.rows
    return merge, report, told


def read(batch: ImportBatch) -> Parts:
    """Read a batch and keep its preview (读取并预览); what was read. Raises FormatError when nothing in it can be read."""
    _set(batch, state="reading")
    parts = _parts(Path(batch.folder), lambda number: _set(batch, done=number))
    forms = parts.forms
    if not parts.units and not any(form is not None for _, form, _ in forms):
        reasons = "；".join(issue.message for _, _, issues in forms[:5] for issue in issues)
        raise FormatError(
            reasons or "没有可以导入的文件（lrmx、lrm、信息采集表或导入模板，或含有它们的 zip，或通用格式）"
        )
    decided = choices(batch)
    with transaction.atomic():
        parts.seen = _changes()
        parts.laid = merge, report, told = _lay(forms, parts.units, batch, decided, chosen_of(batch))
        differences: dict[str, list[dict[str, Any]]] = {}
        for one in merge.differences:
            register = load_vocabulary().registers[one.register]
            field = register.fields[one.field]
            shown = hidden if field.sealed else plain_text
            differences.setdefault(one.file, []).append(
                {"key": one.key, "register": register.label, "field": field.label, "old": shown(one.old), "new": shown(one.new), "taken": one.taken}
            )  # fmt: skip
        items = []
        for file, form, _issues in forms:
            if file not in told:
                continue
            key, state = told[file]
            alike = [] if state != "unsure" or form is None else _alike(form)
            items.append(
                ImportItem(batch=batch, file=file[:300], name=form.name[:120] if form else "", person=key, state=state,
                           candidates=alike, differences=differences.get(file, []))
            )  # fmt: skip
        kept = {item.file: item.rows for item in batch.items.exclude(rows={})}
        for item in items:
            item.rows = kept.get(item.file, {})
        batch.items.all().delete()
        batch.issues.all().delete()
        ImportItem.objects.bulk_create(items, batch_size=500)
        record.insert_rows(
            ImportIssue._meta.db_table, ISSUE, [_issue_row(batch, issue) for issue in report.issues]
        )
        counts = Counter(state for _key, state in told.values())
        _set(batch, state="ready", done=len(forms), total=len(forms), counts=dict(counts), told="")
    return parts


ISSUE = ["batch_id", "file", "line", "field", "code", "severity", "message", "raw", "normalised"]


def _issue_row(batch: ImportBatch, issue: Issue) -> tuple[Any, ...]:
    raw = _plain(issue, issue.raw)
    message = issue.message if raw == issue.raw else issue.message.replace(issue.raw, hidden(issue.raw))
    return (
        batch.pk, issue.file[:300], issue.line, issue.field[:100], issue.code[:60], issue.severity, message, raw, _plain(issue, issue.normalised),
    )  # fmt: skip


def hidden(value: Any) -> str:
    """A sealed value as a preview shows it: its ends only, so that the batch keeps no secret in plain."""
    text = plain_text(value) if value is not None else ""
    return f"{text[:2]}{'＊' * max(len(text) - 4, 2)}{text[-2:]}" if len(text) > 4 else "＊" * len(text)


def _plain(issue: Issue, text: str | None) -> str:
    secret = issue.field in SECRET or issue.code.split(".")[0] in ("family", "id_number")
    return hidden(text) if secret and text else text or ""


def _alike(form: AppointmentForm | Filing) -> list[dict[str, str]]:
    found = Card.objects.filter(name__in=(form.name, name_key(form.name)))[:10]
    return [
        {"person": card.pk, "name": card.name, "birth": card.birth, "post": card.post[:60]} for card in found
    ]


def _set(batch: ImportBatch, **values: Any) -> None:
    for name, value in values.items():
        setattr(batch, name, value)
    batch.save(update_fields=list(values))


def choices(batch: ImportBatch) -> dict[str, str]:
    """Whom each file is about, where somebody said so: an identity, 新, or `-` to leave the file out."""
    return {item.file: item.rows["person"] for item in batch.items.all() if item.rows.get("person")}


def chosen_of(batch: ImportBatch) -> frozenset[str]:
    """The differences in which the file is right."""
    return frozenset(key for item in batch.items.all() for key in item.rows.get("take", ()))


def choose(
    batch: ImportBatch, item: ImportItem, person: str | None = None, take: list[str] | None = None
) -> None:
    """Keep a choice for one file (选择): who it is, or the differences in which it is right."""
    if batch.state != "ready":
        raise RecordsError("这一批已经办理，不能再改选择")
    if person is not None:
        item.rows = {**item.rows, "person": person}
    if take is not None:
        item.rows = {**item.rows, "take": take}
        item.differences = [{**d, "taken": d["key"] in take} for d in item.differences]
    item.save(update_fields=["rows", "differences"])


def _parts(folder: Path, tick: Callable[[int], None] | None = None) -> Parts:
    """Everything in a folder: forms and filings, and units."""
    forms = _forms(folder, tick)
    people, units = read_filings(folder)
    return Parts([*forms, *people], units)


def _changes(but: Change | None = None) -> tuple[int | None, int]:
    """The last change of the record and how many there are, without one: a lower number may be committed later."""
    made = Change.objects.all() if but is None else Change.objects.exclude(pk=but.pk)
    told = made.aggregate(last=Max("pk"), count=Count("pk"))
    return told["last"], told["count"]


def apply(batch: ImportBatch, parts: Parts | None = None) -> Change:
    """Do it (导入): all in one transaction; raises RecordsError and leaves nothing behind when anything fails.

    `parts` are what was read just before, with the choices there are; else the files are read again. How they were
    laid over the record then holds while nothing was registered since.
    """
    parts = parts or _parts(Path(batch.folder))
    with record.writing("import", origin=f"导入 {batch.pk} {batch.title}") as act:
        laid = parts.laid if parts.seen == _changes(act.change) else None
        merge, _report, told = laid or _lay(parts.forms, parts.units, batch, choices(batch), chosen_of(batch))
        write_merge(act, merge)
        _photos(act, parts.forms, told)
        # In the same transaction: a batch whose rows are in is applied, and none is applied twice.
        if not ImportBatch.objects.filter(pk=batch.pk, change=None).update(
            state="applied", change=act.change, told=""
        ):
            raise RecordsError("这一批已经登记过")
    batch.refresh_from_db()
    discard(batch)
    return act.change


def discard(batch: ImportBatch) -> None:
    """Delete the files of a batch that were uploaded; a folder that a command named is not ours to delete."""
    if Path(settings.HOME) / "uploads" in Path(batch.folder).parents:
        shutil.rmtree(batch.folder, ignore_errors=True)


def write_merge(act: record.Writing, merge: Merge) -> None:
    """Register what a merge changed: rows it closed end, rows it made begin."""
    for name in sorted(merge.touched):
        register = merge.vocabulary.registers[name]
        identity = register.id_field
        gone = [
            str(row[identity])
            for row in merge.closed.get(name, ())
            if row.get("superseded_at") == merge.moment
        ]
        source: Any = LocalRow if register.local else MODELS[name]
        field = "identity" if register.local else field_name(identity)
        own = {"register": name} if register.local else {}
        for at in range(0, len(gone), 400):
            held = source.objects.filter(
                **{f"{field}__in": gone[at : at + 400], "superseded_at__isnull": True}, **own
            )
            act.supersede(register, held)
        fresh = [
            {k: v for k, v in row.items() if k != "recorded_at"}
            for row in merge.table(name).values()
            if row.get("recorded_at") == merge.moment
        ]
        act.add(register, fresh)


def import_folder(folder: Path, prefer_new: bool = False, dry_run: bool = False) -> ImportReport:
    """Lay a records folder over the record, as one batch that can be undone (导入档案文件夹). Raises RecordsError."""
    words = vocabulary()
    merge = Merge(snapshot(vocabulary=words), datetime.now(), prefer_new)
    report = ImportReport()
    merge_folder(open_records(folder, words), merge, report, str(folder))
    report.rows, report.issues = merge.rows, report.issues + merge.issues
    if not dry_run and merge.touched:
        with record.writing("import", origin=f"导入 {folder.name}") as act:
            write_merge(act, merge)
            batch = ImportBatch.objects.create(
                title=folder.name[:200], folder="", state="applied", prefer_new=prefer_new, change=act.change,
                counts={"new": report.new, "changed": report.changed, "same": report.unchanged},
            )  # fmt: skip
        report.batch = str(batch.pk)
    return report


def import_files(
    path: Path, people: Mapping[str, str], prefer_new: bool = False, dry_run: bool = False
) -> ImportReport:
    """Import forms, workbooks and zips from the command line: read, decide as told, apply (命令行导入)."""
    batch = open_batch(None, path.name, path.absolute(), prefer_new, "reading")
    try:
        parts = read(batch)
        chosen = [
            item for item in batch.items.all() if people.get(item.file) or people.get(Path(item.file).name)
        ]
        for item in chosen:
            choose(batch, item, person=people.get(item.file) or people[Path(item.file).name])
        if chosen:
            parts = read(batch)
        report = _report(batch)
        if dry_run:
            batch.delete()
        else:
            change = apply(batch, parts)
            report.batch, report.rows = str(batch.pk), Counter({k: v for k, v in change.rows.items() if not k.endswith("-")})  # fmt: skip
        return report
    except Exception:
        ImportBatch.objects.filter(pk=batch.pk).exclude(state="applied").delete()
        raise


def _report(batch: ImportBatch) -> ImportReport:
    counts = batch.counts
    report = ImportReport(
        files=sum(counts.values()), unreadable=counts.get("unreadable", 0), undecided=counts.get("unsure", 0),
        new=counts.get("new", 0), changed=counts.get("changed", 0), unchanged=counts.get("same", 0),
    )  # fmt: skip
    told = batch.issues.values_list(*ISSUE[1:])
    report.issues = [
        Issue(file, field, code, message, raw, normalised or None, severity, line)
        for file, line, field, code, severity, message, raw, normalised in told
    ]
    return report


def _photos(act: record.Writing, forms: list[Form], told: dict[str, tuple[str, str]]) -> None:
    """Portraits that are not the ones held already, some at a time."""
    given = [(told[file][0], form.photo) for file, form, _ in forms if form and form.photo and told.get(file, ("",))[0]]  # fmt: skip
    for at in range(0, len(given), PHOTOS):
        part = given[at : at + PHOTOS]
        held, fresh = images_of([key for key, _image in part]), []
        for key, image in part:
            if held.get(key) != image:
                fresh.append((key, image, f"image/{photo_type(image)}"))
                held[key] = image
        act.photos(fresh)


def undo(batch: ImportBatch) -> Change:
    """Take a batch back as a whole (撤销). Raises RecordsError when later work builds on it."""
    if batch.state != "applied" or batch.change is None:
        raise RecordsError("只有已经导入的批次可以撤销")
    with transaction.atomic():
        change = record.undo(batch.change, f"撤销导入 {batch.pk}")
        _set(batch, state="undone")
    return change


def applied() -> list[ImportBatch]:
    """Batches that can be undone, the last first."""
    return list(ImportBatch.objects.filter(state="applied").order_by("-pk"))
