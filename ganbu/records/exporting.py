"""Exporting from the record (导出)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import xlsxwriter

from ganbu.engine.record_files import plain_text
from ganbu.engine.records import Records
from ganbu.formats.form import AppointmentForm
from ganbu.formats.interchange import rows_to_form
from ganbu.formats.lrmx import write_lrmx
from ganbu.formats.paper import form_docx, form_pdf
from ganbu.records.generic import Photos, write_package

DETAILS = ("appointment", "education", "assessment", "award", "family")


def export_lrmx(records: Records, people: Iterable[str] | None, out: Path) -> int:
    """Write one `.lrmx` file per person (导出 lrmx); `people` are identities, None for all. Returns how many."""
    return export_forms(records, people, out, "lrmx")


def export_forms(
    records: Records, people: Iterable[str] | None, out: Path, kind: str, template: Path | None = None
) -> int:
    """Write one form per person as lrmx, docx or pdf (导出任免审批表). Returns how many. Raises FormatError.

    `template` is the docx layout of a department that has its own.
    """
    wanted = set(people) if people is not None else None
    units = {str(row["unit_id"]): str(row.get("name") or "") for row in records.rows("unit")}
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in DETAILS:
        for row in records.rows(name):
            if row.get("superseded_at") is None:
                grouped.setdefault(str(row.get("person")), {}).setdefault(name, []).append(row)
    writers: dict[str, Callable[[AppointmentForm], bytes]] = {
        "lrmx": write_lrmx, "docx": partial(form_docx, template=template), "pdf": form_pdf,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for person in records.rows("person"):
        key = str(person["person_id"])
        if person.get("superseded_at") is not None or (wanted is not None and key not in wanted):
            continue
        form = rows_to_form(person, grouped.get(key, {}), units)
        safe = "".join(c if c.isalnum() or c in "·-" else "_" for c in f"{person.get('name') or ''}-{key}")
        (out / f"{safe}.{kind}").write_bytes(writers[kind](form))
        count += 1
    return count


def export_generic(
    records: Records, people: Iterable[str] | None, out: Path, made: date, photos: Photos | None = None
) -> int:
    """Write one package of the generic form (导出通用格式): people, their units and portraits. Returns how many people."""
    known = [str(row["person_id"]) for row in records.rows("person") if row.get("superseded_at") is None]
    wanted = set(people) if people is not None else None
    chosen = known if wanted is None else [key for key in known if key in wanted]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as stream:
        return write_package([(records, chosen)], records.rows("unit"), stream, made, photos)


def export_workbook(records: Records, people: Iterable[str] | None, out: Path) -> int:
    """Write a workbook (导出 xlsx): a sheet per register under its Chinese name, ready to be imported again.

    Rows about people carry 姓名 and 身份证号; units and teams are written by name. Returns how many rows.
    """
    wanted = set(people) if people is not None else None
    told = {str(row["person_id"]): row for row in records.rows("person") if row.get("superseded_at") is None}
    out.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    names: dict[str, dict[str, str]] = {
        kind: {
            str(r[records.vocabulary.registers[kind].id_field]): str(r.get("name") or "")
            for r in records.rows(kind)
        }
        for kind in ("unit", "team")
        if kind in records.tables
    }
    book = xlsxwriter.Workbook(
        out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    for name in sorted(records.tables, key=lambda n: (n != "person", n)):
        register = records.vocabulary.registers[name]
        about = register.subject_field if register.subject == "person" else ""
        sheet = book.add_worksheet(register.label[:31])
        items = [f for f in register.fields.values() if f.name != about]
        lead = [] if name == "person" or not about else ["姓名", "身份证号"]
        labels = ["家庭成员姓名" if name == "family" and f.name == "name" else f.label for f in items]
        for at, label in enumerate([*lead, *labels]):
            sheet.write_string(0, at, label)
        line = 0
        for row in records.rows(name):
            key = (
                str(row[register.id_field] if name == "person" else row.get(about) or "")
                if name == "person" or about
                else ""
            )
            if row.get("superseded_at") is not None or (wanted is not None and key and key not in wanted):
                continue
            line += 1
            owner = told.get(key, {}) if lead else {}
            cells = [owner.get("name"), owner.get("id_number")] if lead else []
            for at, value in enumerate([*cells, *(row.get(f.name) for f in items)]):
                item = items[at - len(cells)] if at >= len(cells) else None
                if item is not None and item.kind == "ref":
                    value = names.get(item.target, {}).get(str(value)) or value
                if value is not None and value != "":
                    sheet.write_string(
                        line, at, "是" if value is True else "否" if value is False else plain_text(value)
                    )
        count += line
    book.close()
    return count
