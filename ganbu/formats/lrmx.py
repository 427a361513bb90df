"""The 任免审批表 exchange file `.lrmx` (任免审批表 XML): a forgiving reader and a canonical writer.

Reading keeps every value and every foreign element; what had to be repaired is in `form.issues`. A file as
`write_lrmx` writes it comes back byte for byte.
"""

from __future__ import annotations

import binascii
import re
from html import escape
from xml.parsers import expat

from lxml import etree

from ganbu.errors import FormatError
from ganbu.formats.form import (
    FAMILY_ELEMENT,
    FAMILY_FIELDS,
    FAMILY_LABEL,
    FIELDS,
    MEMBER_ELEMENT,
    PHOTO_ELEMENT,
    PHOTO_LABEL,
    AppointmentForm,
    FamilyMember,
    FormField,
    read_field,
    read_photo,
)
from ganbu.formats.issues import Issue
from ganbu.formats.text import decode, legal

ROOT = "Person"
EDITOR_VERSION = "3.2.1.16"
MAX_BYTES = 20 * 1024 * 1024

_BY_ELEMENT = {spec.element: spec for spec in FIELDS}
_MEMBER_BY_ELEMENT = {spec.element: spec for spec in FAMILY_FIELDS}
_DECLARATION = re.compile(rb"\s*<\?xml[^>]*\?>")
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.I)
_PHOTO = re.compile(rb"<ZhaoPian(?:\s[^<>/]*)?>([^<]*)</ZhaoPian\s*>")
_HIDING = re.compile(rb"<!--|<!\[CDATA\[")
_REFERENCE = re.compile(rb"&#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});")
_NUMERIC = re.compile(rb"&#([0-9]{1,9}|[xX][0-9A-Fa-f]{1,8});")
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,9}|#[xX][0-9A-Fa-f]{1,8});)")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")


def read_lrmx(content: bytes, file: str, max_bytes: int = MAX_BYTES) -> AppointmentForm:
    """Read one `.lrmx` file (读取 lrmx); `file` is its name in messages.

    Raises FormatError when it is too large, declares a DTD or entities, is not XML, or has no root `Person`.
    """
    if len(content) > max_bytes:
        raise FormatError(f"{file}：文件 {len(content)} 字节，超过上限 {max_bytes} 字节")
    form = AppointmentForm()
    xml = _as_utf8(content, file, form.issues)
    if _DOCTYPE.search(xml):
        raise FormatError(f"{file}：含有 DTD 或实体声明，出于安全不予读取")
    light, photo = _cut_photo(xml)
    root, light = _parse(light, file, form.issues)
    if photo is not None and not any(_local(child) == PHOTO_ELEMENT for child in root):
        root, light = _parse(xml, file, form.issues)  # what looked like the photo lies inside another element
        photo = None
    _Reading(form, file, photo).take(root, light)
    return form


def _as_utf8(content: bytes, file: str, issues: list[Issue]) -> bytes:
    """UTF-8 bytes without mark and declaration, as lxml parses them fastest."""
    text, encoding, sound = decode(content)
    if not sound:
        message = f"有不合 {encoding} 编码的字节，已以“\ufffd”代替"
        issues.append(Issue(file, "文件", "encoding.damaged", message, severity="error"))
    elif encoding != "utf-8":
        message = f"文件编码为 {encoding}，应为 utf-8"
        issues.append(Issue(file, "文件", "encoding.unexpected", message, severity="note"))
    xml = text.encode("utf-8", "replace")
    return _DECLARATION.sub(b"", xml, count=1) if _DECLARATION.match(xml) else xml.lstrip()


def _cut_photo(xml: bytes) -> tuple[bytes, bytes | None]:
    """The file without its photo's text, and that text: the parser is spared nine tenths of the bytes."""
    match = _PHOTO.search(xml)
    if match is None or _HIDING.search(xml, 0, match.start()) or _PHOTO.search(xml, match.end()):
        return xml, None
    return xml[: match.start(1)] + xml[match.end(1) :], match[1]


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )


def _parse(xml: bytes, file: str, issues: list[Issue]) -> tuple[etree._Element, bytes]:
    """The root element, and the bytes it was parsed from: repaired where the file is not well-formed."""
    try:
        root = etree.fromstring(xml, _parser())
    except etree.XMLSyntaxError:
        xml = _repair(xml)
        try:
            root = etree.fromstring(xml, _parser())
        except etree.XMLSyntaxError as error:
            raise FormatError(f"{file}：不是完整的 XML（{_where(error)}）") from error
        message = "文件含有非法字符或未转义的“&”，已整理后读取"
        issues.append(Issue(file, "文件", "xml.repaired", message))
    if _local(root) != ROOT:
        raise FormatError(f"{file}：根元素是“{_local(root)[:40]}”，应为“{ROOT}”")
    return root, xml


