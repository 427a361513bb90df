"""Policies and packs as written (规则与规则包): loading, inheritance, and what each says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from ganbu.engine.source import Mapping, Sequence, Text, place_of, read_file
from ganbu.errors import PackError, Place, nearest
from ganbu.vocabulary import Vocabulary, load_vocabulary

KINDS = (
    "eligibility",
    "alert",
    "score",
    "rank",
    "index",
    "composition",
    "quota",
    "duty",
    "coverage",
    "chooser",
    "consequence",
)
COMMON = (
    "policy", "kind", "about", "source", "effective", "until", "version", "status", "why", "extends", "subject", "where",
    "parameters", "facts", "define", "show", "forecast", "note",
)  # fmt: skip
PACK_KEYS = (
    "pack",
    "extends",
    "about",
    "version",
    "source",
    "registers",
    "catalogues",
    "facts",
    "effective",
    "note",
)
PARAMETER_KEYS = ("value", "unit", "source", "about", "tighten", "local", "choices", "type", "replace")
MERGED = (
    "facts",
    "require",
    "bars",
    "levels",
    "components",
    "deductions",
    "veto",
    "indicators",
    "targets",
    "overall",
    "parts",
    "effects",
    "define",
)
REQUIRED = "REQUIRED"
_REQUIRED = re.compile(rf"(?<![\w\u3400-\u9fff]){REQUIRED}(?![\w\u3400-\u9fff])")


@dataclass(frozen=True)
class Policy:
    """One policy after inheritance (规则): its body as written, and where."""

    name: str
    kind: str
    body: Mapping
    place: Place
    pack: str
    parents: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The register it judges, as written."""
        return str(self.body.get("subject") or "person")

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source the policy or one of its items cites."""
        return tuple(dict.fromkeys(_sources(self.body)))

    @property
    def status(self) -> str:
        """enforced or off."""
        return str(self.body.get("status") or "enforced")

    @property
    def required(self) -> list[str]:
        """Where a value is still REQUIRED, as paths into the policy."""
        return list(_required(self.body, ""))

    def in_force(self, day: date) -> bool:
        """Whether the policy is in force on a day."""
        start, end = self.body.get("effective"), self.body.get("until")
        return (start is None or start <= day) and (end is None or day < end)


def _sources(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in ("source", "covers"):
                yield from (
                    str(text) for text in (item if isinstance(item, list) else [item]) if text is not None
                )
            else:
                yield from _sources(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sources(item)


def _required(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key not in ("about", "note", "why", "say", "source"):
                yield from _required(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _required(item, f"{path}[{at}]")
    elif isinstance(value, str) and _REQUIRED.search(value):
        yield path


@dataclass
class Pack:
    """A folder of policies and scenarios with all it inherits (规则包)."""

    name: str
    title: str
    folder: Path
    head: Mapping
    parents: list[Pack] = field(default_factory=list)
    own: dict[str, Mapping] = field(default_factory=dict)
    scenarios: list[Mapping] = field(default_factory=list)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The core vocabulary plus the registers this pack and its parents declare."""
        vocabulary = load_vocabulary()
        for pack in self.lineage:
            declared = pack.head.get("registers")
            if declared:
                vocabulary = vocabulary.with_registers(_registers(declared, vocabulary), declared.place)
        return vocabulary

    @property
    def lineage(self) -> list[Pack]:
        """The pack and all it inherits, farthest ancestor first, each once."""
        found: list[Pack] = []
        for parent in self.parents:
            found += [pack for pack in parent.lineage if pack not in found]
        return [*found, self]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pack) and self.folder == other.folder

    def __hash__(self) -> int:
        return hash(self.folder)

    @cached_property
    def policies(self) -> dict[str, Policy]:
        """The pack's own policies, merged with the ones they extend."""
        return {name: self._merged(name, body) for name, body in self.own.items()}

    @cached_property
    def reach(self) -> dict[str, Policy]:
        """All policies that can be named here: inherited and own."""
        found: dict[str, Policy] = {}
        for pack in self.lineage:
            found.update(pack.policies)
        return found

    @cached_property
    def facts(self) -> dict[str, dict[str, str]]:
        """Shared facts by register name: core, inherited, own."""
        found = {register: dict(items) for register, items in load_vocabulary().facts.items()}
        for pack in self.lineage:
            for label, items in (pack.head.get("facts") or {}).items():
                register = self.vocabulary.find(label)
                if register is None:
                    known = [r.label for r in self.vocabulary.registers.values()]
                    raise PackError(
                        f"没有登记表“{label}”", pack.head["facts"].at(label), nearest(label, known)
                    )
                found.setdefault(register.name, {}).update(items)
        return found

    @cached_property
    def catalogues(self) -> dict[str, Mapping]:
        """Named lists: inherited and own."""
        found: dict[str, Mapping] = {}
        for pack in self.lineage:
            for name, spec in (pack.head.get("catalogues") or {}).items():
                if not isinstance(spec, Mapping):
                    holder = Mapping(pack.head["catalogues"].at(name))
                    holder["values"] = spec
                    spec = holder
                if spec.get("values") is None and spec.get("published") is not False:
                    raise PackError(f"目录“{name}”没有 values；原文未公布请写 published: false", spec.place)
                found[name] = spec
        return found

    def _merged(self, name: str, body: Mapping) -> Policy:
        parent_name = body.get("extends")
        place = body.at("policy")
        if parent_name is None:
            kind = body.get("kind")
            if kind not in KINDS:
                raise PackError(
                    f"规则“{name}”的 kind “{kind}”无效",
                    body.at("kind"),
                    nearest(str(kind), KINDS) or "、".join(KINDS),
                )
            return Policy(name, kind, body, place, self.name)
        candidates = {k: p for pack in self.lineage[:-1] for k, p in pack.policies.items()}
        if parent_name in self.own and parent_name != name:
            candidates[parent_name] = self._merged(parent_name, self.own[parent_name])
        if parent_name not in candidates:
            raise PackError(
                f"没有可以继承的规则“{parent_name}”", body.at("extends"), nearest(parent_name, candidates)
            )
        parent = candidates[parent_name]
        if body.get("kind") not in (None, parent.kind):
            raise PackError(f"kind 应与上级规则相同：{parent.kind}", body.at("kind"))
        return Policy(
            name, parent.kind, merge(parent.body, body), place, self.name, (parent.name, *parent.parents)
        )


