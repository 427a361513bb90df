"""YAML with positions (规则文件): every value remembers file, line and column; numbers stay exact."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from ganbu.errors import PackError, Place

MAX_BYTES = 2_000_000
_TAGS = {"str", "int", "float", "bool", "null", "timestamp", "seq", "map"}
_INT = re.compile(r"^-?\d+$")
_DECIMAL = re.compile(r"^-?\d+\.\d+$")
# What either parser says, by a part of it: in Chinese, and what to do.
_SLIPS = {
    "mapping values": ("这里不能再有“键: 值”", "算式里有“冒号加空格”时，整个算式要加引号"),
    "expected ',' or": (
        "括号没有关上，或缺逗号",
        "花括号或方括号里的算式含有 {…} 或 […] 时，整个算式要加引号",
    ),
    "unexpected end of stream": ("引号没有关上", "请补上右引号"),
    "cannot start any token": ("这个字符不能开头", "缩进用空格，不用制表符；以 @、`、% 开头的文字要加引号"),
    "expected key": ("缩进不齐，或缺键", "同一层的键要对齐"),
    "<block end>": ("缩进不齐", "同一层的键要对齐"),
    "node content": ("这里缺值", "请写上值，或关上括号"),
    "nesting": ("套得太深", "请拆成几项"),
}
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


class Text(str):
    """A string that knows where it stands (带位置的文本).

    `place` is where its first character is; `block` tells that it is a block scalar, whose later lines start at
    column `indent`.
    """

    place: Place
    block: bool
    indent: int

    def __new__(cls, value: str, place: Place, block: bool = False, indent: int = 0) -> Text:
        text = super().__new__(cls, value)
        text.place, text.block, text.indent = place, block, indent
        return text

    def at(self, offset: int) -> Place:
        """The place of the character at `offset`."""
        before = str(self)[:offset]
        lines = before.count("\n")
        column = len(before) - (before.rfind("\n") + 1)
        if not self.block:
            return Place(self.place.file, self.place.line, self.place.column + offset)
        return Place(self.place.file, self.place.line + lines, self.indent + column)


class Mapping(dict[str, Any]):
    """A mapping that knows where it and each of its keys stand (带位置的映射)."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}

    def at(self, key: str) -> Place:
        """The place of a key, or of the mapping."""
        return self.places.get(key, self.place)


class Sequence(list[Any]):
    """A list that knows where it stands (带位置的列表)."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


def place_of(value: Any, default: Place | None = None) -> Place | None:
    """Where a value read by this module stands."""
    return getattr(value, "place", default)


def _scalar(node: yaml.ScalarNode, file: str, lines: list[str]) -> Any:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    value = node.value
    if node.style in ("|", ">"):
        return _block(node, file, lines)
    if node.style in ("'", '"'):
        return Text(value, Place(file, line, column + 1))
    if value in ("", "~", "null"):
        return None
    if value in ("true", "false"):
        return value == "true"
    if _INT.match(value):
        return int(value)
    if _DECIMAL.match(value):
        return Fraction(value)
    if _DATE.match(value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise PackError(f"日期“{value}”不存在", Place(file, line, column)) from error
    return Text(value, Place(file, line, column))


def _block(node: yaml.ScalarNode, file: str, lines: list[str]) -> Text:
    first = node.start_mark.line + 1
    while first < len(lines) and not lines[first].strip():
        first += 1
    indent = len(lines[first]) - len(lines[first].lstrip()) if first < len(lines) else 0
    if node.style == "|":
        return Text(node.value, Place(file, first + 1, indent + 1), True, indent + 1)
    # A folded scalar is read from the raw lines, so that positions stay true to the file.
    end = node.end_mark.line
    raw = [line[indent:] for line in lines[first:end]]
    return Text("\n".join(raw).rstrip(), Place(file, first + 1, indent + 1), True, indent + 1)


def _value(node: yaml.Node, file: str, lines: list[str], text: str) -> Any:
    place = Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
        raise PackError(f"不允许 YAML 标签 {node.tag}", place)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, file, lines)
    if isinstance(node, yaml.SequenceNode):
        sequence = Sequence(place)
        entries: list[tuple[yaml.Node, ...]] = [(item,) for item in node.value]
        sequence.extend(_value(item, file, lines, text) for (item,) in _rejoined(node, entries, text))
        return sequence
    mapping = Mapping(place)
    for key_node, value_node in _rejoined(node, node.value, text):
        key_place = Place(file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            raise PackError("键必须是文本", key_place)
        key = key_node.value
        if key in mapping:
            raise PackError(f"键“{key}”重复", key_place, f"第一次出现在第 {mapping.at(key).line} 行")
        mapping[key] = _value(value_node, file, lines, text)
        mapping.places[key] = key_place
    return mapping


def _open(text: str) -> int:
    """How many brackets of an expression are still open."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)
    return sum(bare.count(sign) for sign in "(（") - sum(bare.count(sign) for sign in ")）")


