"""Résumés; the numbers are those of the exchange-format test vectors."""

import itertools
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbu.dates import PartialDate
from ganbu.formats.resume import Resume, ResumeEntry, parse_resume
from ganbu.formats.resume_checks import check_resume
from ganbu.formats.resume_writer import write_resume

CANONICAL = """1998.09--2002.07  某大学法学院法律专业学习
2002.07--2008.03  某县司法局科员（其间：2004.09--2007.06在某大学公共管理专业在职研究生学习，获公共管理硕士学位；2006.03--2006.12挂职任某镇党委委员）
2008.03--2015.11  某县司法局副局长
2015.11--         某县司法局党组书记、局长
（2013.09--2016.01某省委党校经济学专业研究生学习）

某县第十二届、十三届县委委员
"""


SEPARATORS = "-–—―─－~～〜〰至到"


@pytest.mark.parametrize("blank", ["", " ", "　"])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
@pytest.mark.parametrize("separator", SEPARATORS)
def test_11_every_separator_once_to_four_times(separator, times, blank):
    text = f"2002.07{blank}{separator * times}{blank}2008.03  某县司法局科员"
    (entry,) = parse_resume(text).entries
    assert (entry.start.iso(), entry.end.iso(), entry.text) == ("2002-07", "2008-03", "某县司法局科员")


@pytest.mark.parametrize(("one", "two"), list(itertools.permutations("-—~至", 2)))
def test_11_separators_of_two_kinds_in_one_run(one, two):
    (entry,) = parse_resume(f"2002.07{one}{two}2008.03  某县司法局科员").entries
    assert (entry.start.iso(), entry.end.iso(), entry.text) == ("2002-07", "2008-03", "某县司法局科员")


@pytest.mark.parametrize(
    "line",
    ["2015.11--         某局局长", "2015.11--至今  某局局长", "2015.11——今 某局局长", "2015.11-- 某局局长"],
)
def test_12_an_open_last_line(line):
    (entry,) = parse_resume(line).entries
    assert entry.open and entry.end is None and entry.text == "某局局长"


LINE_2 = CANONICAL.split("\n")[1]
HALF_WIDTH = str.maketrans("（）：；", "():;")


@pytest.mark.parametrize(
    "line",
    [
        LINE_2.translate(HALF_WIDTH),
        LINE_2.replace("其间", "期间"),
        LINE_2.translate(HALF_WIDTH).replace("其间", "期间"),
        LINE_2.removesuffix("）"),
        LINE_2.translate(HALF_WIDTH).removesuffix(")"),
        LINE_2.translate(HALF_WIDTH).replace("其间", "期间").removesuffix(")"),
        LINE_2.replace("（其间：", "（其间 "),
        LINE_2.replace("）", ")"),
    ],
)
def test_13_a_damaged_line_means_the_same_as_the_whole_one(line):
    """Both children, with their dates and texts, and the post without them: from the line of the formats paper."""
    (entry,) = parse_resume(line).entries
    assert entry == parse_resume(CANONICAL).entries[1] and len(entry.inner) == 2
    unclosed = not line.endswith(("）", ")"))
    assert [issue.code for issue in entry.issues] == ["resume.bracket_unclosed"] * unclosed


def test_13_nested_brackets_belong_to_the_piece_they_stand_in():
    (entry,) = parse_resume(
        "2002.07--2008.03  科员（其间：2004.09--2007.06在某大学（党校）学习（在职(业余)）；2006.03--2006.12挂职）"
    ).entries
    assert [piece.text for piece in entry.inner] == ["在某大学（党校）学习（在职(业余)）", "挂职"]
    assert entry.text == "科员" and entry.issues == ()


def test_14_and_15_bracket_line_and_tail():
    found = parse_resume(CANONICAL)
    assert [entry.start.iso() for entry in found.entries] == ["1998-09", "2002-07", "2008-03", "2015-11"]
    assert [piece.start.iso() for piece in found.entries[1].inner] == ["2004-09", "2006-03"]
    assert found.studies[0].start.iso() == "2013-09" and found.studies[0].parents == (2, 3)
    assert found.tail == "某县第十二届、十三届县委委员"
    study = found.entries[0].study
    assert (study.school, study.department, study.major) == ("某大学", "法学院", "法律")
    assert [entry.kind for entry in found.entries] == ["study", "post", "post", "post"]
    assert found.issues == ()


def test_16_a_continuation_line_joins_the_one_before():
    (entry,) = parse_resume("2002.07--2008.03  某县司法局\n                  科员").entries
    assert entry.text == "某县司法局科员"


