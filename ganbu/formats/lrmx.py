"""The 任免审批表 exchange file `.lrmx` (任免审批表 XML): a forgiving reader and a canonical writer.

Reading keeps every value and every foreign element; what had to be repaired is in `form.issues`. A file as
`write_lrmx` writes it comes back byte for byte.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from copy import deepcopy
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
from ganbu.formats.markup import as_utf8, mended, parser
from ganbu.formats.text import legal

ROOT = "Person"
EDITOR_VERSION = "3.2.1.16"
MAX_BYTES = 20 * 1024 * 1024

_BY_ELEMENT = {spec.element: spec for spec in FIELDS}
_MEMBER_BY_ELEMENT = {spec.element: spec for spec in FAMILY_FIELDS}
_PHOTO = re.compile(rb"<ZhaoPian(?:\s[^<>/]*)?>([^<]*)</ZhaoPian\s*>")
_HIDING = re.compile(rb"<!--|<!\[CDATA\[")
_REFERENCE = re.compile(rb"&#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});")


def read_lrmx(content: bytes, file: str, max_bytes: int = MAX_BYTES) -> AppointmentForm:
    """Read one `.lrmx` file (读取 lrmx); `file` is its name in messages.

    Raises FormatError when it is too large, declares a DTD or entities, is not XML, or has no root `Person`.
    """
    if len(content) > max_bytes:
        raise FormatError(f"{file}：文件 {len(content)} 字节，超过上限 {max_bytes} 字节")
    form = AppointmentForm()
    xml = as_utf8(content, file, form.issues)
    light, photo = _cut_photo(xml)
    root, light = _parse(light, file, form.issues)
    if photo is not None and not any(_local(child) == PHOTO_ELEMENT for child in root):
        root, light = _parse(xml, file, form.issues)  # what looked like the photo lies inside another element
        photo = None
    _Reading(form, file, photo).take(root, light)
    return form


def _cut_photo(xml: bytes) -> tuple[bytes, bytes | None]:
    """The file without its photo's text, and that text: the parser is spared nine tenths of the bytes."""
    match = _PHOTO.search(xml)
    if match is None or _HIDING.search(xml, 0, match.start()) or _PHOTO.search(xml, match.end()):
        return xml, None
    return xml[: match.start(1)] + xml[match.end(1) :], match[1]


def _parse(xml: bytes, file: str, issues: list[Issue]) -> tuple[etree._Element, bytes]:
    """The root element, and the bytes it was parsed from: repaired where the file is not well-formed."""
    try:
        root = etree.fromstring(xml, parser())
    except etree.XMLSyntaxError as error:
        xml = _repair(xml)
        try:
            root = etree.fromstring(xml, parser())
        except etree.XMLSyntaxError:
            message = f"{file}：不是完整的 XML，第 {error.lineno} 行附近有误，请从原系统重新导出"
            raise FormatError(message) from error
        message = "文件含有非法字符、未转义的“&”或损坏的首行，已整理后读取"
        issues.append(Issue(file, "文件", "xml.repaired", message))
    if _local(root) != ROOT:
        raise FormatError(f"{file}：根元素是“{_local(root)[:40]}”，应为“{ROOT}”")
    return root, xml


def _repair(xml: bytes) -> bytes:
    """Without characters XML forbids, raw or by number, with bare `&` escaped, and nothing around the root.

    What stands before the root is a damaged `<?xml` line, which says nothing that is not known by now.
    """
    xml = mended(xml).strip()
    start, end = xml.find(b"<Person"), xml.rfind(b"</Person>")
    return xml if start < 0 or end < start else xml[start : end + len(b"</Person>")]


def _line(element: etree._Element) -> int:
    return int(str(element.sourceline or 0))


def _local(element: etree._Element) -> str:
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    return tag if tag[:1] != "{" else etree.QName(tag).localname


_SPACES = re.compile("[\t\n\r]")
_XML = "{http://www.w3.org/XML/1998/namespace}"


def _attributes(element: etree._Element) -> str:
    """An element's attributes and namespace declarations as they stand in a tag: ` a="1" b="2"`."""
    outer = element.getparent()
    around = outer.nsmap if outer is not None else {}
    declared = {prefix: uri for prefix, uri in element.nsmap.items() if around.get(prefix) != uri}
    prefixes = {uri: prefix for prefix, uri in element.nsmap.items() if prefix}
    named = {f"xmlns:{prefix}" if prefix else "xmlns": uri for prefix, uri in declared.items()}
    for key, value in element.attrib.items():
        name = etree.QName(str(key))
        prefix = "xml" if str(key).startswith(_XML) else prefixes.get(name.namespace or "")
        named[f"{prefix}:{name.localname}" if name.namespace and prefix else name.localname] = str(value)
    # A line break or tab in a value would come back as a blank unless written by its number.
    typed = {
        name: _SPACES.sub(lambda mark: f"&#{ord(mark[0])};", escape(value)) for name, value in named.items()
    }
    return "".join(f' {name}="{value}"' for name, value in typed.items())


