"""Text of exchange files (交换文本): encodings, trimming, dates and names as offices really type them."""

from __future__ import annotations

import calendar
import codecs
import html
import re
from functools import lru_cache
from itertools import pairwise

from ganbu.dates import PartialDate

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED_UTF16 = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
# A declaration readable as ASCII cannot be true when it says UTF-16, as .NET string writers do.
_DECLARABLE = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
}
_DECLARATION = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.-]{1,40})[\"']")
_CJK = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")


def _strictly(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def declared_encoding(content: bytes) -> str | None:
    """The encoding an XML declaration names (声明的编码), None for none or one that is not used here."""
    match = _DECLARATION.match(content[:300])
    return _DECLARABLE.get(match[1].decode("ascii").lower()) if match else None


def decode(content: bytes) -> tuple[str, str, bool]:
    """The text of a file (文本解码): text, encoding, and whether every byte was legal in it.

    Tried in turn: byte order mark, UTF-8 that holds Chinese (a declaration of GBK on such a file is a lie that
    would turn it into `鏉庤姵`), declared XML encoding, UTF-8 strict, GB18030. Never fails: where no encoding
    fits, illegal bytes become U+FFFD and the third value is False.

    >>> decode("男".encode("gb18030"))
    ('男', 'gb18030', True)
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _leniently(content[len(mark) :], encoding)
    for start, encoding in _UNMARKED_UTF16:
        if content.startswith(start):
            return _leniently(content, encoding)
    text = _strictly(content, "utf-8")
    if text is not None and _CJK.search(text):
        return text, "utf-8", True
    declared = declared_encoding(content)
    if declared and (text := _strictly(content, declared)) is not None:
        return text, declared, True
    # Short GBK text can be valid UTF-8, but of letters that are not of this field.
    if (text := _strictly(content, "utf-8")) is not None and text.isascii():
        return text, "utf-8", True
    return _leniently(content, _likelier(content))


def _leniently(content: bytes, encoding: str) -> tuple[str, str, bool]:
    text = _strictly(content, encoding)
    return (
        (text, encoding, True) if text is not None else (content.decode(encoding, "replace"), encoding, False)
    )


def _likelier(content: bytes) -> str:
    """UTF-8 only for a file that is UTF-8 but for a few cut characters; else GB18030."""
    if _strictly(content, "gb18030") is not None:
        return "gb18030"
    losses = {
        encoding: content.decode(encoding, "replace").count("\ufffd") for encoding in ("gb18030", "utf-8")
    }
    return min(losses, key=lambda encoding: losses[encoding])


_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b"))
# One match for all rounds of escaping (`&amp;amp;lt;`): undoing them one by one took time by the square.
_ENTITY = re.compile("&(?:1?amp;)*(1?amp|lt|gt|quot|apos);")
_TYPED_LINE_END = re.compile("&#(?:13|10|[xX]0*[dDaA]);")
_LINE_END = re.compile("\r\n?")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_UNUSUAL = re.compile("[&\r\n\ufeff\u200b\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def legal(text: str) -> str:
    """Text without the control characters XML forbids (去除非法字符)."""
    return _ILLEGAL.sub("", text)


def unescape(text: str) -> str:
    """Undo double escaping (重复转义): only where one of the five entities stands in the text.

    However often it was escaped; `&1amp;` is one writer's spelling of `&amp;`.

    >>> unescape("研发&amp;lt;部&1amp;所"), unescape("A&B")
    ('研发<部&所', 'A&B')
    """
    return _ENTITY.sub(lambda entity: html.unescape(f"&{entity[1].removeprefix('1')};"), text)


def trim(raw: str, line_breaks: bool = False) -> str:
    """A field's value (修整): no blanks around it, LF line ends, nothing invisible, no double escaping.

    Line breaks inside are kept where the field allows them; elsewhere they are a printer's wrapping: nothing
    between Chinese characters, one blank otherwise. Trimming twice changes nothing.

    >>> trim("　市司法局\\r\\n   副局长 "), trim(" 一 \\r\\n 二 ", line_breaks=True)
    ('市司法局副局长', '一 \\n 二')
    """
    if not _UNUSUAL.search(raw):
        return raw.strip()
    text = unescape(legal(raw).translate(_INVISIBLE))
    text = _LINE_END.sub("\n", _TYPED_LINE_END.sub("\n", text)).strip()
    return text if line_breaks or "\n" not in text else _unwrapped(text)


def _unwrapped(text: str) -> str:
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    seams = (" " if (one[-1] + two[0]).isascii() else "" for one, two in pairwise(lines))
    return "".join(part for line, seam in zip(lines, [*seams, ""], strict=True) for part in (line, seam))


_PLAIN = {ord("０") + digit: str(digit) for digit in range(10)} | {ord(mark): "." for mark in "．。·•"}
_PLAIN |= {ord(mark): "-" for mark in "－–—―─"} | {ord("／"): "/"}
_DIGITS = re.compile(r"\d+")
_PARTED = re.compile(r"(\d{4})(?:[.\-/年]{1,2}(\d{1,2})(?:[.\-/月]{1,2}(\d{1,2}))?)?[.\-/年月日]?")


@lru_cache(maxsize=65536)  # a batch repeats the same few thousand months
def read_date(text: str) -> tuple[PartialDate | None, str | None]:
    """A date as typed (日期): the date, and the code of what was wrong or worth a look, each or None.

    Takes 4, 6 or 8 digits, or year, month and day parted by `.`, `-`, `/`, 年月日, with blanks and full-width
    digits. Empty text is (None, None). `1975.1` is read as January, but may be October with its zero lost.

    >>> read_date("１９７５年 8 月"), read_date("197513")
    ((PartialDate(year=1975, month=8, day=None), None), (None, 'date.month_out_of_range'))
    """
    plain = "".join(text.split()).translate(_PLAIN)
    if not plain:
        return None, None
    if _DIGITS.fullmatch(plain) and len(plain) in (4, 6, 8):
        parts = plain[:4], plain[4:6], plain[6:]
    elif match := _PARTED.fullmatch(plain):
        parts = match[1], match[2] or "", match[3] or ""
    else:
        return None, "date.unreadable"
    return _checked(*parts)


def _checked(year: str, month: str, day: str) -> tuple[PartialDate | None, str | None]:
    if not 1900 <= int(year) <= 2100:
        return None, "date.year_out_of_range"
    if not month:
        return PartialDate(int(year)), "date.year_only"
    if not 1 <= int(month) <= 12:
        return None, "date.month_out_of_range"
    if day and not 1 <= int(day) <= calendar.monthrange(int(year), int(month))[1]:
        return None, "date.day_out_of_range"
    date = PartialDate(int(year), int(month), int(day) if day else None)
    return date, "date.month_ambiguous" if month == "1" and not day else None


def digits(date: PartialDate) -> str:
    """A date as files store it (数字日期): `YYYY`, `YYYYMM` or `YYYYMMDD`."""
    return date.iso().replace("-", "")


_HAN = "\u3400-\u9fff\U00020000-\U0003ffff"
_DAMAGED_DOT = re.compile(f"(?<=[{_HAN}])[•．.?？。・‧∙⋅･﹒](?=[{_HAN}])")


def has_damaged_dot(name: str) -> bool:
    """Whether a name's `·` was damaged on the way (间隔号损坏), as in `阿依?古丽`."""
    return bool(_DAMAGED_DOT.search(name))


def name_key(name: str) -> str:
    """What two spellings of one name share (姓名匹配键): no blanks, `·` restored between Chinese characters.

    >>> name_key("李 芳") == name_key("李　芳"), name_key("阿依？古丽")
    (True, '阿依·古丽')
    """
    return _DAMAGED_DOT.sub("·", "".join(trim(name).split()))
