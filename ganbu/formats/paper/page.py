"""What stands in the boxes of the form (表上的文字)."""

from __future__ import annotations

from datetime import date
from typing import Any

from ganbu.formats.form import (
    AppointmentForm,
    age_at_form_date,
    family_age_at_form_date,
    in_printing_order,
)
from ganbu.formats.text import read_date

FAMILY_ROWS = 7
NO_PHOTO = "照片打印不出：文件已损坏，或格式不对"  # stands where the photo would
# Boxes whose type shrinks: full-width characters per line and lines that fit at 12 points.
ROOM = {"resume": (30, 21), "awards": (32, 6), "assessments": (32, 3), "reasons": (32, 4), "current_post": (26, 2), "proposed_post": (26, 2), "removed_post": (26, 2)}  # fmt: skip


def paper_values(form: AppointmentForm, today: date | None = None) -> dict[str, Any]:
    """The boxes by name, as printed: dates `1978.03`, the age below the birth, family in its order."""
    today = today or date.today()
    age = age_at_form_date(form, today)
    family = [
        {
            "relation": m.relation, "name": m.name, "work": m.work, "political_status": m.political_status,
            "age": "" if (years := family_age_at_form_date(form, m, today)) is None else str(years),
        }
        for m in in_printing_order(form.family)
    ]  # fmt: skip
    family += [{"relation": "", "name": "", "age": "", "political_status": "", "work": ""}] * (
        FAMILY_ROWS - len(family)
    )
    boxes = {
        name: getattr(form, name)
        for name in (
            "name", "sex", "ethnic_group", "native_place", "birth_place", "health", "professional_title", "major",
            "full_time_education", "full_time_degree", "in_service_education", "in_service_degree",
            "current_post", "proposed_post", "removed_post", "resume", "awards", "assessments", "reasons",
            "reporting_unit", "filled_by",
        )
    }  # fmt: skip
    return {
        **boxes,
        "birth": dotted(form.birth_date) + (f"\n（{age}岁）" if age is not None else ""),
        "party_joining": "；".join(dotted(part) for part in form.party_joining.split("；")) if form.party_joining else "",
        "work_start": dotted(form.work_start),
        "full_time": _lines(form.full_time_education, form.full_time_degree),
        "in_service": _lines(form.in_service_education, form.in_service_degree),
        "full_time_school": _lines(form.full_time_school, form.full_time_degree_school),
        "in_service_school": _lines(form.in_service_school, form.in_service_degree_school),
        "filled_date": dotted(form.filled_date, full=True),
        "age_date": dotted(form.age_date, full=True),
        "family": family,
    }  # fmt: skip


def _lines(*texts: str) -> str:
    return "\n".join(dict.fromkeys(text for text in texts if text))


def dotted(text: str, full: bool = False) -> str:
    """A date of the form as printed; what is not a date stays as it is."""
    found, _code = read_date(text)
    if found is None or not found.month:
        return text
    return f"{found.year}.{found.month:02}" + (f".{found.day:02}" if full and found.day else "")


def lines_needed(text: str, per_line: int) -> int:
    """How many lines a text takes, full-width characters counting one and others one half."""
    total = 0
    for line in text.split("\n"):
        width = sum(1 if ord(c) > 0x2E80 else 0.5 for c in line)
        total += max(1, -(-int(width * 2) // (per_line * 2)))
    return total