def _as_text(node: etree._Element) -> str:
    """A node as XML that stands alone, declaring only the namespaces it uses."""
    alone = deepcopy(node)
    if _is_element(node):
        etree.cleanup_namespaces(alone)
    return str(etree.tostring(alone, encoding="unicode", with_tail=False))


def _is_element(node: etree._Element) -> bool:
    """Whether it is an element, and not a comment or a processing instruction."""
    return isinstance(node.tag, str)


class _Reading:
    """One file being read (读取中): fills the form from the parsed elements."""

    def __init__(self, form: AppointmentForm, file: str, photo: bytes | None) -> None:
        self.form, self.file, self.photo = form, file, photo
        self.seen: set[str] = set()
        self.foreign: list[tuple[int, etree._Element]] = []
        self.declares = True

    def take(self, root: etree._Element, xml: bytes) -> None:
        self.declares = b"xmlns" in xml
        self.take_attributes(ROOT, root)
        self.foreign = [(-1, node) for node in reversed(list(root.itersiblings(preceding=True)))]
        position = -1
        for element in root:
            position += _is_element(element)
            name = element.tag if element.tag in _BY_ELEMENT else _local(element)
            if spec := _BY_ELEMENT.get(str(name)):
                self.take_field(spec, element)
            elif name == FAMILY_ELEMENT:
                self.take_family(element)
            elif name == PHOTO_ELEMENT:
                self.take_photo(element)
            else:
                self.foreign.append((position, element))
        self.foreign += [(-1, node) for node in root.itersiblings()]
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

    def take_attributes(self, label: str, element: etree._Element) -> None:
        """Keep the attributes of a known element; of one that is written twice, those of the first."""
        typed = self.typed(element)
        if not typed:
            return
        name = _local(element)
        if self.form.attributes.setdefault(name, typed) == typed:
            self.report(
                label, "element.attributes", f"{name} 带有属性，原样保留", typed, "note", _line(element)
            )
        else:
            message = f"{name} 重复出现且属性不同，后一个的属性未保留"
            self.report(label, "element.attributes", message, typed, "warning", _line(element))

    def typed(self, element: etree._Element) -> str:
        """Its attributes and namespace declarations; most elements have none, and most files declare none."""
        return _attributes(element) if self.declares or element.attrib else ""

    def take_field(self, spec: FormField, element: etree._Element) -> None:
        value = read_field(
            spec, self.text_of(spec.label, element), self.file, self.form.issues, _line(element)
        )
        self.check_tail(element)
        self.take_attributes(spec.label, element)
        held = getattr(self.form, spec.attribute)
        if value and held and value != held:
            message = f"{spec.label}重复出现，后一个未采用"
            self.report(spec.label, "element.repeated", message, value, "error", _line(element))
        elif value:
            setattr(self.form, spec.attribute, value)

    def text_of(self, label: str, element: etree._Element) -> str:
        if not len(element):
            return element.text or ""
        inner = "".join(map(_as_text, element))
        if any(map(_is_element, element)):
            message = f"{label}中有下级元素，只取其文字，其余未保留"
        else:
            message = f"{label}中有注释，未保留"
        self.report(label, "element.nested", message, inner, line=_line(element))
        return str(element.xpath("string()"))

    def check_tail(self, element: etree._Element) -> None:
        if element.tail and (stray := element.tail.strip()):
            self.report(ROOT, "element.stray_text", "元素之间有文字，未采用", stray, "error", _line(element))

    def take_family(self, family: etree._Element) -> None:
        self.check_tail(family)
        self.take_attributes(FAMILY_LABEL, family)
        if FAMILY_ELEMENT in self.seen:
            self.report(FAMILY_LABEL, "family.several_lists", "家庭成员分在几处，已合并", severity="note")
        self.seen.add(FAMILY_ELEMENT)
        self.check_stray([family.text, *(item.tail for item in family)])
        for item in family:
            if _local(item) == MEMBER_ELEMENT:
                self.take_member(item)
            else:
                self.form.family_unknown += (self.kept(item),)

    def check_stray(self, texts: list[str | None]) -> None:
        for text in texts:
            if text and text.strip():
                self.report(
                    FAMILY_LABEL, "element.stray_text", "家庭成员中有多余文字，未采用", text.strip(), "error"
                )

    def kept(self, node: etree._Element) -> str:
        """A node among the family that no field is for, as text, with a note that it is kept."""
        raw = _as_text(node)
        what = f"未知元素 {_local(node)}" if _is_element(node) else "注释"
        message = f"家庭成员中有{what}，原样保留"
        self.report(FAMILY_LABEL, "family.unknown_element", message, raw, "note", _line(node))
        return raw

    def take_member(self, item: etree._Element) -> None:
        self.check_stray([item.text, *(element.tail for element in item)])
        values: dict[str, str] = {}
        attributes = [(MEMBER_ELEMENT, self.typed(item))]
        foreign = []
        for element in item:
            spec = _MEMBER_BY_ELEMENT.get(_local(element))
            if spec is None or spec.attribute in values:
                foreign.append(element)
                continue
            raw = self.text_of(spec.label, element)
            values[spec.attribute] = read_field(spec, raw, self.file, self.form.issues, _line(element))
            attributes.append((spec.element, self.typed(element)))
        # An empty row is padding, whatever empty elements it has.
        if any(values.values()) or any(str(node.xpath("string()")).strip() for node in foreign):
            typed = tuple((name, text) for name, text in attributes if text)
            if typed:
                raw = "；".join(name + text for name, text in typed)
                message = "家庭成员带有属性，原样保留"
                self.report(FAMILY_LABEL, "element.attributes", message, raw, "note", _line(item))
            kept = tuple(self.kept(node) for node in foreign)
            self.form.family.append(FamilyMember(**values, foreign=kept, attributes=typed))

    def take_photo(self, element: etree._Element) -> None:
        self.check_tail(element)
        self.take_attributes(PHOTO_LABEL, element)
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
        typed = _typed_children(xml) if any(_is_element(node) for _, node in self.foreign) else []
        kept = []
        for position, node in self.foreign:
            if not _is_element(node):
                text = _as_text(node)
                self.report(
                    ROOT, "element.comment", "注释或处理指令，原样保留", text[:200], "note", _line(node)
                )
            else:
                text = typed[position] if position < len(typed) else ""
                text = text if _stands_alone(text) else _as_text(node)
                message = f"未知元素 {_local(node)}，原样保留"
                self.report(_local(node), "element.unknown", message, text[:200], "note", _line(node))
            kept.append(text)
            if node.getparent() is not None:
                self.check_tail(node)
        self.form.unknown = tuple(kept)


