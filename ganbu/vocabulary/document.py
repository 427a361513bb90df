"""The vocabulary as a document (词汇表文档): what `ganbu vocabulary --format markdown` prints, kept in docs/vocabulary.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ganbu.vocabulary.codes import CodeTable
from ganbu.vocabulary.registers import META_FIELDS, Field, Register, Vocabulary

SECRECY = {"internal": "内部", "sensitive": "敏感"}
HEAD = f"""# 词汇表

本页由 `ganbu vocabulary --format markdown` 生成，不要手改；改的是 `ganbu/vocabulary/` 下的 yaml 文件。

- [登记表](#登记表)：人、机构和发生过的事，一张表一个文件（`person.csv`、`appointment.parquet`…）
- [代码表](#代码表)：字段里允许写的词，有国家代码的列出代码
- [共用事实](#共用事实)：任何规则都可以直接写的名称

文件的列名写中文名或英文名都可以。每张表另可有 {"、".join(f"`{name}`" for name in META_FIELDS)} 四列：何时登记、何时被取代、来源、核实状态。
"""
REGISTERS = """
## 登记表

类型：`id` 编号，`text` 文字，`int` 整数，`decimal(总位数,小数位)` 定点小数，`date` 日期（可只到月），`bool` 是/否，`code(代码表)`，`ref(登记表)` 引用另一张表的一行。
密级：未写的是“内部”。“敏感”的字段不列在解释所附的记录里；登记表的密级目前只是标明，谁能看由保管文件夹的人掌握。
"""
CODES = """
## 代码表

档案里存名称。读入时，名称、代码、别名都认。“封闭”的表不收表外的词；“可增”的表，各地可用自己的词。写有“由低到高”的，规则里可以比较高低。
"""
FACTS = """
## 共用事实

用规则语言写成，见[规则语言](policy-language.md)。
"""


def document(words: Vocabulary, registers: Iterable[Register] | None = None) -> str:
    """The vocabulary as Markdown (词汇表文档); with `registers`, only those registers and nothing around them."""
    if registers is not None:
        return "".join(_register(words, register) for register in registers).lstrip("\n")
    parts = [HEAD, REGISTERS, *(_register(words, register) for register in words.registers.values())]
    parts += [CODES, *map(_code_table, words.codes.values()), FACTS]
    parts += [_facts(words.registers[name], facts) for name, facts in words.facts.items()]
    return "".join(parts)


def _register(words: Vocabulary, register: Register) -> str:
    lines = [f"\n### {_heading(register)}\n"]
    if said := "；".join(_said(words, register)):
        lines.append(f"{said}。\n")
    rows = (
        (f.label, f"`{f.name}`", _type(words, f), f.national, _secrecy(f.secrecy))
        for f in register.fields.values()
    )
    return "\n".join([*lines, *_table(("字段", "英文名", "类型", "国家代码", "密级"), rows)]) + "\n"


def _said(words: Vocabulary, register: Register) -> Iterator[str]:
    if register.subject:
        yield f"每行关于一个{words.registers[register.subject].label}"
    if register.happened:
        yield f"“{register.fields[register.happened].label}”是发生时间"
    if register.ended:
        yield "、".join(f"“{register.fields[name].label}”" for name in register.ended) + "到那一天才知道"
    if register.open:
        yield "开放：没有行是“不知道”，不是“没有”"
    if register.secrecy != "internal":
        yield f"整张表密级：{_secrecy(register.secrecy)}"


def _secrecy(name: str) -> str:
    return "" if name == "internal" else SECRECY.get(name, name)


def _type(words: Vocabulary, item: Field) -> str:
    target = words.codes[item.target] if item.kind == "code" else words.registers.get(item.target)
    if target is None:
        return f"`{item.type_text}`"
    return f"[`{item.type_text}`](#{_anchor(_heading(target))})"


def _heading(item: Register | CodeTable) -> str:
    """A register and a code table may share a name, headings may not."""
    return f"{'代码 ' if isinstance(item, CodeTable) else ''}{item.label} {item.name}"


def _anchor(heading: str) -> str:
    """The anchor that a heading gets: no punctuation, hyphens for blanks."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _code_table(table: CodeTable) -> str:
    kind = "封闭" if table.closed else "可增"
    lines = [f"\n### {_heading(table)}\n", "，".join(filter(None, (kind, table.standard))) + "。\n"]
    lines.append("、".join(name if code == name else f"{code} {name}" for code, name in table.values.items()))
    if table.order:
        lines.append(f"\n由低到高：{' < '.join(' = '.join(step) for step in table.steps)}")
    if table.aliases:
        lines.append("\n别名：" + "、".join(f"{alias}→{name}" for alias, name in table.aliases.items()))
    if table.old:
        lines.append("\n旧代码：" + "、".join(f"{old}→{new}" for old, new in table.old.items()))
    if table.parents:
        lines.append("\n上下级：" + "、".join(f"{below}属{above}" for below, above in table.parents.items()))
    return "\n".join(lines) + "\n"


def _facts(register: Register, facts: Mapping[str, str]) -> str:
    rows = ((name, f"`{written}`") for name, written in facts.items())
    return "\n".join([f"\n### {register.label}的事实\n", *_table(("名称", "定义"), rows)]) + "\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
