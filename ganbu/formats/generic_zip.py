"""The zip of the national system's generic form (通用格式压缩包): a header, a table per set, portraits; all plain texts.

    gwyinfo.xml          who sent it, how many people, which tables
    Table/A01.xml …      one file per set, a row per record, its columns as attributes
    Photos/….jpg         portraits

What the columns mean is in `generic.py`. The 7-Zip kinds with a password are not read.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from lxml import etree

from ganbu.errors import FormatError
from ganbu.formats.issues import Issue
from ganbu.formats.markup import as_utf8, mended
from ganbu.formats.text import legal
from ganbu.formats.zips import open_archive

HEADER, TABLES, PHOTOS = "gwyinfo.xml", "Table", "Photos"
LARGEST = 256 * 1024 * 1024  # a table of a hundred thousand people with their résumés
IN_MEMORY = 16 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
# A value in a tag; raw line breaks in it would be read as blanks, and a raw `<` not at all.
_VALUE, _ODD_VALUE = re.compile(rb'="([^"]*)"'), re.compile(rb'="[^"]*[\r\n<]')
_LINE_END = re.compile(rb"\r\n?|\n")
_KNOWN_TAGS = ("xml", "data", "row")

Attributes = dict[str, str]


@dataclass
class Tables:
    """What a zip holds (包内各表): header values, rows by set with their number, portraits by lower-case name."""

    header: Attributes = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)
    rows: dict[str, list[tuple[int, Attributes]]] = field(default_factory=dict)
    photos: dict[str, bytes] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def is_generic(path: Path) -> bool:
    """Whether a file is a zip with the header of the generic form at its root, or in its only folder."""
    try:
        with open_archive(path, path.name, LARGEST) as archive:
            return _root([name for name, _ in archive.entries]) is not None
    except FormatError:
        return False  # told by whoever opens it to read it


def _root(names: Iterable[str]) -> str | None:
    """What stands before the header's name."""
    plain = [name.replace("\\", "/") for name in names]
    for name in plain:
        if PurePosixPath(name).name.lower() != HEADER:
            continue
        root = name[: -len(HEADER)]
        if root.count("/") <= 1 and all(other.startswith(root) for other in plain):
            return root
    return None


def read_tables(path: Path, name: str) -> Tables:
    """Read the zip; a table that cannot be read is an issue, everything else is read.

    Raises FormatError when the archive cannot be taken, has no header, or the header cannot be read.
    """
    found = Tables()
    with open_archive(path, name, LARGEST) as archive:
        root = _root([entry for entry, _ in archive.entries])
        if root is None:
            raise FormatError(f"{name}：根目录里没有 {HEADER}，不是通用格式")
        for entry, info in archive.entries:
            place = PurePosixPath(entry.replace("\\", "/")[len(root) :])
            where, folder = f"{name}/{place}", str(place.parent).lower()
            if str(place).lower() == HEADER:
                _header(archive.read(entry, info), where, found)
            elif folder == TABLES.lower() and place.suffix.lower() == ".xml":
                try:
                    _table(archive.read(entry, info), where, place.stem.upper(), found)
                except FormatError as error:
                    found.issues.append(Issue(where, "文件", "file.unreadable", str(error), severity="error"))
            elif folder == PHOTOS.lower():
                try:
                    found.photos[place.name.lower()] = archive.read(entry, info)
                except FormatError as error:
                    found.issues.append(
                        Issue(where, "照片", "photo.unreadable", str(error), severity="error")
                    )
            else:
                message = f"{place} 不是通用格式的文件，没有读取"
                found.issues.append(Issue(where, "文件", "file.ignored", message))
        for damaged in archive.damaged:
            shown = damaged.replace("\0", "\\0")
            found.issues.append(
                Issue(name, "文件", "file.unreadable", f"文件名“{shown}”已损坏，没有读取", severity="error")
            )
    for missing in [one for one in found.listed if one not in found.rows]:
        if not any(issue.file == f"{name}/{TABLES}/{missing}.xml" for issue in found.issues):
            message = f"{HEADER} 里列了 {missing}，包里没有这张表或读不了"
            found.issues.append(Issue(name, missing, "table.missing", message, severity="error"))
    return found


def _header(content: bytes, where: str, found: Tables) -> None:
    for tag, attributes in _elements(content, where, found.issues):
        named = {key.lower(): value for key, value in attributes.items()}
        if tag == "node" and named.get("name"):
            found.header[named["name"]] = named.get("value", "")
        elif tag == "tablelist" and named.get("name"):
            found.listed.append(named["name"].upper())


def _table(content: bytes, where: str, name: str, found: Tables) -> None:
    rows: list[tuple[int, Attributes]] = []
    odd: dict[str, int] = {}
    for tag, attributes in _elements(content, where, found.issues):
        if tag == "row":
            values = {key if key[:1] == "{" else key.upper(): value for key, value in attributes.items()}
            rows.append((len(rows) + 1, values))
        elif tag not in _KNOWN_TAGS:
            odd[tag] = odd.get(tag, 0) + 1
    for tag, count in odd.items():
        message = f"表里有 {count} 个“{tag[:40]}”元素，应只有 row，没有读取"
        found.issues.append(Issue(where, tag[:40], "element.unknown", message, severity="error"))
    if name in found.rows:
        message = f"包里有两张 {name}，后一张没有采用"
        found.issues.append(Issue(where, name, "element.repeated", message, severity="error"))
        return
    found.rows[name] = rows