def _rejoined(
    node: yaml.Node, entries: list[tuple[yaml.Node, ...]], whole: str
) -> Iterator[tuple[yaml.Node, ...]]:
    """The entries of a `{…}` or `[…]` with expressions put together again that YAML cut at their commas.

    `{人数: count(任职, 免职时间 is missing)}` is one entry, as anybody would read it.
    """
    rest = iter(entries)
    flowing = bool(getattr(node, "flow_style", False))
    for entry in rest:
        value = entry[-1]
        if flowing and isinstance(value, yaml.ScalarNode) and not value.style and _open(value.value) > 0:
            start, end = value.start_mark, value.end_mark
            text = value.value
            while _open(text) > 0:
                following = next(rest, None)
                if following is None:
                    break
                end = max((part.end_mark for part in following), key=lambda mark: mark.index)
                text = whole[start.index : end.index]
            entry = (*entry[:-1], yaml.ScalarNode(value.tag, text, start, end))
        yield entry


class _PythonParser(Reader, Scanner, Parser):
    """Events read in Python, where PyYAML came without libyaml; the same with five times the work."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)


def _composing(parser: Any) -> Any:
    """What composes nodes of the events of a parser, and nothing else."""

    class Loader(Composer, parser, Resolver):  # type: ignore[misc]
        """Aliases are refused, so that a small file cannot become a huge one."""

        def __init__(self, text: str, name: str) -> None:
            parser.__init__(self, text)
            Composer.__init__(self)
            Resolver.__init__(self)
            self.name = name

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                mark = self.peek_event().start_mark
                raise PackError("不允许 YAML 别名（*）", Place(self.name, mark.line + 1, mark.column + 1))
            return super().compose_node(parent, index)

    return Loader


_Loader = _composing(yaml.cyaml.CParser if yaml.__with_libyaml__ else _PythonParser)  # type: ignore[attr-defined]


def read_documents(text: str, file: str) -> Iterator[Mapping]:
    """The YAML documents of a text, each a mapping. Raises PackError with file, line and column."""
    lines = text.split("\n")
    loader = None
    try:
        loader = _Loader(text, file)
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            value = _value(node, file, lines, text)
            if value is None:
                continue
            if not isinstance(value, Mapping):
                raise PackError("每个 YAML 文档应是“键: 值”的映射", place_of(value, Place(file, 1, 1)))
            yield value
    except yaml.reader.ReaderError as error:
        # libyaml counts bytes.
        before = text.encode()[: error.position].decode(errors="ignore") if yaml.__with_libyaml__ else text[: error.position]  # fmt: skip
        line = before.count("\n") + 1
        raise PackError("文件里有 YAML 不允许的控制字符", Place(file, line)) from error
    except RecursionError as error:
        raise PackError("YAML 套得太深", Place(file, 1, 1)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        plain = str(error.problem or error.context)
        said, hint = next((slip for sign, slip in _SLIPS.items() if sign in plain), (plain, ""))
        begun = error.context_mark
        if begun and mark and begun.line != mark.line:
            said += f"（从第 {begun.line + 1} 行第 {begun.column + 1} 列开始的一项）"
        raise PackError(f"YAML 写法有误：{said}", place, hint) from error
    finally:
        if loader is not None:
            loader.dispose()


def read_file(path: Path, name: str | None = None) -> list[Mapping]:
    """The documents of a pack file; `name` is how errors call it."""
    shown = name or str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PackError(f"无法读取：{error.strerror}", Place(shown)) from error
    if len(raw) > MAX_BYTES:
        raise PackError(f"文件超过 {MAX_BYTES // 1_000_000} MB", Place(shown))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PackError("规则文件应是 UTF-8 编码", Place(shown, line)) from error
    return list(read_documents(text, shown))