def _where(error: etree.XMLSyntaxError) -> str:
    return f"第 {error.lineno} 行：{error.msg}"[:200]


def _repair(xml: bytes) -> bytes:
    """Without characters XML forbids, raw or by number, with bare `&` escaped, and nothing after the end tag."""
    xml = _CONTROL.sub(b"", xml)
    xml = _NUMERIC.sub(_keep_legal, xml)
    xml = _BARE_AMPERSAND.sub(b"&amp;", xml).strip()
    end = xml.rfind(b"</Person>")
    return xml if end < 0 else xml[: end + len(b"</Person>")]


def _keep_legal(reference: re.Match[bytes]) -> bytes:
    number = reference[1].decode("ascii").lower()
    code = int(number[1:], 16) if number.startswith("x") else int(number)
    return reference[0] if 0 < code < 0x110000 and legal(chr(code)) else b""


def _line(element: etree._Element) -> int:
    return int(str(element.sourceline or 0))


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


class _Reading:
    """One file being read (读取中): fills the form from the parsed elements."""

    def __init__(self, form: AppointmentForm, file: str, photo: bytes | None) -> None:
        self.form, self.file, self.photo = form, file, photo
        self.seen: set[str] = set()
        self.foreign: list[tuple[int, etree._Element]] = []

    def take(self, root: etree._Element, xml: bytes) -> None:
        for position, element in enumerate(root):
            name = element.tag if element.tag in _BY_ELEMENT else _local(element)
            if spec := _BY_ELEMENT.get(str(name)):
                self.take_field(spec, element)
            elif name == FAMILY_ELEMENT:
                self.take_family(element)
            elif name == PHOTO_ELEMENT:
                self.take_photo(element)
            else:
                self.foreign.append((position, element))
        if root.text and root.text.strip():
            self.report(
                ROOT,
                "element.stray_text",
                "根元素中有不属于任何表项的文字，未采用",
                root.text.strip(),
                "error",
            )
        if self.foreign:
            self.take_foreign(xml)

    def report(
        self, label: str, code: str, message: str, raw: str = "", severity: str = "warning", line: int = 0
    ) -> None:
        self.form.issues.append(Issue(self.file, label, code, message, raw, None, severity, line))

    def take_field(self, spec: FormField, element: etree._Element) -> None:
        value = read_field(
            spec, self.text_of(spec.label, element), self.file, self.form.issues, _line(element)
        )
        self.check_tail(element)
        held = getattr(self.form, spec.attribute)
        if value and held and value != held:
            message = f"{spec.label}重复出现，后一个未采用"
            self.report(spec.label, "element.repeated", message, value, "error", _line(element))
        elif value:
            setattr(self.form, spec.attribute, value)

    def text_of(self, label: str, element: etree._Element) -> str:
        if not len(element):
            return element.text or ""
        self.report(label, "element.nested", f"{label}中有下级元素，只取其文字", line=_line(element))
        return "".join(map(str, element.itertext()))

    def check_tail(self, element: etree._Element) -> None:
        if element.tail and (stray := element.tail.strip()):
            self.report(ROOT, "element.stray_text", "元素之间有文字，未采用", stray, "error", _line(element))

    def take_family(self, family: etree._Element) -> None:
        self.check_tail(family)
        if FAMILY_ELEMENT in self.seen:
            self.report(FAMILY_LABEL, "family.several_lists", "家庭成员分在几处，已合并", severity="note")
        self.seen.add(FAMILY_ELEMENT)
        for text in (family.text, *(item.tail for item in family)):
            if text and text.strip():
                self.report(
                    FAMILY_LABEL, "element.stray_text", "家庭成员中有多余文字，未采用", text.strip(), "error"
                )
        for item in family:
            if _local(item) == MEMBER_ELEMENT:
                self.take_member(item)
            else:
                raw = str(etree.tostring(item, encoding="unicode", with_tail=False))
                self.report(
                    FAMILY_LABEL,
                    "family.unknown_element",
                    f"家庭成员中有未知元素 {_local(item)}，未采用",
                    raw,
                    "error",
                )

    def take_member(self, item: etree._Element) -> None:
        values: dict[str, str] = {}
        for element in item:
            spec = _MEMBER_BY_ELEMENT.get(_local(element))
            raw = self.text_of(spec.label if spec else FAMILY_LABEL, element)
            if spec is None or spec.attribute in values:
                if raw.strip():
                    message = f"家庭成员的 {_local(element)} 未知或重复，未采用"
                    self.report(FAMILY_LABEL, "family.unknown_element", message, raw, "error", _line(element))
                continue
            values[spec.attribute] = read_field(spec, raw, self.file, self.form.issues, _line(element))
        member = FamilyMember(**values)
        if not member.blank:
            self.form.family.append(member)

    def take_photo(self, element: etree._Element) -> None:
        self.check_tail(element)
        text = self.photo if self.photo is not None else self.text_of(PHOTO_LABEL, element).encode("utf-8")
        photo = read_photo(self.decoded(text), self.file, self.form.issues)
        if photo and self.form.photo and photo != self.form.photo:
            self.report(PHOTO_LABEL, "element.repeated", "照片不止一张，后一张未采用", severity="error")
        self.form.photo = self.form.photo or photo

    def decoded(self, text: bytes) -> bytes:
        if b"&" in text:
            text = _REFERENCE.sub(b"", text)
        compact = text.translate(None, b" \t\r\n")
        try:
            return binascii.a2b_base64(compact, strict_mode=True)
        except binascii.Error:
            self.report(PHOTO_LABEL, "photo.damaged", "照片的 Base64 文本已损坏，可能缺损", severity="error")
        try:
            return binascii.a2b_base64(compact.rstrip(b"=") + b"==")
        except binascii.Error:
            return b""

    def take_foreign(self, xml: bytes) -> None:
        """Keep foreign elements as typed; where one leans on the root's namespaces, as lxml writes it."""
        typed = _typed_children(xml)
        kept = []
        for position, element in self.foreign:
            text = typed[position]
            kept.append(
                text
                if _stands_alone(text)
                else str(etree.tostring(element, encoding="unicode", with_tail=False))
            )
            self.check_tail(element)
            message = f"未知元素 {_local(element)}，原样保留"
            self.report(_local(element), "element.unknown", message, text[:200], "note", _line(element))
        self.form.unknown = tuple(kept)


