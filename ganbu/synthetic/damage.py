"""Damage as real files have it (破损): what people type wrongly into a form, and what happens to its file.

Which file is damaged how depends on its place in the folder alone, so that the shares are exact: `SLIPS` and
`MISHAPS` give the places among each hundred files. Besides, about half of the résumés are typed in a hurry.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from ganbu.formats.form import AppointmentForm
from ganbu.synthetic.identity import PORTRAIT, wrong_check

LARGEST_PORTRAIT = 5 * 1024 * 1024  # what the editors of the form take
_WIDE = str.maketrans("0123456789.-", "０１２３４５６７８９．－")


def damage_resume(text: str, random: Random) -> str:
    """The résumé as somebody in a hurry would type it: each line damaged in one way or none."""
    return "\n".join(_line(line, random) for line in text.split("\n"))


def _line(line: str, random: Random) -> str:
    match random.randrange(9):
        case 0:
            return line[:18].translate(_WIDE) + line[18:]
        case 1:
            return line.replace("--", "—", 1)
        case 2:
            return re.sub(r"^(\d{4})\.0?(\d+)", r"\1年\2月", line)
        case 3:
            return line.replace("--         ", "--至今 ", 1)
        case 4:
            return re.sub(r"^(\d{4})\.(\d{2})--", r"\1\2-", line)
        case 5 if len(line) > 30:
            return line[:26] + "\n" + " " * 18 + line[26:]
    return line


# -- slips: what is typed wrongly -----------------------------------------------------------------------------


def _blanks_in_name(form: AppointmentForm) -> None:
    blank = "　" if len(form.name) == 2 else " "
    form.name = blank.join(form.name)


def _month_thirteen(form: AppointmentForm) -> None:
    form.work_start = form.work_start[:4] + "13"


def _no_birth(form: AppointmentForm) -> None:
    form.birth_date = ""


def _birth_by_year(form: AppointmentForm) -> None:
    form.birth_date = form.birth_date[:4]


def _other_birth(form: AppointmentForm) -> None:
    form.birth_date = _years_later(form.birth_date, 1)


def _other_work_start(form: AppointmentForm) -> None:
    form.work_start = _years_later(form.work_start, -1)


def _other_party_date(form: AppointmentForm) -> None:
    if form.party_joining[:4].isdigit():
        form.party_joining = _years_later(form.party_joining, 1)


def _years_later(digits: str, years: int) -> str:
    return f"{int(digits[:4]) + years:04}{digits[4:]}" if digits[:4].isdigit() else digits


def _wrong_id_number(form: AppointmentForm) -> None:
    form.id_number = wrong_check(form.id_number) if form.id_number else ""


def _relative_without_name(form: AppointmentForm) -> None:
    form.family[-1:] = [replace(member, name="") for member in form.family[-1:]]


def _oversized_portrait(form: AppointmentForm) -> None:
    comment = b"\xff\xfe\xff\xff" + bytes(65533)
    form.photo = PORTRAIT[:2] + comment * (LARGEST_PORTRAIT // 65533 + 1) + PORTRAIT[2:]


def _zero_tailed_portrait(form: AppointmentForm) -> None:
    form.photo = PORTRAIT.ljust(8192, b"\0")


def _portrait_of_no_kind(form: AppointmentForm) -> None:
    form.photo = b"GIF89a" + PORTRAIT[6:]


# -- mishaps: what happens to the file ------------------------------------------------------------------------


def _gbk_undeclared(content: bytes) -> bytes:
    return content.decode("utf-8").encode("gb18030")


def _gbk_declared(content: bytes) -> bytes:
    return content.decode("utf-8").replace('encoding="utf-8"', 'encoding="gb2312"', 1).encode("gb18030")


def _utf16(content: bytes) -> bytes:
    return b"\xff\xfe" + content.decode("utf-8").encode("utf-16-le")


def _cut_short(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def _portrait_garbled(content: bytes) -> bytes:
    text = binascii.b2a_base64(PORTRAIT, newline=False)
    return content.replace(text, text[:60] + b"?*" + text[63:], 1)


def _slot_lost(content: bytes) -> bytes:
    """One list of the family in an lrm loses its last slot, so that the lists no longer run side by side."""
    return content.replace(b"@", b"", 1) if b"@@" not in content else content.replace(b"@@", b"@", 1)


Slip = Callable[[AppointmentForm], None]
Mishap = Callable[[bytes], bytes]
# Every file whose place ends in 7 is an lrm; the places of all tables differ, so that a file has one fault at most.
SLIPS: dict[int, Slip] = {
    24: _blanks_in_name, 74: _blanks_in_name, 37: _blanks_in_name,
    39: _month_thirteen, 79: _month_thirteen,
    49: _no_birth, 59: _birth_by_year, 98: _birth_by_year,
    12: _other_birth, 44: _other_work_start, 94: _other_party_date,
    48: _wrong_id_number, 89: _wrong_id_number,
    29: _relative_without_name, 69: _relative_without_name,
    85: _oversized_portrait, 62: _zero_tailed_portrait, 64: _portrait_of_no_kind,
}  # fmt: skip
MISHAPS: dict[int, Mishap] = {
    4: _gbk_undeclared, 54: _gbk_declared, 9: _utf16, 14: _portrait_garbled, 96: _cut_short, 67: _slot_lost,
}  # fmt: skip
SENT_TWICE = (34, 84)


def is_lrm(place: int) -> bool:
    """Whether the file in that place of the folder is an older lrm: one in ten."""
    return place % 10 == 7
