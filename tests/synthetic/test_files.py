"""The files of the made-up people: as dirty as offices send them, in known shares, and the same every time."""

import re
from collections import Counter
from datetime import date

import pytest

from ganbu.formats.batch import read_batch
from ganbu.formats.form import photo_type
from ganbu.formats.interchange import form_to_rows
from ganbu.synthetic import build_district, write_lrmx_folder
from ganbu.synthetic.damage import LARGEST_PORTRAIT, MISHAPS, SENT_TWICE, SLIPS, is_lrm
from ganbu.synthetic.identity import PORTRAIT, check_character, id_number, wrong_check

PEOPLE = 400
DAY = date(2026, 6, 30)


@pytest.fixture(scope="module")
def folder(district, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    assert write_lrmx_folder(district, folder, PEOPLE) == PEOPLE
    return folder


@pytest.fixture(scope="module")
def read(folder):
    """Name, form or None, codes of the issues of reading and of taking the form into the record."""
    found = []
    for name, form, issues in read_batch(folder):
        remarks = form_to_rows(form, name, DAY)[1] if form else []
        found.append((name, form, {issue.code for issue in [*issues, *remarks]}))
    return found


@pytest.mark.parametrize("people", [30, 120])
def test_the_same_seed_writes_the_same_files(tmp_path, people):
    for at in ("a", "b"):
        write_lrmx_folder(build_district(people), tmp_path / at, people, seed=5)
    files = [{f.name: f.read_bytes() for f in (tmp_path / at).iterdir()} for at in ("a", "b")]
    assert files[0] == files[1]


def test_every_person_has_a_file_some_two_and_one_in_ten_is_lrm_with_its_pic(folder):
    names = [f.name for f in folder.iterdir()]
    kinds = Counter(name.rpartition(".")[2] for name in names)
    twice = len(SENT_TWICE) * PEOPLE // 100
    assert kinds["lrm"] == PEOPLE // 10 and kinds["lrmx"] == PEOPLE - PEOPLE // 10 + twice
    assert 0.8 < kinds["pic"] / kinds["lrm"] < 1
    assert sum("(1)" in name for name in names) == twice


def test_a_file_has_one_fault_of_its_own_at_most():
    places = [*SLIPS, *MISHAPS, *SENT_TWICE]
    assert len(places) == len(set(places)) and 20 <= len(places) <= 30


WANTED = {  # issue code: least and most files of a hundred
    "file.unreadable": (1, 1), "encoding.unexpected": (2, 3), "date.month_out_of_range": (2, 2), "date.year_only": (1, 5), "photo.damaged": (1, 1),
    "photo.zero_tail": (1, 1), "photo.unknown_type": (1, 1), "family.lists_differ": (1, 1), "resume.gap": (2, 6), "resume.style": (35, 60),
    "resume.work_boundary": (0.5, 2),
}  # fmt: skip


def test_each_kind_of_dirt_occurs_in_its_share(read):
    codes = Counter()
    for _, form, found in read:
        codes.update(found if form else {"file.unreadable"})
    for code, (least, most) in WANTED.items():
        assert least <= codes[code] * 100 / PEOPLE <= most, (code, codes[code])


def test_only_the_files_cut_short_cannot_be_read(read):
    places = [int(name[:4]) - 1 for name, form, _ in read if form is None]
    assert [at % 100 for at in places] == [96] * (PEOPLE // 100)


def test_forms_and_record_disagree_about_birth_work_and_party_in_three_of_a_hundred(read, district):
    differ = Counter()
    for name, form, _ in read:
        person = district["person"][int(name[:4]) - 1]
        if form is None:
            continue
        for field, typed in (("birth_date", form.birth_date), ("work_start", form.work_start), ("party_date", form.party_joining)):  # fmt: skip
            held = (person.get(field) or "").replace("-", "")[:6]
            if len(held) == 6 and len(typed) == 6 and typed[:4].isdigit() and not typed.endswith("13"):
                differ[field] += typed != held
    assert differ["birth_date"] == differ["work_start"] == 4 and 2 <= differ["party_date"] <= 4


def test_names_with_blanks_missing_births_and_relatives_without_name_occur(read):
    forms = [form for _, form, _ in read if form]
    assert sum(bool(re.search(r"\s", form.name)) for form in forms) == 12
    assert 4 <= sum(not form.birth_date for form in forms) <= 16
    assert sum(any(not member.name for member in form.family) for form in forms) >= 8


# -- identity numbers and portraits -----------------------------------------------------------------------------


def test_most_people_have_an_identity_number_of_no_region_and_no_two_the_same(district, large_district):
    people = large_district["person"]
    numbers = [p["id_number"] for p in people if p["id_number"]]
    assert 0.93 < len(numbers) / len(people) < 0.97 and len(set(numbers)) == len(numbers)
    assert all(number.startswith("00") and check_character(number[:17]) == number[17] for number in numbers)
    for person in people:
        if number := person["id_number"]:
            assert int(number[16]) % 2 == (person["sex"] == "男")
            assert number[6:14].startswith((person["birth_date"] or "").replace("-", ""))


def test_a_check_character_is_wrong_in_two_forms_of_a_hundred(read):
    numbers = [form.id_number for _, form, _ in read if form and form.id_number]
    wrong = [number for number in numbers if check_character(number[:17]) != number[17]]
    assert 0.8 < len(numbers) / PEOPLE < 1 and 6 <= len(wrong) <= 8


def test_the_check_character_is_that_of_the_standard():
    assert check_character("11010519491231002") == "X"
    made = id_number(date(1980, 3, 12), "女", 1)
    assert made == "000000198003120021" and wrong_check(made)[:17] == made[:17] and wrong_check(made) != made


def test_nine_forms_in_ten_carry_a_portrait_and_one_in_a_hundred_is_too_large(read):
    photos = [form.photo for _, form, _ in read if form and form.photo]
    assert 0.85 < len(photos) / len(read) < 0.95
    assert sum(len(photo) > LARGEST_PORTRAIT for photo in photos) == PEOPLE // 100
    assert {photo_type(photo) for photo in photos if photo.endswith(b"\xff\xd9")} == {"jpeg"}


def test_the_portrait_is_a_complete_jpeg_of_eight_by_ten():
    assert PORTRAIT.startswith(b"\xff\xd8\xff\xe0") and PORTRAIT.endswith(b"\xff\xd9") and len(PORTRAIT) < 200
    frame = PORTRAIT.index(b"\xff\xc0")
    assert PORTRAIT[frame + 5 : frame + 9] == bytes([0, 10, 0, 8])
    at, kinds = 2, []
    while PORTRAIT[at + 1] != 0xDA:  # every segment is as long as it says
        assert PORTRAIT[at] == 0xFF
        kinds.append(PORTRAIT[at + 1])
        at += 2 + int.from_bytes(PORTRAIT[at + 2 : at + 4])
    assert kinds == [0xE0, 0xDB, 0xC0, 0xC4, 0xC4]


def test_lrm_files_are_as_the_writer_makes_them(read):
    assert all(is_lrm(int(name[:4]) - 1) == name.endswith(".lrm") for name, _, _ in read)
    lrm = [form for name, form, _ in read if name.endswith(".lrm")]
    assert all(form and form.resume and form.family and not form.id_number for form in lrm)