def _registers(declared: Mapping, vocabulary: Vocabulary) -> dict[str, Any]:
    """Local registers with the short forms filled in: `subject` by label, `happened` by label."""
    result: dict[str, Any] = {}
    for label, spec in declared.items():
        if not isinstance(spec, Mapping) or not isinstance(spec.get("fields"), Mapping):
            raise PackError(f"自建登记表“{label}”要写 fields", declared.at(label))
        fields = {
            key: value if isinstance(value, Mapping) else {"type": str(value)}
            for key, value in spec["fields"].items()
        }
        subject = vocabulary.find(str(spec.get("subject", "person")))
        if subject is None:
            raise PackError(
                f"自建登记表“{label}”的 subject “{spec.get('subject')}”不存在", spec.at("subject")
            )
        filled = dict(spec)
        filled["subject"] = "" if spec.get("key") else subject.name
        if not any(str(f.get("type", "")).startswith("id") for f in fields.values()):
            fields = {"编号": {"type": "id"}, **fields}
        if not spec.get("key") and not any(
            f"ref({subject.name})" == str(f.get("type", "")) for f in fields.values()
        ):
            fields[subject.label] = {"type": f"ref({subject.name})"}
        fields = dict(sorted(fields.items(), key=lambda item: 0 if str(item[1].get("type")) == "id" else 1))
        filled["fields"] = fields
        filled.setdefault("order", spec.get("happened", ""))
        result[str(label)] = filled
    return result


def merge(parent: Mapping, child: Mapping) -> Mapping:
    """A child policy laid over its parent: it may tighten, add, and replace only where the parent allows it."""
    result = Mapping(child.place)
    if child.get("subject") is not None and child["subject"] != parent.get("subject", "person"):
        raise PackError("上级规则没有允许替换“subject”", child.at("subject"))
    for source in (parent, child):
        for key, value in source.items():
            result.places[key] = source.at(key)
            if key not in result or key in (
                "policy",
                "extends",
                "about",
                "version",
                "effective",
                "until",
                "status",
                "why",
                "note",
                "show",
                "forecast",
            ):
                result[key] = value
            elif key == "source":
                result[key] = list(dict.fromkeys([*_listed(result[key]), *_listed(value)]))
            elif key == "where":
                result[key] = Text(f"({result[key]}) and ({value})", place_of(value) or child.at(key))
            elif key == "parameters":
                result[key] = _merged_parameters(result[key], value)
            elif key in MERGED and isinstance(value, Mapping) and isinstance(result[key], Mapping):
                result[key] = _merged_items(result[key], value, key)
            elif key == "kind":
                continue
            elif result[key] != value and parent.get("replace") != "allowed":
                raise PackError(
                    f"上级规则没有允许替换“{key}”", child.at(key), "上级在规则上写 replace: allowed 才能替换"
                )
            else:
                result[key] = value
    return result


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _merged_items(parent: Mapping, child: Mapping, section: str) -> Mapping:
    result = Mapping(child.place)
    for key, value in parent.items():
        result[key], result.places[key] = value, parent.at(key)
    for key, value in child.items():
        held = parent.get(key)
        if (
            held is not None
            and not (isinstance(held, Mapping) and held.get("replace") == "allowed")
            and held != value
        ):
            raise PackError(
                f"上级规则的 {section} 中“{key}”不许替换",
                child.at(key),
                "另取名称增加一条，或由上级写 replace: allowed",
            )
        result[key], result.places[key] = value, child.at(key)
    return result


