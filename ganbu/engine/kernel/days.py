"""Dates as days since 1970-01-01 (日期列), and the calendar arithmetic on them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from ganbu.engine import calendar
from ganbu.engine.kernel.columns import Array, Col, constant, integers, meet

EPOCH = date(1970, 1, 1)
FIRST_MONTH, LAST_MONTH = (1 - 1970) * 12, (9999 - 1970) * 12 + 11
FAR_PAST, FAR_FUTURE = (date(1, 1, 1) - EPOCH).days, (date(9999, 12, 31) - EPOCH).days
TABLED = 2000  # dates from which on a table of all days is quicker than reckoning
CENTURIES = 12 * 1000
_NEAR = ((date(1890, 1, 1) - EPOCH).days, (date(2120, 1, 1) - EPOCH).days)


def days_of(day: date) -> int:
    """Days since the epoch."""
    return (day - EPOCH).days


def day_of(days: int) -> date:
    """The date of a number of days since the epoch."""
    return EPOCH + timedelta(days=days)


def parts(v: Array) -> tuple[Array, Array]:
    """Months since 1970-01 and the day of the month."""
    if v.ndim == 0:
        day = day_of(int(v))
        return np.asarray((day.year - 1970) * 12 + day.month - 1), np.asarray(day.day)
    if not v.size:
        return v, v
    if _is_near(v):
        months, first = _near_days()
        at = v - _NEAR[0]
        return months.take(at), np.asarray(v - first.take(at))
    months = v.astype("M8[D]").astype("M8[M]")
    return months.astype(np.int64), v - months.astype("M8[D]").astype(np.int64) + 1


def _is_near(v: Array) -> bool:
    """Whether all days are of the years in daily use."""
    return bool(v.size) and int(v.min()) >= _NEAR[0] and int(v.max()) < _NEAR[1]


@lru_cache(maxsize=1)
def _near_days() -> tuple[Array, Array]:
    """For each day of the years in daily use its month, and the day before that month: a table is quicker."""
    days = np.arange(*_NEAR)
    months = days.astype("M8[D]").astype("M8[M]")
    return months.astype(np.int64), months.astype("M8[D]").astype(np.int64) - 1


@lru_cache(maxsize=64)
def _near_moved(months: int) -> Array:
    """For each day of the years in daily use the day so many months later."""
    return _moved(Col(np.arange(*_NEAR)), constant(np.int64(months))).v.astype(np.int32)


@lru_cache(maxsize=32)
def _near_months(day: int, before: bool) -> Array:
    """For each day of the years in daily use the completed months from it to a day, or (`before`) from that day to it."""
    days, one = np.arange(*_NEAR), np.asarray(day)
    return (_months_between(one, days) if before else _months_between(days, one)).astype(np.int32)


@lru_cache(maxsize=1)
def _month_starts() -> Array:
    months = np.arange(FIRST_MONTH, LAST_MONTH + 2).astype("M8[M]")
    return months.astype("M8[D]").astype(np.int64)


def month_start(months: Array) -> Array:
    """The first day of each month."""
    return np.asarray(_month_starts()[months - FIRST_MONTH])


def month_length(months: Array) -> Array:
    """The number of days of each month."""
    at = months - FIRST_MONTH
    starts = _month_starts()
    return np.asarray(starts[at + 1] - starts[at])


def months_between(start: Array, end: Array) -> Array:
    """Completed months by anniversary; a month without that day ends on its last."""
    if end.ndim == 0 and start.size > TABLED and _is_near(start):
        return _near_months(int(end), False).take(start - _NEAR[0]).astype(np.int64)
    if start.ndim == 0 and end.size > TABLED and _is_near(end):
        return _near_months(int(start), True).take(end - _NEAR[0]).astype(np.int64)
    return _months_between(start, end)


def _months_between(start: Array, end: Array) -> Array:
    m1, d1 = parts(start)
    m2, d2 = parts(end)
    short = (d2 < d1) & (d2 < month_length(m2))
    return np.asarray(m2 - m1 - short)


def years_between(start: Array, end: Array) -> Array:
    """Completed years by anniversary, rounded down."""
    return months_between(start, end) // 12


def moved(start: Col, amount: Col) -> Col:
    """The same day of the month so many months later, or that month's last day; beyond 9999 there is no such day."""
    if amount.v.ndim == 0 and start.v.size > TABLED and abs(int(amount.v)) < CENTURIES and _is_near(start.v):
        days = _near_moved(int(amount.v)).take(start.v - _NEAR[0])
        return Col(days.astype(np.int64), meet(start.ok, amount.ok))
    return _moved(start, amount)


