"""The expression syntax (表达式): text to a syntax tree with exact positions.

Operators and punctuation may be ASCII or Chinese. Words are separated by blanks or signs, so `且` inside a name
is part of the name. The grammar is written out in docs/policy-language.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any

from ganbu.engine.source import Text
from ganbu.errors import PackError, Place

_WIDE = str.maketrans(
    "（），：；．。＝＞＜＋－＊／％［］｛｝！“”‘’×÷≥≤≠　", "(),:;..=><+-*/%[]{}!\"\"''*/≥≤≠ "
)
_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<date>\d{4}-\d{2}-\d{2}(?!\d))
  | (?P<name>\d*[A-Za-z_\u3400-\u9fff·〇][A-Za-z0-9_\u3400-\u9fff·〇]*)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<string>'[^']*'|"[^"]*")
  | (?P<sign>>=|<=|!=|<>|==|[=<>≥≤≠+\-*/%(),:\[\]{}.])
    """,
    re.VERBOSE,
)
UNITS = {
    **dict.fromkeys(("年", "周年", "year", "years"), "years"),
    **dict.fromkeys(("个月", "月", "month", "months"), "months"),
    **dict.fromkeys(("天", "日", "day", "days"), "days"),
    **dict.fromkeys(("工作日", "个工作日", "workday", "workdays"), "workdays"),
}
_NUMBER_UNIT = re.compile(r"^(\d+)(" + "|".join(sorted(UNITS, key=len, reverse=True)) + r")$")
AND, OR, NOT = ("and", "且", "并且"), ("or", "或", "或者"), ("not", "非", "并非")
COMPARISONS = {
    **dict.fromkeys(("=", "==", "等于", "为"), "="),
    **dict.fromkeys(("!=", "<>", "≠", "不等于"), "!="),
    **dict.fromkeys((">=", "≥", "不少于", "不低于", "不小于", "至少", "达到"), ">="),
    **dict.fromkeys(("<=", "≤", "不超过", "不高于", "不大于", "至多"), "<="),
    **dict.fromkeys((">", "超过", "高于", "大于", "多于", "晚于"), ">"),
    **dict.fromkeys(("<", "低于", "小于", "少于", "不足", "不满", "未满", "早于"), "<"),
}
IN, NOT_IN = ("in", "属于"), ("不属于",)
UNDER, CONTAINS = ("under", "属类"), ("contains", "含", "包含")
TRUE, FALSE, MISSING = ("true", "yes", "是"), ("false", "no", "否"), ("missing", "缺", "缺失", "未知")
_WORDS = {*AND, *OR, *NOT, *IN, *NOT_IN, *UNDER, *CONTAINS, *COMPARISONS, "is"}
MAX_DEPTH = 60


@dataclass(frozen=True)
class Syntax:
    """A node of the syntax tree: `kind`, its `value`, its parts, and where it stands."""

    kind: str
    value: Any
    parts: tuple[Syntax, ...] = ()
    named: tuple[tuple[str, Syntax], ...] = ()
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def error_at(source: str, offset: int, message: str, hint: str = "") -> PackError:
    """A PackError at a position of an expression."""
    place = source.at(offset) if isinstance(source, Text) else Place("<表达式>", 1, offset + 1)
    return PackError(message, place, hint)


def _tokens(source: str) -> list[_Token]:
    text = source.translate(_WIDE)
    tokens, offset = [], 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if not match:
            sign = source[offset]
            quote = "引号没有成对" if sign in "'\"“”‘’" else f"不认识的符号“{sign}”"
            raise error_at(source, offset, quote)
        kind = match.lastgroup or ""
        if kind == "string":
            tokens.append(_Token(kind, source[offset + 1 : match.end() - 1], offset, match.end()))
        elif kind != "blank":
            tokens.append(_Token(kind, match[0], offset, match.end()))
        offset = match.end()
    tokens.append(_Token("end", "", len(text), len(text)))
    return tokens