def _typed_children(xml: bytes) -> list[str]:
    """The root's children as typed (原文): cut from the bytes by expat, since lxml keeps no positions."""
    parser = expat.ParserCreate("utf-8")
    depth, starts, ends = 0, list[int](), list[int]()

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth
        if depth == 1:
            starts.append(parser.CurrentByteIndex)
        depth += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1
        if depth == 1:
            # At an end tag the index is that of `</`; an empty-element tag reports its own start.
            ends.append(xml.index(b">", parser.CurrentByteIndex) + 1)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse(xml, True)
    return [xml[first:last].decode("utf-8") for first, last in zip(starts, ends, strict=True)]


def _stands_alone(text: str) -> bool:
    try:
        etree.fromstring(text.encode("utf-8"), _parser())
    except etree.XMLSyntaxError:
        return False
    return True


def write_lrmx(form: AppointmentForm) -> bytes:
    """Write one `.lrmx` file (写出 lrmx): UTF-8 without mark, CRLF, two blanks of indent, the vendor's order.

    All 34 elements are written, foreign ones between `ShenFenZheng` and `ZhaoPian`; `Version` falls back to
    the vendor editor's.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<{ROOT}>"]
    for spec in FIELDS:
        if spec.element == "ChengBaoDanWei":
            lines += _family_lines(form)
        elif spec.element == "Version":
            lines += [f"  {element}" for element in form.unknown]
            photo = binascii.b2a_base64(form.photo, newline=False).decode("ascii") if form.photo else ""
            lines.append(f"  <{PHOTO_ELEMENT}>{photo}</{PHOTO_ELEMENT}>")
        value = getattr(form, spec.attribute) or (EDITOR_VERSION if spec.element == "Version" else "")
        lines.append("  " + _element(spec.element, value))
    return "\r\n".join([*lines, f"</{ROOT}>", ""]).encode("utf-8")


def _family_lines(form: AppointmentForm) -> list[str]:
    members = [member for member in form.family if not member.blank]
    if not members:
        return [f"  <{FAMILY_ELEMENT}></{FAMILY_ELEMENT}>"]
    lines = [f"  <{FAMILY_ELEMENT}>"]
    for member in members:
        lines.append(f"    <{MEMBER_ELEMENT}>")
        lines += [
            f"      {_element(spec.element, getattr(member, spec.attribute))}" for spec in FAMILY_FIELDS
        ]
        lines.append(f"    </{MEMBER_ELEMENT}>")
    return [*lines, f"  </{FAMILY_ELEMENT}>"]


def _element(name: str, value: str) -> str:
    text = legal(value) if value else ""
    return f"<{name}>{escape(text, quote=False).replace(chr(10), chr(13) + chr(10))}</{name}>"
