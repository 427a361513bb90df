"""Registers and fields (登记表与字段), read from `registers.yaml` and from the registers a pack declares."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import yaml

from ganbu.errors import PackError, Place, nearest
from ganbu.vocabulary.codes import CodeTable, load_codes

_TYPE = re.compile(r"^(\w+)(?:\(([\w, ]+)\))?$")
_KINDS = ("id", "text", "int", "decimal", "date", "time", "bool", "code", "ref")
META_FIELDS = ("recorded_at", "superseded_at", "source", "evidence")


@dataclass(frozen=True)
class Field:
    """One field of a register (字段).

    `kind` is one of id, text, int, decimal, date, time, bool, code, ref; `target` names the code table or the
    register; `digits` and `scale` are those of a decimal; `national` is the national field code such as A0101;
    `sealed` fields are encrypted in a database; `element` is the element of a file audit that settles the field.
    """

    name: str
    label: str
    kind: str
    target: str = ""
    digits: int = 0
    scale: int = 0
    national: str = ""
    secrecy: str = "internal"
    sealed: bool = False
    element: str = ""

    @property
    def is_text(self) -> bool:
        """Whether its values are texts: words, codes, identities and references."""
        return self.kind not in ("int", "decimal", "date", "bool")

    @property
    def type_text(self) -> str:
        """The type as written in the vocabulary, such as `code(sex)` or `decimal(8,4)`."""
        if self.kind == "decimal":
            return f"decimal({self.digits},{self.scale})"
        return f"{self.kind}({self.target})" if self.target else self.kind


@dataclass(frozen=True)
class Register:
    """A register (登记表): dated rows about a subject.

    `key` is set for registers of things (person, unit, team...); `subject` names the register that the rows are
    about; `happened` is the field that says since when a row is true; `ended` are fields unknown before the first
    of them has come; `open` registers say nothing about whom they do not mention; `procedural` ones are written by a
    procedure only; in an `append` one nothing is ever changed or ended. A declared register says which roles write it
    (`writers`, none for all who fill in registers), how often (`every`) and who owes it (`obliged`, a condition).
    """

    name: str
    label: str
    fields: Mapping[str, Field]
    key: str = ""
    name_field: str = ""
    subject: str = ""
    happened: str = ""
    ended: tuple[str, ...] = ()
    order: str = ""
    open: bool = False
    procedural: bool = False
    append: bool = False
    writers: tuple[str, ...] = ()
    every: str = ""
    obliged: str = ""
    secrecy: str = "internal"
    local: bool = False

    @cached_property
    def id_field(self) -> str:
        """The first field: the identity of a row."""
        return next(iter(self.fields))

    @cached_property
    def subject_field(self) -> str:
        """The field that names the subject of a row, empty for registers of things."""
        return next((f.name for f in self.links_to(self.subject)), "") if self.subject else ""

    @cached_property
    def shape(self) -> str:
        """A fingerprint of what its fields are: what lies on disk of another shape was written by another version."""
        fields = [
            (item.name, item.kind, item.target, item.scale, item.sealed) for item in self.fields.values()
        ]
        told = [self.name, self.subject, self.key, *fields]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @cached_property
    def sealed(self) -> tuple[str, ...]:
        """The fields that lie encrypted in the database."""
        return tuple(item.name for item in self.fields.values() if item.sealed)

    def find(self, name: str) -> Field | None:
        """The field of that English name or Chinese label."""
        if name in self.fields:
            return self.fields[name]
        return next((f for f in self.fields.values() if f.label == name), None)

    def links_to(self, register: str) -> list[Field]:
        """The reference fields that point at `register`, in order."""
        return [f for f in self.fields.values() if f.kind == "ref" and f.target == register]


@dataclass(frozen=True)
class Vocabulary:
    """All registers, code tables and shared facts (词汇表)."""

    registers: Mapping[str, Register]
    codes: Mapping[str, CodeTable]
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def find(self, name: str) -> Register | None:
        """The register of that English name or Chinese label."""
        if name in self.registers:
            return self.registers[name]
        return next((r for r in self.registers.values() if r.label == name), None)

    def with_registers(self, declared: Mapping[str, Any], place: Place | None = None) -> Vocabulary:
        """This vocabulary plus the local registers a pack declares (自建登记表); a core one cannot be changed."""
        merged = dict(self.registers)
        for name, spec in declared.items():
            if name in self.registers and not self.registers[name].local:
                raise PackError(f"登记表“{name}”是核心登记表，不能重新声明", place)
            merged[name] = replace(_register(name, spec, place), local=True)
            if any(item.sealed for item in merged[name].fields.values()):
                raise PackError(
                    f"自建登记表“{name}”的字段不能写 sealed：只有核心登记表加密存放",
                    place,
                    "要保密请写 secrecy: sensitive",
                )
        return replace(self, registers=merged)


def _field(register: str, name: str, spec: Mapping[str, Any], place: Place | None) -> Field:
    text = str(spec.get("type", "text"))
    match = _TYPE.match(text)
    if not match or match[1] not in _KINDS:
        raise PackError(
            f"登记表 {register} 的字段 {name}：类型“{text}”无效",
            place,
            nearest(text, _KINDS) or f"可用：{'、'.join(_KINDS)}",
        )
    kind, inner = match[1], match[2] or ""
    digits, scale = (int(part) for part in inner.split(",")) if kind == "decimal" and inner else (18, 4)
    if kind == "decimal" and not 0 <= scale <= digits <= 18:
        raise PackError(f"登记表 {register} 的字段 {name}：decimal 至多 18 位", place)
    return Field(
        name=name,
        label=str(spec.get("label", name)),
        kind=kind,
        target=inner if kind in ("code", "ref") else "",
        digits=digits if kind == "decimal" else 0,
        scale=scale if kind == "decimal" else 0,
        national=str(spec.get("code", "")),
        secrecy=str(spec.get("secrecy", "internal")),
        sealed=bool(spec.get("sealed", False)),
        element=str(spec.get("element", "")),
    )


SAYS = ("label", "key", "name", "subject", "happened", "ended", "order", "open", "procedural", "append", "writers", "every", "obliged", "secrecy", "fields")  # fmt: skip
EVERY = ("day", "week", "half_month", "month", "two_months", "quarter", "half_year", "year")


def _register(name: str, spec: Mapping[str, Any], place: Place | None = None) -> Register:
    if unknown := next((word for word in spec if word not in SAYS), None):
        raise PackError(f"登记表 {name}：没有“{unknown}”这一项", place, nearest(str(unknown), SAYS))
    if spec.get("every") and spec["every"] not in EVERY:
        raise PackError(
            f"登记表 {name}：every 应为 {'、'.join(EVERY)}", place, nearest(str(spec["every"]), EVERY)
        )
    fields = {key: _field(name, key, value, place) for key, value in spec["fields"].items()}
    register = Register(
        name=name,
        label=str(spec.get("label", name)),
        fields=fields,
        key=str(spec.get("key", "")),
        name_field=str(spec.get("name", "")),
        subject=str(spec.get("subject", "")),
        happened=str(spec.get("happened", "")),
        ended=tuple(spec.get("ended", ())),
        order=str(spec.get("order", "")),
        open=bool(spec.get("open", False)),
        procedural=bool(spec.get("procedural", False)),
        append=bool(spec.get("append", False)),
        writers=tuple(str(word) for word in spec.get("writers", ())),
        every=str(spec.get("every", "")),
        obliged=str(spec.get("obliged", "")),
        secrecy=str(spec.get("secrecy", "internal")),
    )
    named = [register.key, register.name_field, register.happened, register.order, *register.ended]
    for used in filter(None, named):
        if used not in fields:
            raise PackError(f"登记表 {name}：没有字段“{used}”", place, nearest(used, fields))
    return register


def _yaml(name: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # every command reads it: in C it takes a tenth
    return yaml.load(files("ganbu.vocabulary").joinpath(name).read_text("utf-8"), loader)  # noqa: S506


@cache
def load_vocabulary() -> Vocabulary:
    """The core vocabulary shipped with the package."""
    registers = {name: _register(name, spec) for name, spec in _yaml("registers.yaml").items()}
    codes = dict(load_codes())
    for name, spec in _yaml("local_codes.yaml").items():
        words = [str(word) for word in spec["values"]]
        codes[name] = CodeTable(
            name=name,
            label=spec["label"],
            standard="",
            values={word: word for word in words},
            aliases={},
            order=tuple(spec.get("order", ())),
            parents={},
            old={},
            closed=bool(spec["closed"]),
        )
    for register in registers.values():
        for item in register.fields.values():
            if item.kind == "code" and item.target not in codes:
                raise PackError(f"{register.name}.{item.name}：没有代码表 {item.target}")
            if item.kind == "ref" and item.target not in registers:
                raise PackError(f"{register.name}.{item.name}：没有登记表 {item.target}")
    return Vocabulary(registers, codes, _yaml("facts.yaml"))
