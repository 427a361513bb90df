"""Dates in SQL agree with dates in Python, on every day there is."""

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate, add_months, full_months, full_years
from ganbu.engine import calendar
from ganbu.engine.sql import day, months_between

connection = duckdb.connect(":memory:")
days = st.dates(date(1940, 1, 1), date(2080, 12, 31))


@settings(max_examples=300, deadline=None)
@given(days, days)
def test_months_between_as_sql_and_as_python(one, two):
    start, end = min(one, two), max(one, two)
    assert connection.execute(f"SELECT {months_between(day(start), day(end))}").fetchone()[0] == full_months(
        start, end
    )


def test_the_29th_of_february_has_its_anniversary_on_the_28th():
    assert full_years(date(2016, 2, 29), date(2026, 2, 27)) == 9
    assert full_years(date(2016, 2, 29), date(2026, 2, 28)) == 10
    assert add_months(date(2024, 2, 29), 12) == date(2025, 2, 28)


@given(days, st.integers(0, 600))
def test_adding_months_reaches_the_first_day_on_which_they_are_full(start, months):
    end = add_months(start, months)
    assert full_months(start, end) == months
    assert months == 0 or full_months(start, end - timedelta(days=1)) == months - 1


@pytest.mark.parametrize(
    ("born", "as_of", "years"),
    [
        ("2016-02-29", "2026-02-28", 10),
        ("2016-02-29", "2026-02-27", 9),
        ("1980-07-01", "2025-06-30", 44),
        ("1980-06-30", "2025-06-30", 45),
        ("1979-08-31", "2024-02-29", 44),
    ],
)
def test_years_in_a_policy(judge, born, as_of, years):
    found = judge(
        "policy: 甲\nkind: score\ncomponents: {岁: 年龄}\n",
        {"person": [{"person_id": "p", "birth_date": born}]},
        as_of,
    )
    assert found["p"]["数值"] == years


def test_working_days_follow_the_state_council():
    assert not calendar.is_workday(date(2025, 10, 1))
    assert calendar.is_workday(date(2025, 9, 28))  # a Sunday worked for the holiday
    assert calendar.add_workdays(date(2025, 9, 26), 5) == date(2025, 10, 10)


def test_a_partial_date_knows_its_first_and_last_day():
    month = PartialDate.parse("2024-02")
    assert (month.first(), month.last(), month.iso()) == (date(2024, 2, 1), date(2024, 2, 29), "2024-02")
    assert PartialDate.parse("2024") < PartialDate.parse("2024-03")
    for wrong in ("2024-13", "24-01", "2024-02-30", "x"):
        with pytest.raises(ValueError):
            PartialDate.parse(wrong)
