"""Working days (工作日): the State Council's calendar where it is known, Monday to Friday where it is not."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import chinese_calendar

FIRST, LAST = date(2004, 1, 1), max(date(2026, 12, 31), *chinese_calendar.holidays)


def is_workday(day: date) -> bool:
    """Whether offices work that day."""
    if FIRST <= day <= LAST:
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < 5


@lru_cache(maxsize=4)
def workday_counts(first: date, last: date) -> list[tuple[date, int]]:
    """Each day from first to last with the number of working days up to and including it."""
    rows, total, day = [], 0, first
    while day <= last:
        total += is_workday(day)
        rows.append((day, total))
        day += timedelta(days=1)
    return rows


def add_workdays(day: date, count: int) -> date:
    """The working day `count` working days after `day` (the day itself not counted)."""
    step = timedelta(days=1 if count >= 0 else -1)
    left = abs(count)
    while left:
        day += step
        left -= is_workday(day)
    return day
