"""Forms from the record (档案成表): the 任免审批表 of many people in a few statements."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ganbu.formats.form import AppointmentForm
from ganbu.formats.interchange import rows_to_form
from ganbu.records.exporting import DETAILS
from ganbu.records.models import UnitNode
from ganbu.records.queries import images_of
from ganbu.records.snapshot import snapshot


def forms_of(people: list[str]) -> dict[str, AppointmentForm]:
    """The form of each of some people, in their order; people who are not on record are left out."""
    records = snapshot(("person", *DETAILS), people)
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for name in DETAILS:
        for row in records.rows(name):
            grouped[str(row["person"])][name].append(row)
    wanted = {str(row["unit"]) for of in grouped.values() for row in of["appointment"] if row.get("unit")}
    units = dict(UnitNode.objects.filter(unit__in=sorted(wanted)).values_list("unit", "name"))
    photos = images_of(people)
    found = {}
    for row in records.rows("person"):
        key = str(row["person_id"])
        form = rows_to_form(row, grouped[key], units)
        form.photo = photos.get(key)
        found[key] = form
    return {key: found[key] for key in people if key in found}
