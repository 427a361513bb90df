"""XML from anywhere (XML 文本): as UTF-8, without entities, and mended where characters make it ill-formed.

Nothing is resolved, fetched or expanded: a document type or an entity is refused before a parser sees it.
"""

from __future__ import annotations

import re

from lxml import etree

from ganbu.errors import FormatError
from ganbu.formats.issues import Issue
from ganbu.formats.text import declared_encoding, decode, legal

_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>")
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.I)
_NUMERIC = re.compile(rb"&#([0-9]{1,9}|[xX][0-9A-Fa-f]{1,8});")
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,9}|#[xX][0-9A-Fa-f]{1,8});)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")


def as_utf8(content: bytes, file: str, issues: list[Issue]) -> bytes:
    """UTF-8 bytes without mark and declaration, as lxml parses them fastest; `issues` hear of another encoding.

    Raises FormatError when it declares a document type or entities.
    """
    text, encoding, sound = decode(content)
    declared = declared_encoding(content)
    if not sound:
        message = f"有不合 {encoding} 编码的字节，已以“\ufffd”代替"
        issues.append(Issue(file, "文件", "encoding.damaged", message, severity="error"))
    elif encoding != "utf-8":
        message = f"文件编码为 {encoding}，应为 utf-8"
        issues.append(Issue(file, "文件", "encoding.unexpected", message, severity="note"))
    elif declared not in (None, "utf-8"):
        message = f"文件声明编码为 {declared}，实为 utf-8，按 utf-8 读取"
        issues.append(Issue(file, "文件", "encoding.misdeclared", message, severity="note"))
    xml = text.encode("utf-8", "replace")
    xml = _DECLARATION.sub(b"", xml, count=1) if _DECLARATION.match(xml) else xml.lstrip()
    if _DOCTYPE.search(xml):
        raise FormatError(f"{file}：含有 DTD 或实体声明，出于安全不予读取")
    return xml


def parser() -> etree.XMLParser:
    """A parser that resolves nothing."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )


def mended(xml: bytes) -> bytes:
    """Without characters XML forbids, raw or by number, and with bare `&` escaped (整理).

    >>> mended(b"<a>R&D &#11;</a>")
    b'<a>R&amp;D </a>'
    """
    return _BARE_AMPERSAND.sub(b"&amp;", _NUMERIC.sub(_keep_legal, _CONTROL.sub(b"", xml)))


def _keep_legal(reference: re.Match[bytes]) -> bytes:
    number = reference[1].decode("ascii").lower()
    code = int(number[1:], 16) if number.startswith("x") else int(number)
    return reference[0] if 0 < code < 0x110000 and legal(chr(code)) else b""