def _merged_parameters(parent: Mapping, child: Mapping) -> Mapping:
    result = Mapping(child.place)
    for key, value in parent.items():
        result[key], result.places[key] = value, parent.at(key)
    for key, value in child.items():
        new = value.get("value") if isinstance(value, Mapping) else value
        if key in parent:
            held = parent[key]
            spec = held if isinstance(held, Mapping) else {"value": held}
            old: Any = spec.get("value")
            tighten = spec.get("tighten")
            allowed = old in (REQUIRED, new) or spec.get("local") is True
            allowed = allowed or (tighten == "up" and new >= old) or (tighten == "down" and new <= old)
            if not allowed:
                way = {"up": "只能调高", "down": "只能调低"}.get(str(tighten), "不许改动")
                raise PackError(f"参数“{key}”在上级规则中是 {old}，{way}", child.at(key))
            filled = Mapping(child.at(key))
            filled.update(spec)
            filled["value"] = new
            if isinstance(value, Mapping):
                filled.update(value)
            value = filled
        result[key], result.places[key] = value, child.at(key)
    return result


def parameters(policy: Policy) -> dict[str, Mapping]:
    """The parameters of a policy, each as a mapping with `value`."""
    found: dict[str, Mapping] = {}
    for key, value in (policy.body.get("parameters") or {}).items():
        if not isinstance(value, Mapping):
            holder = Mapping(policy.body["parameters"].at(key))
            holder["value"] = value
            value = holder
        check_keys(value, PARAMETER_KEYS, f"参数“{key}”")
        found[key] = value
    return found


def check_keys(mapping: Mapping, allowed: tuple[str, ...], what: str) -> None:
    """Refuse a key that is not known, with the nearest one that is."""
    for key in mapping:
        if key not in allowed:
            if any(sign in key for sign in "()=<>"):
                raise PackError(
                    f"{what}里的“{key}”像是半个算式",
                    mapping.at(key),
                    "花括号里的算式含有逗号或冒号时要加引号，或改成分行书写",
                )
            raise PackError(
                f"{what}没有“{key}”这一项",
                mapping.at(key),
                nearest(key, allowed) or f"可用：{'、'.join(allowed)}",
            )


def packs_root() -> Path:
    """The folder of the packs shipped with Ganbu."""
    return Path(__file__).resolve().parent.parent / "packs"


def _name_of(folder: Path) -> str:
    root = packs_root()
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else folder.name


_LOADED: dict[Path, Pack] = {}


def load_pack(path: Path | str, _loading: tuple[Path, ...] = ()) -> Pack:
    """Load a pack folder or a single policy file, with everything it extends.

    A path that does not exist is looked for among the shipped packs (`national`, `zhejiang/ningbo/fenghua`).
    Raises PackError with file, line and column.
    """
    folder = Path(path)
    if not folder.exists() and (packs_root() / folder).exists():
        folder = packs_root() / folder
    if not folder.exists():
        raise PackError(f"没有规则包“{path}”", hint=nearest(str(path), [name for name, _ in shipped_packs()]))
    folder = folder.resolve()
    if folder in _loading:
        raise PackError("规则包互相继承成环：" + " → ".join(_name_of(f) for f in (*_loading, folder)))
    if folder in _LOADED and folder.is_relative_to(packs_root()):
        return _LOADED[folder]
    files = [folder] if folder.is_file() else sorted(f for f in folder.glob("*.yaml"))
    head = Mapping(Place(_shown(folder)))
    pack = Pack(_name_of(folder), _name_of(folder), folder, head)
    if not files:
        raise PackError(f"“{path}”里没有 .yaml 文件")
    for file in files:
        for document in read_file(file, _shown(file)):
            if "policy" in document:
                name = str(document["policy"])
                if name in pack.own:
                    raise PackError(
                        f"规则“{name}”重复", document.at("policy"), f"第一次在 {pack.own[name].at('policy')}"
                    )
                pack.own[name] = document
            elif "scenario" in document:
                pack.scenarios.append(document)
            elif "pack" in document:
                check_keys(document, PACK_KEYS, "包头")
                pack.head, pack.title = document, str(document["pack"])
            else:
                raise PackError("每个文档要有 pack:、policy: 或 scenario:", document.place)
    for parent in _listed(pack.head.get("extends")) if pack.head.get("extends") else []:
        try:
            base = packs_root() / parent if (packs_root() / parent).exists() else folder / parent
            pack.parents.append(load_pack(base, (*_loading, folder)))
        except PackError as error:
            if not error.place:
                raise PackError(error.message, pack.head.at("extends"), error.hint) from error
            raise
    _LOADED[folder] = pack
    return pack


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def shipped_packs() -> list[tuple[str, Path]]:
    """Name and folder of every shipped pack."""
    root = packs_root()
    return [(str(file.parent.relative_to(root)), file.parent) for file in sorted(root.rglob("pack.yaml"))]


def value_text(value: Any) -> str:
    """A value of a pack as a person would write it."""
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}" if value.denominator != 1 else str(value.numerator)
    return "、".join(str(v) for v in value) if isinstance(value, (list, Sequence)) else str(value)