def test_17_a_date_with_only_a_year():
    (entry,) = parse_resume("2002--2008.03  某县司法局科员").entries
    assert entry.start == PartialDate(2002) and entry.start.precision == "year"


@pytest.mark.parametrize("month", ["13", "00", "99"])
def test_18_a_month_that_cannot_be_is_an_error_and_never_guessed(month):
    for text, place in ((f"2002.{month}--2008.03", "start"), (f"2002.07--2008.{month}", "end")):
        (entry,) = parse_resume(f"{text}  某县司法局科员", "a.lrmx").entries
        assert getattr(entry, place).month is None and entry.text == "某县司法局科员"
        (issue,) = entry.issues
        assert (issue.code, issue.severity, issue.line) == ("date.month_out_of_range", "error", 1)
        # What could not be read is given back as typed.
        assert write_resume(parse_resume(f"{text}  某县司法局科员")) == f"{text}  某县司法局科员\r\n"


@pytest.mark.parametrize(
    "line", ["2015.11——至今　某县司法局党组书记、局长", "2015.11——某县司法局党组书记、局长"]
)
def test_an_open_line_typed_otherwise_means_the_same(line):
    assert parse_resume(line).entries == parse_resume(CANONICAL).entries[3:]


@pytest.mark.parametrize(
    "post",
    [
        "县毕业生就业指导办公室主任",
        "市专业技术人员管理科科长",
        "县委学习实践活动办公室副主任",
        "教育厅研究生处处长",
        "县农民专业合作社联合会会长",
        "某大学研究生院党委书记，学位办主任",
        "县大中专毕业生分配办公室科员（正式）",
    ],
)
def test_posts_win_in_doubt(post):
    assert parse_resume(f"2002.07--2008.03  {post}").entries[0].kind == "post"


@pytest.mark.parametrize(
    "study",
    [
        "某大学法学院法律专业学习",
        "在中央党校县委书记研修班学习",
        "市委党校中青年领导干部培训班学习",
        "某校校长培训班学员",
        "某大学中文系汉语言文学专业学习（获文学学士学位）",
    ],
)
def test_whom_a_class_is_for_does_not_make_it_a_post(study):
    assert parse_resume(f"2002.07--2008.03  {study}").entries[0].kind == "study"


@pytest.mark.parametrize(
    "damaged",
    [
        "1998.9-2002.7 某大学法学院法律专业学习",
        "１９９８．０９－－２００２．０７　　某大学法学院法律专业学习",
        "199809—200207某大学法学院法律专业学习",
        "1998年9月至2002年7月  某大学法学院法律专业学习",
    ],
)
def test_damaged_lines_mean_the_same(damaged):
    assert parse_resume(damaged).entries == parse_resume(CANONICAL).entries[:1]


def test_the_canonical_text_is_written_as_it_was_read():
    assert write_resume(parse_resume(CANONICAL)).replace("\r\n", "\n").strip() == CANONICAL.strip()


@pytest.mark.parametrize(
    "text",
    [
        "2002.07--2008.03  某县某局科员（其间：2005.03起某大学学习）",
        "2002.07--2008.03  某县某局科员（其间：2005年某大学学习）",
        "2002.07--2008.03  某县某局科员（其间：2004.09--2005.01  2中挂职；2006.01--2006.03某市学习）",
        "2002.07--2008.03  某县某局科员\n（2005.03--2007.07某省委党校学习）\n2008.03--         某局副科长",
        "2002.07--2008.03  某县某局科员\n（2005.13--2007.07某省委党校学习；2006.01--2006.03挂职）\n2008.03--         某局副科长",
        "2002.13--2008.03  某县某局科员（其间：2005.03起借调）\n2008.03--         某局副科长\n\n某县第十届人大代表",
    ],
)
def test_brackets_open_ends_and_lines_that_cannot_be_read_are_written_back_as_they_were(text):
    assert write_resume(parse_resume(text)) == text.replace("\n", "\r\n") + "\r\n"


def test_a_study_line_before_any_post_or_without_dates_is_not_lost():
    for text in (
        "（1999.03--2000.07某省委党校学习）\n2002.07--2008.03  某县某局科员",
        "2002.07--2008.03  某县某局科员\n（某省委党校学习）",
    ):
        written = write_resume(parse_resume(text))
        assert "某省委党校学习" in written and parse_resume(written) == parse_resume(
            write_resume(parse_resume(written))
        )


def codes(text, **facts):
    return {
        issue.code.removeprefix("resume.")
        for issue in check_resume(parse_resume(text), "a", today=date(2025, 6, 30), **facts)
    }


