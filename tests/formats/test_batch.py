"""Batches: folders and zips from anywhere; a broken file stops no other, a dangerous archive is refused."""

import random
import struct
import zipfile

import pytest

from ganbu.errors import FormatError
from ganbu.formats.batch import read_batch
from ganbu.formats.form import AppointmentForm
from ganbu.formats.lrm import write_lrm
from ganbu.formats.lrmx import write_lrmx

FORM = AppointmentForm(name="李芳", sex="女", birth_date="198003", resume="2002.07--         某县司法局科员")
LRMX = write_lrmx(FORM)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3 + b"\xff\xd9"


def zipped(path, entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def patched(path, *changes):
    """The file with bytes replaced; each must be there."""
    content = path.read_bytes()
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    path.write_bytes(content)
    return path


def with_directory(path, change, count):
    """The archive with another directory at its end."""
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = change(content[start:end])
    counts = struct.pack("<HHI", count, count, len(directory))
    path.write_bytes(content[:start] + directory + content[end : end + 8] + counts + content[end + 16 :])


def read(path):
    return {name: (form, [issue.code for issue in issues]) for name, form, issues in read_batch(path)}


def messages(path):
    return [issue.message for _, _, issues in read_batch(path) for issue in issues]


# -- folders ---------------------------------------------------------------------------------------------------


def test_a_folder_with_a_broken_file_and_an_lrm_with_its_photo(tmp_path):
    (tmp_path / "一").mkdir()
    (tmp_path / "一" / "甲.lrmx").write_bytes(LRMX)
    (tmp_path / "坏.lrmx").write_bytes(b"<Person>")
    (tmp_path / "乙.lrm").write_bytes(write_lrm(FORM)[0])
    (tmp_path / "乙.pic").write_bytes(JPEG)
    found = read(tmp_path)
    assert found["一/甲.lrmx"] == (FORM, []) and found["乙.lrm"][0].photo == JPEG
    assert found["坏.lrmx"] == (None, ["file.unreadable"]) and len(found) == 3


def test_zips_in_a_folder_are_read_and_other_kinds_are_reported(tmp_path):
    zipped(tmp_path / "名单.zip", [("李芳.lrmx", LRMX), ("说明.txt", "x")])
    (tmp_path / "坏.zip").write_bytes(b"PK nonsense")
    (tmp_path / "甲.lrmx").write_bytes(LRMX)
    for name in ("person.csv", "照片.jpg", "表.xls"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    assert read(tmp_path) == {
        "甲.lrmx": (FORM, []),
        "名单.zip/李芳.lrmx": (FORM, []),
        "名单.zip/说明.txt": (None, ["file.ignored"]),
        "坏.zip": (None, ["file.unreadable"]),
        "person.csv": (None, ["file.ignored"]),
        "照片.jpg": (None, ["file.ignored"]),
        "表.xls": (None, ["file.ignored"]),
    }


def test_upper_case_suffixes_are_the_same_kinds(tmp_path):
    (tmp_path / "甲.LRMX").write_bytes(LRMX)
    (tmp_path / "乙.LRM").write_bytes(write_lrm(FORM)[0])
    (tmp_path / "乙.PIC").write_bytes(JPEG)
    zipped(tmp_path / "丙.ZIP", [("丙.Lrmx", LRMX)])
    found = read(tmp_path)
    assert found["甲.LRMX"][0] == FORM and found["乙.LRM"][0].photo == JPEG
    assert found["丙.ZIP/丙.Lrmx"][0] == FORM and len(found) == 3
    assert read(tmp_path / "丙.ZIP") == {"丙.Lrmx": (FORM, [])}


def test_one_file_alone_is_read_with_its_photo_and_another_kind_is_reported(tmp_path):
    (tmp_path / "乙.lrm").write_bytes(write_lrm(FORM)[0])
    (tmp_path / "乙.jpg").write_bytes(JPEG)
    (tmp_path / "表.xls").write_bytes(b"x")
    assert read(tmp_path / "乙.lrm")["乙.lrm"][0].photo == JPEG
    assert read(tmp_path / "表.xls") == {"表.xls": (None, ["file.ignored"])}


# -- names -----------------------------------------------------------------------------------------------------


def test_names_in_gbk_are_read(tmp_path):
    # Old Windows tools write the name in GBK and do not say so.
    path = patched(
        zipped(tmp_path / "a.zip", [("XXXX.lrmx", LRMX)]), (b"XXXX.lrmx", "干部".encode("gbk") + b".lrmx")
    )
    assert read(path) == {"干部.lrmx": (FORM, [])}


def test_a_name_flagged_utf_8_that_is_gbk_is_read_as_gbk(tmp_path):
    path = zipped(tmp_path / "a.zip", [("甲.lrmx", LRMX), ("乙.lrmx", LRMX)])
    patched(path, ("甲.lrmx".encode(), "干".encode("gbk") + b"_.lrmx"))
    assert read(path) == {"干_.lrmx": (FORM, []), "乙.lrmx": (FORM, [])}


@pytest.mark.parametrize("name", [b"./.", b"\0bc", b"/.\0"])
def test_a_name_no_file_can_have_spoils_only_its_own_entry(tmp_path, name):
    path = zipped(tmp_path / "a.zip", [("abc", LRMX), ("乙.lrmx", LRMX)])
    patched(path, (b"abc", name))
    found = read(path)
    assert found.pop("乙.lrmx") == (FORM, [])
    assert list(found.values()) == [(None, ["file.unreadable"])]
    assert "a.zip" in messages(path)[0]


def test_an_empty_name_spoils_only_its_own_entry(tmp_path):
    path = zipped(tmp_path / "a.zip", [("乙.lrmx", LRMX)])
    with_directory(path, lambda one: one + b"PK\x01\x02" + bytes(42), 2)
    assert read(path) == {"": (None, ["file.unreadable"]), "乙.lrmx": (FORM, [])}


# -- damage ----------------------------------------------------------------------------------------------------


def test_a_damaged_stream_spoils_only_its_own_entry(tmp_path):
    path = zipped(tmp_path / "a.zip", [("甲.lrmx", LRMX), ("乙.lrmx", LRMX)])
    content = bytearray(path.read_bytes())
    start = content.index("甲.lrmx".encode()) + len("甲.lrmx".encode())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    assert read(path) == {"甲.lrmx": (None, ["file.unreadable"]), "乙.lrmx": (FORM, [])}
    (said,) = messages(path)
    assert "a.zip" in said and "甲.lrmx" in said and said.isascii() is False and "Error" not in said


def test_an_entry_from_a_future_version_does_not_stop_the_others(tmp_path):
    path = zipped(tmp_path / "a.zip", [("甲.lrmx", LRMX), ("乙.lrmx", LRMX)])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 83
    path.write_bytes(content)
    found = read(path)
    assert found["乙.lrmx"] == (FORM, []) and set(found) == {"甲.lrmx", "乙.lrmx"}


def test_an_unknown_compression_spoils_only_its_own_entry(tmp_path):
    path = zipped(tmp_path / "a.zip", [("甲.lrmx", LRMX), ("乙.lrmx", LRMX)])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 77
    path.write_bytes(content)
    assert read(path) == {"甲.lrmx": (None, ["file.unreadable"]), "乙.lrmx": (FORM, [])}


def test_random_damage_never_does_anything_else_than_format_error(tmp_path):
    """Whatever happened on the way, every damaged archive gives forms, remarks, or one FormatError."""
    entries = [
        ("甲.lrmx", LRMX),
        ("b/乙.lrm", write_lrm(FORM)[0]),
        ("b/乙.pic", JPEG),
        ("说明.txt", b"x" * 99),
    ]
    methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    whole = [zipped(tmp_path / f"{method}.zip", entries, method).read_bytes() for method in methods]
    chance, path = random.Random(20260630), tmp_path / "a.zip"
    outcomes = set()
    for case in range(300):
        content = bytearray(whole[case % len(whole)])
        # Half of the damage hits the directory at the end, where a reader is most easily upset.
        first = len(content) - 400 if case % 2 else 0
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(first, len(content))
            content[at] = chance.choice((0, 0xFF, chance.randrange(256)))
        if case % 5 == 0:
            del content[chance.randrange(len(content)) :]
        path.write_bytes(content)
        try:
            outcomes |= {form is not None for _, form, _ in read_batch(path)}
        except FormatError as error:
            outcomes.add("refused")
            assert "a.zip" in str(error)
    assert outcomes == {True, False, "refused"}


# -- danger ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([("../外.lrmx", b"x")], "之外"),
        ([("/etc/x.lrmx", b"x")], "之外"),
        ([("里.zip", b"x")], "压缩包"),
        ([("炸.lrmx", b"0" * 5_000_000)], "炸弹"),
        ([("大.lrmx", b"0" * 21_000_000)], "过大"),
        ([(f"{n}.lrmx", b"0" * 1_000_000) for n in range(40)], "炸弹"),
        ([(f"{n}.lrmx", b"0" * 60_000) for n in range(100)], "炸弹"),
    ],
)
def test_dangerous_archives_are_refused(tmp_path, entries, said):
    with pytest.raises(FormatError, match=said):
        list(read_batch(zipped(tmp_path / "a.zip", entries)))


