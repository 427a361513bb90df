"""The small texts inside form fields."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.formats.grammars import (
    read_assessments,
    read_awards,
    read_party_joining,
    write_party_joining,
)
from ganbu.formats.text import trim, unescape


def graded(text):
    found, issues = read_assessments(text)
    return {item.year: item.grade for item in found}, [issue.code for issue in issues]


@pytest.mark.parametrize(
    ("text", "grades"),
    [
        ("2022、2023、2024年度分别为称职、优秀、称职", {2022: "称职", 2023: "优秀", 2024: "称职"}),
        ("2021—2023年考核结果分别是优秀、称职、基本称职", {2021: "优秀", 2022: "称职", 2023: "基本称职"}),
        ("2022、2023年分别为称职、优秀，2024年称职。", {2022: "称职", 2023: "优秀", 2024: "称职"}),
        ("2021—2023年称职；2024年优秀", {2021: "称职", 2022: "称职", 2023: "称职", 2024: "优秀"}),
        (
            "2023年未定等次；2024年未确定等次；2025年未确定",
            {2023: "未定等次", 2024: "未确定等次", 2025: "未确定"},
        ),
        ("2023年基本合格，2024年不合格", {2023: "基本合格", 2024: "不合格"}),
        ("2023年称职，经复核仍为称职", {2023: "称职"}),
    ],
)
def test_each_year_gets_its_own_grade(text, grades):
    assert graded(text) == (grades, [])


@pytest.mark.parametrize(
    "text",
    ["2022、2023、2024年度分别为称职、优秀", "2023年度分别为称职、优秀", "2022、2023年度考核优秀、称职"],
)
def test_years_and_grades_that_do_not_match_are_not_stored(text):
    assert graded(text) == ({}, ["assessment.unpaired"])


def test_a_mismatch_costs_only_its_own_sentence():
    assert graded("2021、2022年分别为优秀；2023年称职") == ({2023: "称职"}, ["assessment.unpaired"])


@pytest.mark.parametrize(
    ("text", "joined", "status", "written"),
    [
        ("19850701", PartialDate(1985, 7, 1), "中共党员", "198507"),
        ("1985.07.01", PartialDate(1985, 7, 1), "中共党员", "198507"),
        ("198507", PartialDate(1985, 7), "中共党员", "198507"),
        ("预备党员", None, "预备党员", "预备党员"),
        ("中共预备党员（2023.06）", PartialDate(2023, 6), "预备党员", "预备党员；202306"),
        ("共青团员", None, "共青团员", "共青团员"),
        ("九三学社", None, "九三学社", "九三学社"),
        ("（民建、民盟）", None, "民建", "民建、民盟"),
        ("200108；民建", PartialDate(2001, 8), "中共党员", "200108；民建"),
        ("群众", None, "", ""),
    ],
)
def test_party_joining_tells_a_date_and_a_status(text, joined, status, written):
    found = read_party_joining(text)
    assert (found.ccp, found.political_status, found.issues) == (joined, status, ())
    assert write_party_joining(found) == written


def test_a_date_beside_the_youth_league_is_not_one_of_joining_the_party():
    found = read_party_joining("共青团员 2001.05")
    assert (found.ccp, found.political_status) == (None, "共青团员")
    assert [issue.code for issue in found.issues] == ["party.date_dropped"]


@pytest.mark.parametrize("day", ["19850732", "19851301"])
def test_a_full_date_that_cannot_be_is_an_error(day):
    (issue,) = read_party_joining(day).issues
    assert issue.severity == "error"


def test_awards_with_and_without_an_authority():
    (one, two, three), _ = read_awards("2019.05，经市委批准，记三等功；2020年获县优秀党员；经费审批先进")
    assert (one.date, one.authority, one.name) == (PartialDate(2019, 5), "市委", "记三等功")
    assert (two.date, two.authority, two.name) == (PartialDate(2020), "", "获县优秀党员")
    assert (three.date, three.authority) == (None, "")


# -- long texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [
        lambda: read_awards("2019" + " " * 50_000 + "x"),
        lambda: read_awards("经" * 50_000 + "批准"),
        lambda: read_party_joining("中共" + " " * 50_000 + "x"),
        lambda: read_assessments("2019" + " " * 50_000 + "x"),
        lambda: unescape("&" + "amp;" * 250_000),
        lambda: unescape("&amp;" * 50_000),
        lambda: trim("一" + " " * 50_000 + "二\r\n三"),
    ],
)
def test_long_texts_take_no_time_by_the_square(read):
    start = time.process_time()
    read()
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "plain"), [("&amp;lt;", "<"), ("&" + "amp;" * 99 + "lt;", "<"), ("&1amp;gt;", ">")]
)
def test_however_often_it_was_escaped(text, plain):
    assert unescape(text) == plain


@settings(max_examples=200, deadline=None)
@given(st.text("&1amplt;gt quo#13;\n\r 汉", max_size=40), st.booleans())
def test_trimming_twice_changes_nothing(text, line_breaks):
    once = trim(text, line_breaks)
    assert trim(once, line_breaks) == once