def _typed_children(xml: bytes) -> list[str]:
    """The root's children as typed (原文): cut from the bytes by expat, since lxml keeps no positions.

    Empty where expat, which knows only the names of XML 1.0's fourth edition, refuses what lxml took.
    """
    parser = expat.ParserCreate("utf-8")
    depth, starts, ends = 0, list[int](), list[int]()

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth
        if depth == 1:
            starts.append(parser.CurrentByteIndex)
        depth += 1

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if depth == 1:
            # At an end tag the index is that of `</`; behind an empty-element tag, it is that tag's end.
            at = parser.CurrentByteIndex
            closing = xml.startswith(f"</{name}".encode(), at)
            ends.append(xml.index(b">", at) + 1 if closing else at)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(xml, True)
    except expat.ExpatError:
        return []
    return [xml[first:last].decode("utf-8") for first, last in zip(starts, ends, strict=True)]


def _stands_alone(text: str) -> bool:
    try:
        etree.fromstring(text.encode("utf-8"), parser())
    except etree.XMLSyntaxError:
        return False
    return True


def write_lrmx(form: AppointmentForm) -> bytes:
    """Write one `.lrmx` file (写出 lrmx): UTF-8 without mark, CRLF, two blanks of indent, the vendor's order.

    All 34 elements are written, foreign ones and comments between `ShenFenZheng` and `ZhaoPian`; `Version` falls
    back to the vendor editor's.
    """
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<{ROOT}{form.attributes.get(ROOT, '')}>"]
    for spec in FIELDS:
        if spec.element == "ChengBaoDanWei":
            lines += _family_lines(form)
        elif spec.element == "Version":
            lines += [f"  {element}" for element in form.unknown]
            photo = binascii.b2a_base64(form.photo, newline=False).decode("ascii") if form.photo else ""
            lines.append("  " + _element(PHOTO_ELEMENT, photo, form.attributes))
        value = getattr(form, spec.attribute) or (EDITOR_VERSION if spec.element == "Version" else "")
        lines.append("  " + _element(spec.element, value, form.attributes))
    return "\r\n".join([*lines, f"</{ROOT}>", ""]).encode("utf-8")


def _family_lines(form: AppointmentForm) -> list[str]:
    members = [member for member in form.family if not member.blank]
    if not members and not form.family_unknown:
        return ["  " + _element(FAMILY_ELEMENT, "", form.attributes)]
    lines = [f"  <{FAMILY_ELEMENT}{form.attributes.get(FAMILY_ELEMENT, '')}>"]
    for member in members:
        attributes = dict(member.attributes)
        lines.append(f"    <{MEMBER_ELEMENT}{attributes.get(MEMBER_ELEMENT, '')}>")
        lines += [
            f"      {_element(spec.element, getattr(member, spec.attribute), attributes)}"
            for spec in FAMILY_FIELDS
        ]
        lines += [f"      {element}" for element in member.foreign]
        lines.append(f"    </{MEMBER_ELEMENT}>")
    lines += [f"    {element}" for element in form.family_unknown]
    return [*lines, f"  </{FAMILY_ELEMENT}>"]


def _element(name: str, value: str, attributes: Mapping[str, str]) -> str:
    text = escape(legal(value), quote=False).replace("\n", "\r\n") if value else ""
    return f"<{name}{attributes.get(name, '')}>{text}</{name}>"