def test_an_honest_archive_of_many_alike_forms_is_no_bomb(tmp_path):
    path = zipped(tmp_path / "a.zip", [(f"{n}.lrmx", LRMX) for n in range(400)])
    assert len(read(path)) == 400


def test_the_total_size_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("ganbu.formats.zips.MAX_TOTAL", 3 * len(LRMX))
    with pytest.raises(FormatError, match="过大"):
        list(read_batch(zipped(tmp_path / "a.zip", [(f"{n}.lrmx", LRMX) for n in range(6)])))


def test_many_names_for_one_stream_are_a_bomb_too(tmp_path):
    """Each name is modest by its header; together they inflate far more than the archive holds."""
    noise = random.Random(1).randbytes(10_000)
    path = zipped(tmp_path / "a.zip", [("a.lrmx", noise + bytes(900_000))])
    names = 50
    with_directory(path, lambda one: one * names, names)
    said = messages(path)
    assert len(said) == names and sum("炸弹" in text for text in said) > names - 6


def test_links_and_broken_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        link = zipfile.ZipInfo("l.lrmx")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "b.zip").write_bytes(b"PK nonsense")
    encrypted = zipped(tmp_path / "e.zip", [("e.lrmx", LRMX)])
    content = bytearray(encrypted.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(content)
    for name, said in (
        ("l.zip", "链接"),
        ("b.zip", "完好"),
        ("none.zip", "没有这个文件"),
        ("e.zip", "加密"),
    ):
        with pytest.raises(FormatError, match=said):
            list(read_batch(tmp_path / name))
