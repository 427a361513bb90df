"""Identity numbers and portraits nobody has (虚构身份证号与照片).

The region of a number is `00` and four digits. No region of GB/T 2260 begins with `00` (the first is Beijing, `11`), so
no number made here can be anybody's. The other parts are as in GB 11643: birth, sequence (odd for men), check character.
"""

from __future__ import annotations

from datetime import date

CHECKS = "10X98765432"
# A grey rectangle of 8 x 10 pixels, a complete baseline JPEG.
PORTRAIT = bytes.fromhex(
    "ffd8 ffe000104a46494600010100000100010000"
    f"ffdb004300{'10' * 64} ffc0000b08000a000801011100"
    "ffc4001500000200000000000000000000000000000005 ffc40014100100000000000000000000000000000000"
    "ffda0008010100003f00 601f ffd9"
)


def check_character(number: str) -> str:
    """The eighteenth character for seventeen digits (校验码), GB 11643.

    >>> check_character("11010519491231002")
    'X'
    """
    return CHECKS[sum(int(digit) << (17 - at) for at, digit in enumerate(number)) % 11]


def id_number(birth: date, sex: str, number: int) -> str:
    """The identity number of the made-up person with that running number; no two are alike up to five million.

    >>> id_number(date(1980, 3, 12), "女", 1)
    '000000198003120021'
    """
    region, order = divmod(number, 500)
    first = f"00{region % 10000:04}{birth:%Y%m%d}{order * 2 + (sex == '男'):03}"
    return first + check_character(first)


def wrong_check(number: str) -> str:
    """The number with another last character: a slip of the pen."""
    return number[:-1] + CHECKS[(CHECKS.index(number[-1]) + 1) % 11]