def _elements(content: bytes, where: str, issues: list[Issue]) -> list[tuple[str, Attributes]]:
    """The elements of a document with their attributes, in order. Raises FormatError when it is no XML."""
    xml = as_utf8(content, where, issues)
    try:
        return _parsed(_escaped(xml), where, issues)
    except etree.XMLSyntaxError:
        pass
    try:
        found = _parsed(mended(_escaped(xml)), where, issues)
    except etree.XMLSyntaxError as error:
        raise FormatError(
            f"{where}：不是完整的 XML，第 {error.lineno} 行附近有误，请从原系统重新导出"
        ) from error
    issues.append(Issue(where, "文件", "xml.repaired", "文件含有非法字符或未转义的“&”，已整理后读取"))
    return found


def _escaped(xml: bytes) -> bytes:
    """Line breaks inside values kept as such, and `<` in them made readable."""
    if not _ODD_VALUE.search(xml):
        return xml
    return _VALUE.sub(lambda found: b'="' + _LINE_END.sub(b"&#10;", found[1]).replace(b"<", b"&lt;") + b'"', xml)  # fmt: skip


def _parsed(xml: bytes, where: str, issues: list[Issue]) -> list[tuple[str, Attributes]]:
    found: list[tuple[str, Attributes]] = []
    stray = 0
    steps = etree.iterparse(
        io.BytesIO(xml), events=("end",), resolve_entities=False, load_dtd=False, no_network=True,
        huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    for _event, element in steps:
        attributes = {str(key): str(value) for key, value in element.attrib.items()}
        found.append((etree.QName(element).localname, attributes))
        # What follows an element is known once the next one ends, or the one around it.
        before, parent = element.getprevious(), element.getparent()
        read = [*element, *([] if before is None else [before])]
        stray += sum(bool((text or "").strip()) for text in (element.text, *(one.tail for one in read)))
        element.clear(keep_tail=True)
        if before is not None and parent is not None:
            parent.remove(before)
    if stray:
        message = f"元素之间有 {stray} 处文字，没有采用"
        issues.append(Issue(where, "文件", "element.stray_text", message, severity="error"))
    return found


# -- writing ------------------------------------------------------------------------------------------------------


class TableWriter:
    """Writes the zip (写出压缩包) set by set as rows come, so that it need never be whole in memory.

    The same rows give the same bytes. Use as a context manager; the zip is complete after `finish`.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED)
        self._parts: dict[str, IO[bytes]] = {}
        self._photos: set[str] = set()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_error: object) -> None:
        for part in self._parts.values():
            part.close()
        self._zip.close()

    def row(self, name: str, attributes: Mapping[str, str]) -> None:
        """One record of a set."""
        self._part(name).write(_element("row", attributes) + b"\n")

    def _part(self, name: str) -> IO[bytes]:
        if name not in self._parts:
            part = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when the writer is
            part.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<xml><data>\n')
            self._parts[name] = part
        return self._parts[name]

    def photo(self, stem: str, suffix: str, image: bytes) -> str:
        """One portrait; the name it got."""
        plain = "".join(c if c.isalnum() or c in "·-" else "_" for c in stem)[:60] or "_"
        name, number = f"{plain}.{suffix}", 1
        while name.lower() in self._photos:
            number += 1
            name = f"{plain}-{number}.{suffix}"
        self._photos.add(name.lower())
        self._put(f"{PHOTOS}/{name}", image, zipfile.ZIP_STORED)
        return name

    def finish(self, header: Mapping[str, str], tables: Iterable[str]) -> None:
        """The tables, those without a row too, and the header."""
        names = list(dict.fromkeys([*tables, *self._parts]))
        for name in names:
            part = self._part(name)
            part.write(b"</data></xml>\n")
            part.seek(0)
            with self._zip.open(_info(f"{TABLES}/{name}.xml", zipfile.ZIP_DEFLATED), "w") as entry:
                while chunk := part.read(1 << 20):
                    entry.write(chunk)
            part.close()
        lines = [_element("node", {"name": key, "value": value}) for key, value in header.items()]
        listed = [_element("tablelist", {"name": name}) for name in names]
        body = b"\n".join([b'<?xml version="1.0" encoding="UTF-8"?>', b"<root>", *lines, b"<tablelist>", *listed, b"</tablelist>", b"</root>", b""])  # fmt: skip
        self._put(HEADER, body, zipfile.ZIP_DEFLATED)

    def _put(self, name: str, content: bytes, method: int) -> None:
        self._zip.writestr(_info(name, method), content)


def _info(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr, info.create_system = method, 0o600 << 16, 3
    return info


def _element(tag: str, attributes: Mapping[str, str]) -> bytes:
    plain = {key: legal(value) for key, value in attributes.items()}
    return etree.tostring(etree.Element(tag, plain), encoding="unicode").encode()
