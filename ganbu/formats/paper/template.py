"""A department's own template (自定版式): every tag is looked at before anybody's form is filled in, and named when wrong."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import jinja2
from docx.opc.exceptions import OpcError
from docx.opc.oxml import parse_xml
from docx.oxml.ns import qn
from docxtpl import DocxTemplate
from jinja2 import StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment
from lxml import etree

from ganbu.errors import FormatError, nearest
from ganbu.formats.form import AppointmentForm
from ganbu.formats.paper.page import ROOM, paper_values

NAMES = frozenset([*paper_values(AppointmentForm()), "photo"])
PARTS = frozenset(paper_values(AppointmentForm())["family"][0])

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)
_HALF = re.compile(r"\{\{|\}\}|\{%|%\}|｛｛|｝｝|｛%|%｝")
_PREFIX = re.compile(r"^(\{[{%])(?:r|p|tr|tc)(?=\s)")
_CELL = re.compile(r"^\{%\s*(?:colspan|cellbg|vm|hm)\b")
_BLOCK = re.compile(r"^\{%-?\s*(for|if|endfor|endif)\b")


class _Environment(SandboxedEnvironment):
    """One that compiles each part of a template once: it is filled in for thousands."""

    def from_string(self, source: Any, globals: Any = None, template_class: Any = None) -> jinja2.Template:
        """As jinja does."""
        return _once(
            _compiled, source, lambda: super(_Environment, self).from_string(source, globals, template_class)
        )


@cache
def environment() -> SandboxedEnvironment:
    """What templates are filled in with: no way out of the values they are given, and nothing missing unnoticed."""
    return _Environment(autoescape=True, undefined=StrictUndefined)


class Template(DocxTemplate):  # type: ignore[misc]
    """A docx template whose tags are put in order once for every text they stand in."""

    def patch_xml(self, src_xml: str) -> str:
        """As docxtpl does."""
        return _once(_patched, src_xml, lambda: super(Template, self).patch_xml(src_xml))


T = TypeVar("T")
MOST = 32  # parts of templates kept: a template has a body, headers and footers
_compiled: dict[Any, jinja2.Template] = {}
_patched: dict[str, str] = {}


def _once(kept: dict[Any, T], key: Any, make: Callable[[], T]) -> T:
    """What is kept under a key, made when it is not there."""
    if key not in kept:
        if len(kept) >= MOST:
            kept.clear()
        kept[key] = make()
    return kept[key]


def own_template(path: Path) -> bytes:
    """The template in a file, checked. Raises FormatError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path.name}：模板无法读取：{error.strerror}") from error
    check_template(content, path.name)
    return content


@lru_cache(maxsize=4)
def check_template(content: bytes, name: str) -> None:
    """Look at every tag of a template. Raises FormatError that names the first wrong one and what to write."""
    try:
        tags = [tag for text in _paragraphs(content) for tag in _tags(text, name)]
    except (zipfile.BadZipFile, KeyError, ValueError, OpcError, etree.XMLSyntaxError) as error:
        raise FormatError(f"{name}：不是 docx 文件。请在文字处理软件里另存为 docx") from error
    tags = [(tag, plain) for tag, plain in tags if not _CELL.match(plain)]
    _balanced(tags, name)
    for tag, plain in tags:
        if tag.startswith("{{"):
            _parsed(tag, plain, name)
            _as_run(tag, plain, name)
    _known(tags, _parsed("", "\n".join(plain for _, plain in tags), name), name)


def _paragraphs(content: bytes) -> Iterator[str]:
    """The text of every paragraph of the body, headers and footers; a tag may be in several runs of one."""
    filled = Template(io.BytesIO(content))
    filled.init_docx()
    stories = [filled.docx.element.body]
    for kind in (filled.HEADER_URI, filled.FOOTER_URI):
        stories += [parse_xml(part.blob) for _, part in filled.get_headers_footers(kind)]
    for story in stories:
        for paragraph in story.iter(qn("w:p")):
            yield "".join(piece.text or "" for piece in paragraph.iter(qn("w:t")))


def _tags(text: str, name: str) -> Iterator[tuple[str, str]]:
    """The tags of a paragraph: as written, and as jinja reads them."""
    rest = _TAG.sub("　", text)
    if half := _HALF.search(rest):
        told = rest[max(half.start() - 12, 0) : half.end() + 12].strip("　 ")
        raise FormatError(f"{name}：“{told}”的花括号不成对，或不是半角。应写作 {{{{ 名称 }}}} 或 {{% … %}}")
    for tag in _TAG.findall(text):
        if not tag.startswith("{#"):
            yield tag, _PREFIX.sub(r"\1", tag.translate(str.maketrans("“”‘’", "\"\"''")))


def _balanced(tags: list[tuple[str, str]], name: str) -> None:
    """Every `for` and `if` has its end."""
    opened: list[tuple[str, str]] = []
    for tag, plain in tags:
        found = _BLOCK.match(plain)
        word = found[1] if found else ""
        if word in ("for", "if"):
            opened.append((word, tag))
        elif word and (not opened or f"end{opened.pop()[0]}" != word):
            raise FormatError(f"{name}：“{tag}”前面没有与它成对的 {word[3:]}")
    if opened:
        word, tag = opened[-1]
        raise FormatError(f"{name}：“{tag}”后面没有 end{word}")


def _parsed(tag: str, plain: str, name: str) -> nodes.Template:
    try:
        return environment().parse(plain)
    except TemplateSyntaxError as error:
        told = tag or plain.split("\n")[min(error.lineno, plain.count("\n") + 1) - 1]
        raise FormatError(f"{name}：“{told}”写得不对：{error.message}") from error


def _as_run(tag: str, plain: str, name: str) -> None:
    """Texts that shrink stand as runs, all others as text: the other way round they would be lost."""
    used = meta.find_undeclared_variables(environment().parse(plain))
    shrinks, run = used & ROOM.keys(), tag.startswith("{{r ")
    if shrinks and not run:
        raise FormatError(f"{name}：“{tag}”应写作 {{{{r{plain[2:]}，字号才能缩放")
    if run and used and not shrinks:
        raise FormatError(f"{name}：“{tag}”应写作 {plain}，它不缩放字号")


def _known(tags: list[tuple[str, str]], tree: nodes.Template, name: str) -> None:
    """Only names there are, and only parts that a family member has."""
    parts = {
        found.attr
        for found in tree.find_all(nodes.Getattr)
        if not (isinstance(found.node, nodes.Name) and found.node.name == "loop")
    }
    for unknown, names in (
        (meta.find_undeclared_variables(tree) - NAMES, NAMES),
        (parts - PARTS, PARTS),
    ):
        for word in sorted(unknown):
            tag = next((tag for tag, plain in tags if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain)), word)  # fmt: skip
            hint = nearest(word, names) or "可用的名称见文档“任免审批表的版式”"
            raise FormatError(f"{name}：“{tag}”里没有“{word}”这个名称。{hint}")
