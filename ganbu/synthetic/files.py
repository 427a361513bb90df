"""Files of made-up people (虚构任免审批表): lrmx and some lrm, dirty as offices send them, for the importer to prove itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from ganbu.dates import PartialDate
from ganbu.formats.form import AppointmentForm
from ganbu.formats.interchange import rows_to_form
from ganbu.formats.lrm import write_lrm
from ganbu.formats.lrmx import write_lrmx
from ganbu.synthetic.damage import MISHAPS, SENT_TWICE, SLIPS, damage_resume, is_lrm
from ganbu.synthetic.identity import PORTRAIT
from ganbu.synthetic.units import Row

REGISTERS = ("appointment", "education", "assessment", "award", "family")


def write_lrmx_folder(district: dict[str, list[Row]], folder: Path, count: int, seed: int = 1) -> int:
    """Write files of the first `count` people, one in ten as lrm with its pic, two of a hundred twice; returns how many people.

    The dirt is that of `damage`: half of the résumés typed in a hurry, a fault of its own in a quarter of the files.
    """
    random = Random(seed)  # noqa: S311 - made-up people need no secrecy
    folder.mkdir(parents=True, exist_ok=True)
    units = {row["unit_id"]: row["name"] for row in district["unit"]}
    people = district["person"][:count]
    grouped = _rows_by_person(district, {row["person_id"] for row in people})
    for at, person in enumerate(people):
        stated = {k: v for k, v in person.items() if v is not None}
        form = rows_to_form(stated, grouped.get(person["person_id"], {}), units)
        form.photo = PORTRAIT if random.random() < 0.9 or at % 100 in MISHAPS else None
        if random.random() < 0.5:
            form.resume = damage_resume(form.resume, random)
        stem = folder / f"{at + 1:04}{form.name}"
        if at % 100 in SENT_TWICE:
            older = replace(form, assessments="", family=form.family[:-1])
            _write(older, stem.with_name(f"{stem.name}(1)"), at)
        if slip := SLIPS.get(at % 100):
            slip(form)
        _write(form, stem, at)
    return len(people)


def _rows_by_person(
    district: dict[str, list[Row]], wanted: set[str]
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The rows of the wanted people by person and register, with dates as PartialDate."""
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name in REGISTERS:
        for row in district[name]:
            if row["person"] in wanted:
                dated = {
                    k: PartialDate.parse(v) if k.endswith("_date") or (k == "date" and v) else v
                    for k, v in row.items()
                    if v is not None
                }
                grouped.setdefault(row["person"], {}).setdefault(name, []).append(dated)
    return grouped


def _write(form: AppointmentForm, stem: Path, at: int) -> None:
    mishap = MISHAPS.get(at % 100, bytes)
    if is_lrm(at):
        content, photo = write_lrm(form)
        stem.with_name(stem.name + ".lrm").write_bytes(mishap(content))
        if photo:
            stem.with_name(stem.name + ".pic").write_bytes(photo)
    else:
        stem.with_name(stem.name + ".lrmx").write_bytes(mishap(write_lrmx(form)))