LINE = "{}--{}  某县司法局{}"


@pytest.mark.parametrize(
    ("letter", "text", "facts", "code"),
    [
        ("a", LINE.format("2008.03", "2002.07", "科员"), {}, "reversed"),
        (
            "b",
            LINE.format("2002.07", "2008.03", "科员") + "\n" + LINE.format("2008.05", "2015.11", "科长"),
            {},
            "gap",
        ),
        (
            "b",
            LINE.format("2002.07", "2008.03", "科员") + "\n" + LINE.format("2008.01", "2015.11", "科长"),
            {},
            "overlap",
        ),
        ("c", "2002.07--         某局科员\n2008.03--         某局科长", {}, "several_open"),
        ("d", "2002.07--         某局科员\n2008.03--2010.01  某局科长", {}, "open_not_last"),
        ("e", LINE.format("2002.07", "2008.03", "科员"), {"work_start": PartialDate(2001, 7)}, "late_start"),
        (
            "e",
            LINE.format("2002.07", "2008.03", "科员"),
            {"work_start": PartialDate(2003, 1)},
            "work_boundary",
        ),
        ("f", LINE.format("2002.07", "2008.03", "科员"), {"birth": PartialDate(1990, 1)}, "too_young"),
        ("g", "2002.07--2008.03  某局科员（其间：2007.09--2009.06某大学学习）", {}, "child_outside"),
        ("h", LINE.format("2002.07", "2008.03", "科员"), {"degrees": ["大学"]}, "degree_without_study"),
        ("h", "1998.09--2002.07  某大学法律专业学习", {}, "study_without_degree"),
        ("i", LINE.format("2002.07", "2008.03", "科员"), {"current_post": "某县司法局局长"}, "current_post"),
        (
            "j",
            LINE.format("2002.07", "2008.03", "科员"),
            {"post_starts": [PartialDate(2005, 1)]},
            "post_boundary",
        ),
        ("k", "2002.07—2008.03  某局科员", {}, "style"),
        ("l", LINE.format("2002.07", "2030.03", "科员"), {}, "future"),
        (
            "m",
            LINE.format("2002.07", "2008.03", "科员") + "\n" + LINE.format("2002.07", "2008.03", "科员"),
            {},
            "duplicate",
        ),
        (
            "n",
            LINE.format("2002.07", "2008.03", "科员"),
            {"trainings": [(PartialDate(2005, 1), PartialDate(2005, 4))]},
            "training_not_noted",
        ),
    ],
)
def test_each_check_asks_and_is_silent_when_all_is_well(letter, text, facts, code):
    assert code in codes(text, **facts)
    assert code not in codes(
        "1998.09--2002.07  某大学法律专业学习\n2002.07--2008.03  某县司法局科员\n2008.03--         某县司法局科长",
        birth=PartialDate(1980, 1),
        work_start=PartialDate(2002, 7),
        degrees=["大学"],
        current_post="某县司法局科长",
        post_starts=[PartialDate(2008, 3)],
    )


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="12 09.-—至今（）()其间：；\n年月某局科员学习、", max_size=80))
def test_no_text_stops_the_reader(text):
    parse_resume(text)


months = st.integers(1980 * 12, 2024 * 12)


@settings(max_examples=80, deadline=None)
@given(st.lists(months, min_size=2, max_size=8, unique=True))
def test_a_career_written_is_a_career_read(edges):
    edges = sorted(edges)
    day = lambda m: PartialDate(m // 12, m % 12 + 1)  # noqa: E731
    rows = [
        ResumeEntry(day(a), day(b), f"某局职位{n}号") for n, (a, b) in enumerate(itertools.pairwise(edges))
    ]
    rows.append(ResumeEntry(day(edges[-1]), None, "某局局长", open=True))
    text = write_resume(Resume(tuple(rows)))
    assert parse_resume(text).entries == tuple(rows) and write_resume(parse_resume(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "2002.07--2008.03  某局\n" + "某某某某某某某某某\n" * 20_000,
        "2002.07--2008.03  某" + "（其间：" * 20_000,
        "2002.07--2008.03  某" + "（其间：2004.09--2007.06" * 5_000,
        "2002.07--2008.03  " + "取得" * 50_000 + "学习",
        "2002.07--2008.03  某" + " " * 50_000 + "学习",
        "2002.07--2008.03  " + "某" * 50_000 + "大学学习",
    ],
)
def test_long_texts_take_no_time_by_the_square(text):
    start = time.process_time()
    for entry in parse_resume(text).entries:
        assert entry.study is None or entry.study.degree == ""
    assert time.process_time() - start < 3