class _Parser:
    """A precedence-climbing reader over the tokens of one expression."""

    def __init__(self, source: str) -> None:
        self.source, self.tokens, self.index, self.depth = source, _tokens(source), 0, 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def fail(self, message: str, hint: str = "") -> PackError:
        return error_at(self.source, self.token.start, message, hint)

    def take(self, *texts: str) -> _Token | None:
        token = self.token
        if token.kind in ("name", "sign") and token.text in texts:
            self.index += 1
            return token
        return None

    def expect(self, text: str) -> _Token:
        token = self.take(text)
        if token is None:
            found = f"“{self.token.text}”" if self.token.text else "表达式结束"
            raise self.fail(f"这里应是“{text}”，却是{found}")
        return token

    def whole(self) -> Syntax:
        if self.token.kind == "end":
            raise self.fail("表达式是空的")
        node = self.either()
        if self.token.kind != "end":
            raise self.fail(
                f"多出“{self.token.text}”", "词与词之间是否少了运算符，或中文运算符两侧少了空格？"
            )
        return node

    def either(self) -> Syntax:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail("表达式嵌套过深", "请拆成几个 facts")
        node = self.both()
        while self.take(*OR):
            right = self.both()
            node = Syntax("or", None, (node, right), (), node.start, right.end)
        self.depth -= 1
        return node

    def both(self) -> Syntax:
        node = self.negation()
        while self.take(*AND):
            right = self.negation()
            node = Syntax("and", None, (node, right), (), node.start, right.end)
        return node

    def negation(self) -> Syntax:
        token = self.take(*NOT)
        if token:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fail("表达式嵌套过深", "请拆成几个 facts")
            inner = self.negation()
            self.depth -= 1
            return Syntax("not", None, (inner,), (), token.start, inner.end)
        return self.comparison()

    def comparison(self) -> Syntax:
        left = self.sum()
        token = self.token
        if self.take(*COMPARISONS):
            right = self.sum()
            node = Syntax("compare", COMPARISONS[token.text], (left, right), (), left.start, right.end)
            if self.token.text in COMPARISONS:
                raise self.fail("不能连写比较", "请写成 a >= 1 and a <= 3")
            return node
        if self.take("is"):
            return self.state(left)
        if self.take(*NOT):
            if not self.take(*IN):
                raise self.fail("not 之后应是 in")
            return self.membership(left, negated=True)
        if self.take(*IN):
            return self.membership(left, negated=False)
        if self.take(*NOT_IN):
            return self.membership(left, negated=True)
        for words, kind in ((UNDER, "under"), (CONTAINS, "contains")):
            if self.take(*words):
                right = self.sum()
                return Syntax(kind, None, (left, right), (), left.start, right.end)
        return left

    def state(self, left: Syntax) -> Syntax:
        negated = bool(self.take(*NOT))
        token = self.token
        for words, state in ((MISSING, "missing"), (TRUE, "true"), (FALSE, "false")):
            if self.take(*words):
                return Syntax("is", (state, negated), (left,), (), left.start, token.end)
        raise self.fail("is 之后应是 missing、yes 或 no")

    def membership(self, left: Syntax, negated: bool) -> Syntax:
        if self.token.kind == "name":
            name = self.name()
            return Syntax("in", negated, (left, name), (), left.start, name.end)
        self.expect("(")
        items = [self.sum()]
        while self.take(","):
            items.append(self.sum())
        end = self.expect(")")
        return Syntax("in", negated, (left, *items), (), left.start, end.end)

    def sum(self) -> Syntax:
        node = self.product()
        while token := self.take("+", "-"):
            right = self.product()
            node = Syntax("arith", token.text, (node, right), (), node.start, right.end)
        return node

    def product(self) -> Syntax:
        node = self.signed()
        while token := self.take("*", "/"):
            right = self.signed()
            node = Syntax("arith", token.text, (node, right), (), node.start, right.end)
        return node

    def signed(self) -> Syntax:
        token = self.take("-")
        if token:
            inner = self.signed()
            return Syntax("negative", None, (inner,), (), token.start, inner.end)
        return self.path()

    def path(self) -> Syntax:
        node = self.primary()
        while True:
            if self.take("."):
                token = self.token
                if token.kind != "name":
                    raise self.fail("“.” 之后应是名称")
                self.index += 1
                node = Syntax("dot", token.text, (node,), (), node.start, token.end)
            elif self.token.text == "[" and node.kind == "table":
                self.index += 1
                key = self.either()
                end = self.expect("]")
                node = Syntax("lookup", None, (node, key), (), node.start, end.end)
            else:
                return node

    def primary(self) -> Syntax:
        token = self.token
        if token.kind == "date":
            self.index += 1
            try:
                return Syntax("date", date.fromisoformat(token.text), (), (), token.start, token.end)
            except ValueError as error:
                raise error_at(self.source, token.start, f"日期“{token.text}”不存在") from error
        if token.kind == "number":
            return self.number()
        if token.kind == "string":
            self.index += 1
            return Syntax("text", token.text, (), (), token.start, token.end)
        if token.kind == "name":
            return self.name()
        if self.take("("):
            inner = self.either()
            items = [inner]
            while self.take(","):
                items.append(self.either())
            end = self.expect(")")
            if len(items) > 1:
                return Syntax("tuple", None, tuple(items), (), token.start, end.end)
            return Syntax(inner.kind, inner.value, inner.parts, inner.named, token.start, end.end)
        if token.text == "{":
            return self.table()
        found = f"“{token.text}”" if token.text else "表达式在这里结束"
        raise self.fail(f"这里应是一个值，却是{found}")

    def number(self) -> Syntax:
        token = self.token
        self.index += 1
        value = Fraction(token.text)
        if self.take("%"):
            return Syntax("number", value / 100, (), (), token.start, self.tokens[self.index - 1].end)
        unit = self.token
        if unit.kind == "name" and unit.text in UNITS:
            self.index += 1
            return Syntax("span", (value, UNITS[unit.text]), (), (), token.start, unit.end)
        return Syntax("number", value, (), (), token.start, token.end)

    def name(self) -> Syntax:
        token = self.token
        if joined := _NUMBER_UNIT.match(token.text):
            self.index += 1
            return Syntax("span", (Fraction(joined[1]), UNITS[joined[2]]), (), (), token.start, token.end)
        if token.text in TRUE or token.text in FALSE:
            self.index += 1
            return Syntax("bool", token.text in TRUE, (), (), token.start, token.end)
        if token.text in MISSING:
            self.index += 1
            return Syntax("missing", None, (), (), token.start, token.end)
        if token.text in _WORDS:
            raise self.fail(f"“{token.text}”是运算符，前面少了一个值")
        self.index += 1
        if self.take("("):
            return self.call(token)
        return Syntax("name", token.text, (), (), token.start, token.end)

    def call(self, token: _Token) -> Syntax:
        parts: list[Syntax] = []
        named: list[tuple[str, Syntax]] = []
        while not self.take(")"):
            if parts or named:
                self.expect(",")
            after = self.tokens[self.index + 1] if self.index + 1 < len(self.tokens) else self.token
            if self.token.kind == "name" and after.text == ":":
                key = self.token.text
                self.index += 2
                named.append((key, self.either()))
            elif named:
                raise self.fail("具名参数之后不能再有普通参数")
            else:
                parts.append(self.either())
            if self.token.kind == "end":
                raise self.fail(
                    f"{token.text}( 没有右括号", "写在花括号 {…} 里的算式含有逗号或冒号时，整个算式要加引号"
                )
        return Syntax(
            "call", token.text, tuple(parts), tuple(named), token.start, self.tokens[self.index - 1].end
        )

    def table(self) -> Syntax:
        start = self.expect("{")
        rows: list[tuple[str, Syntax]] = []
        while not self.take("}"):
            if rows:
                self.expect(",")
            token = self.token
            if token.kind not in ("name", "string", "number"):
                raise self.fail("对照表应写作 {优秀: 3, 称职: 2}")
            self.index += 1
            self.expect(":")
            if token.text in dict(rows):
                raise self.fail(f"对照表中“{token.text}”重复")
            rows.append((token.text, self.sum()))
            if self.token.kind == "end":
                raise self.fail("对照表没有右括号")
        return Syntax("table", None, (), tuple(rows), start.start, self.tokens[self.index - 1].end)


@lru_cache(maxsize=8192)
def parse(source: str) -> Syntax:
    """Read one expression. Raises PackError with the exact place.

    >>> parse("年龄 不超过 35 且 学历 = '大学'").kind
    'and'
    """
    return _Parser(source).whole()
