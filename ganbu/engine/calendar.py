"""Working days (工作日): the State Council's calendar where it is known, Monday to Friday where it is not."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from itertools import accumulate

import chinese_calendar
import pyarrow as pa

FROM, UNTIL = date(1990, 1, 1), date(2060, 12, 31)  # the days that rules can count over
FIRST, LAST = date(2004, 1, 1), max(date(2026, 12, 31), *chinese_calendar.holidays)


def is_workday(day: date) -> bool:
    """Whether offices work that day."""
    if FIRST <= day <= LAST:
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < 5


@lru_cache(maxsize=1)
def workday_counts() -> list[int]:
    """For each day from FROM to UNTIL the number of working days up to and including it."""
    days = range((UNTIL - FROM).days + 1)
    return list(accumulate(int(is_workday(FROM + timedelta(days=at))) for at in days))


@lru_cache(maxsize=1)
def workdays() -> list[date]:
    """The first working day from FROM on, the second, and so on, to UNTIL."""
    days = [FROM + timedelta(days=at) for at in range((UNTIL - FROM).days + 1)]
    return [day for day in days if is_workday(day)]


def add_workdays(day: date, count: int) -> date:
    """The working day `count` working days after `day` (the day itself not counted)."""
    step = timedelta(days=1 if count >= 0 else -1)
    left = abs(count)
    while left:
        day += step
        left -= is_workday(day)
    return day


def lists() -> pa.Table:
    """One row for engines that count in SQL: `counts` by day from FROM on, `days` by their number."""
    return pa.table({"counts": [workday_counts()], "days": [workdays()]})
