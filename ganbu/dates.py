"""Dates as offices write them (日期): with year, month or day precision, and exact spans between them."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date
from functools import total_ordering

_ISO = re.compile(r"^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?$")


@total_ordering
@dataclass(frozen=True)
class PartialDate:
    """A date with its precision (日期及精度): the year, and the month and day where known.

    >>> PartialDate.parse("2011-03").precision
    'month'
    """

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.year <= 9999:
            raise ValueError(f"年份 {self.year} 不在 1–9999 之间")
        if self.day is not None and self.month is None:
            raise ValueError("有日无月")
        date(self.year, self.month or 1, self.day or 1)

    @classmethod
    def parse(cls, text: str) -> PartialDate:
        """Read `YYYY`, `YYYY-MM` or `YYYY-MM-DD`. Raises ValueError on anything else."""
        match = _ISO.match(text.strip())
        if not match:
            raise ValueError(f"日期“{text}”应写作 YYYY、YYYY-MM 或 YYYY-MM-DD")
        year, month, day = match.groups()
        return cls(int(year), int(month) if month else None, int(day) if day else None)

    @property
    def precision(self) -> str:
        """`year`, `month` or `day`."""
        return "day" if self.day else "month" if self.month else "year"

    def first(self) -> date:
        """The earliest day it can be."""
        return date(self.year, self.month or 1, self.day or 1)

    def last(self) -> date:
        """The latest day it can be."""
        month = self.month or 12
        return date(self.year, month, self.day or calendar.monthrange(self.year, month)[1])

    def iso(self) -> str:
        """`YYYY`, `YYYY-MM` or `YYYY-MM-DD`, by precision."""
        if self.day:
            return f"{self.year:04}-{self.month:02}-{self.day:02}"
        return f"{self.year:04}-{self.month:02}" if self.month else f"{self.year:04}"

    __str__ = iso

    def __lt__(self, other: PartialDate) -> bool:
        return (self.year, self.month or 0, self.day or 0) < (other.year, other.month or 0, other.day or 0)


def add_months(day: date, months: int) -> date:
    """The same day of the month `months` later, or that month's last day where it has no such day.

    >>> add_months(date(2024, 8, 31), 6)
    datetime.date(2025, 2, 28)
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def full_months(start: date, end: date) -> int:
    """Completed months (满月数) from start to end by anniversary; a month without that day ends on its last.

    >>> full_months(date(2015, 7, 2), date(2025, 7, 1)) // 12
    9
    """
    months = (end.year - start.year) * 12 + end.month - start.month
    anniversary_day = min(start.day, calendar.monthrange(end.year, end.month)[1])
    return months - (end.day < anniversary_day)


def full_years(start: date, end: date) -> int:
    """Completed years (周年数), by `full_months`."""
    return full_months(start, end) // 12