def _moved(start: Col, amount: Col) -> Col:
    months, day = parts(start.v)
    target = months + amount.v
    ok = meet(start.ok, amount.ok)
    ok = _within(target, FIRST_MONTH, LAST_MONTH, ok)
    target = np.clip(target, FIRST_MONTH, LAST_MONTH).astype(np.int64)
    return Col(month_start(target) + np.minimum(day, month_length(target)) - 1, ok)


def shifted(start: Col, amount: Col) -> Col:
    """So many days later; beyond 9999 there is no such day."""
    v, ok = np.asarray(start.v + amount.v), meet(start.ok, amount.ok)
    return Col(np.clip(v, FAR_PAST, FAR_FUTURE).astype(np.int64), _within(v, FAR_PAST, FAR_FUTURE, ok))


def _within(v: Array, low: int, high: int, ok: Array | None) -> Array | None:
    """Known only inside the calendar: one impossible date makes one result not known, and stops nobody else's."""
    inside = np.asarray((v >= low) & (v <= high), bool)
    return ok if inside.all() else meet(ok, inside)


def built(year: Col, month: Col, day: Col) -> Col:
    """The date of a year, month and day; not known where there is no such day."""
    ok = meet(meet(year.ok, month.ok), day.ok)
    months = (year.v - 1970) * 12 + month.v - 1
    inside = (year.v >= 1) & (year.v <= 9999) & (month.v >= 1) & (month.v <= 12)
    safe = np.where(inside, months, 0)
    inside = inside & (day.v >= 1) & (day.v <= month_length(safe))
    return Col(np.where(inside, month_start(safe) + day.v - 1, 0), meet(ok, np.asarray(inside, bool)))


@lru_cache(maxsize=1)
def _workday_counts() -> tuple[int, Array]:
    return days_of(calendar.FROM), np.array(calendar.workday_counts(), np.int64)


def _count_at(days: Array) -> tuple[Array, Array]:
    first, counts = _workday_counts()
    at = days - first
    inside = (at >= 0) & (at < len(counts))
    return np.asarray(counts[np.where(inside, at, 0)]), np.asarray(inside)


def workdays_between(start: Col, end: Col) -> Col:
    """Working days after `start` up to and including `end`; outside the calendar not known."""
    one, inside_one = _count_at(start.v)
    two, inside_two = _count_at(end.v)
    return integers(two - one, meet(meet(start.ok, end.ok), inside_one & inside_two), 30000)


def workdays_later(start: Col, amount: Col) -> Col:
    """The working day so many working days after (before) a day; none at all is the day itself.

    Outside the calendar not known.
    """
    first, counts = _workday_counts()
    seat, inside = _count_at(start.v)
    before, _ = _count_at(np.asarray(start.v - 1))
    # Going back from a day of rest, the first working day met is already one.
    goal = seat + amount.v + ((amount.v < 0) & (before == seat))
    at = np.searchsorted(counts, goal)
    found = (at < len(counts)) & (counts[np.minimum(at, len(counts) - 1)] == goal)
    ok = meet(meet(start.ok, amount.ok), np.asarray(inside & found))
    return Col(np.where(amount.v == 0, start.v, np.where(found, first + at, 0)), ok)


def today(day: date) -> Col:
    """A day as a constant column."""
    return constant(np.int64(days_of(day)))
