"""Rows by register, numbered as they come (登记)."""

from __future__ import annotations

from datetime import date
from typing import Any

from ganbu.synthetic.units import Row

NAMES = (
    "assessment", "other_assessment", "unit_assessment", "award", "sanction", "training", "secondment", "project", "assignment", "deed", "warning", "talk",
    "family", "kin", "report_check", "file_element", "opinion", "ballot_result", "exam", "pool_member", "mentorship", "nomination", "leave", "work_log",
    "unit_record", "metric", "file_audit", "file_review", "file_issue", "material", "custody", "selection", "candidate", "effect", "finding",
)  # fmt: skip


class Recorder:
    """Rows by register, each with the next number as its identity."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in NAMES}

    def add(self, register: str, **values: Any) -> str:
        """Add a row and return its identity; dates become text, what is None is left out."""
        key = f"{register}-{len(self.rows[register]) + 1}"
        row = {f"{register}_id": key}
        row.update(
            {k: v.isoformat() if isinstance(v, date) else v for k, v in values.items() if v is not None}
        )
        self.rows[register].append(row)
        return key
