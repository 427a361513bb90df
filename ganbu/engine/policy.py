"""Policies and packs as written (规则与规则包): loading, inheritance, and what each says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
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
    inherited: frozenset[str] = frozenset()

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
    words: Vocabulary | None = None
    # What was made of the pack for a day: rules do not change between two runs of one process.
    ready: dict[date, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The core vocabulary, or `words`, plus the registers this pack and its parents declare."""
        vocabulary = self.words or load_vocabulary()
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
            for name, policy in pack.policies.items():
                held = found.get(name)
                if (
                    held is not None
                    and held.pack in {p.name for p in pack.lineage[:-1]}
                    and name not in policy.parents
                ):
                    raise PackError(
                        f"规则“{name}”与上级规则包“{held.pack}”的规则同名", policy.place,
                        f"要修改它请写 extends: {name}；是另一条规则请换一个名称",
                    )  # fmt: skip
                found[name] = policy
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

    def _merged(self, name: str, body: Mapping, below: tuple[str, ...] = ()) -> Policy:
        if name in below:
            raise PackError(f"规则互相继承成环：{' → '.join((*below, name))}", body.at("extends"))
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
            candidates[parent_name] = self._merged(parent_name, self.own[parent_name], (*below, name))
        if parent_name not in candidates:
            raise PackError(
                f"没有可以继承的规则“{parent_name}”", body.at("extends"), nearest(parent_name, candidates)
            )
        parent = candidates[parent_name]
        if body.get("kind") not in (None, parent.kind):
            raise PackError(f"kind 应与上级规则相同：{parent.kind}", body.at("kind"))
        names = {*(parent.body.get("facts") or ()), *parent.inherited}
        for items in (parent.body.get("define") or {}).values():
            names |= set(items)
        merged = merge(parent.body, body)
        return Policy(
            name, parent.kind, merged, place, self.name, (parent.name, *parent.parents), frozenset(names)
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


DESCRIPTIVE = ("policy", "extends", "about", "version", "effective", "note", "show", "forecast", "why")
ADDABLE = (
    *DESCRIPTIVE,
    *MERGED,
    "kind",
    "where",
    "parameters",
    "source",
    "subject",
    "accumulate",
    "status",
    "until",
)


def merge(parent: Mapping, child: Mapping) -> Mapping:
    """A child policy laid over its parent: it may tighten, add, and replace only where the parent allows it."""
    result = Mapping(child.place)
    free = parent.get("replace") == "allowed"
    for key, value in child.items():
        if key not in parent and key not in ADDABLE and not free:
            raise PackError(
                f"上级规则没有“{key}”，下级加上它会改变结果",
                child.at(key),
                "上级在规则上写 replace: allowed 才能增加",
            )
        loosens = (key == "status" and value == "off" and parent.get("status") != "off") or (
            key == "until" and (parent.get("until") is None or value < parent["until"])
        )
        if loosens and not free:
            raise PackError(
                f"下级不能用“{key}”停用上级规则", child.at(key), "上级在规则上写 replace: allowed 才可以"
            )
    if child.get("subject") is not None and child["subject"] != parent.get("subject", "person"):
        raise PackError("上级规则没有允许替换“subject”", child.at("subject"))
    for source in (parent, child):
        for key, value in source.items():
            result.places[key] = source.at(key)
            if key not in result or key in (*DESCRIPTIVE, "until", "status"):
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
    if section == "levels":
        # Levels stand from the heaviest down; what a lower rule adds is heavier unless it says below which it stands.
        for key, value in child.items():
            if key not in parent and not (isinstance(value, Mapping) and value.get("below")):
                result[key], result.places[key] = value, child.at(key)
    for key, value in parent.items():
        result[key], result.places[key] = value, parent.at(key)
        for name, item in child.items() if section == "levels" else ():
            if isinstance(item, Mapping) and item.get("below") == key:
                plain = Mapping(item.place)
                plain.update({k: v for k, v in item.items() if k != "below"})
                plain.places.update(item.places)
                result[name], result.places[name] = plain, child.at(name)
    for key, value in child.items():
        held = parent.get(key)
        if section == "levels" and key not in parent:
            if key not in result:
                raise PackError(
                    f"等级“{key}”的 below 不是上级规则的等级",
                    child.at(key),
                    nearest(str(value.get("below")), parent),
                )
            continue
        if section == "define" and isinstance(held, Mapping) and isinstance(value, Mapping):
            result[key], result.places[key] = _merged_items(held, value, key), child.at(key)
            continue
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
            if not allowed and tighten in ("up", "down"):
                one, two = _amount(old), _amount(new)
                if one is None or two is None:
                    raise PackError(f"参数“{key}”的值“{new}”与上级的“{old}”不能比较大小", child.at(key))
                allowed = two >= one if tighten == "up" else two <= one
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


def _amount(value: Any) -> Any:
    """A value that can be compared: a number (percents too) or a date."""
    if isinstance(value, str):
        try:
            text = value.strip()
            return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
        except (ValueError, ZeroDivisionError):
            return None
    return value if isinstance(value, (int, Fraction, date)) and not isinstance(value, bool) else None


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


_MAPPINGS = (
    *MERGED,
    "parameters",
    "automatic",
    "counts",
    "last",
    "shares",
    "accumulate",
    "outcomes",
    "min_group",
    "fulfilled_by",
    "bands",
    "total",
)
_LISTS = ("groups", "show", "then", "rules")
_DATES = ("effective", "until")
_BAD_NAME = re.compile(r"['\"\n\r\t./]")


def check_shape(policy: Mapping, name: str) -> None:
    """Refuse what cannot be a policy at all: sections of the wrong type, names that expressions could not cite."""
    if not name.strip() or _BAD_NAME.search(name):
        raise PackError(f"规则名“{name}”里不能有引号、句点、斜杠或换行", policy.at("policy"))
    for key in _MAPPINGS:
        value = policy.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise PackError(f"规则“{name}”的 {key}: 应是“名称: 内容”的映射", policy.at(key))
    for key in _LISTS:
        value = policy.get(key)
        if value is not None and not isinstance(value, list):
            raise PackError(f"规则“{name}”的 {key}: 应是列表 […]", policy.at(key))
    for key in _DATES:
        value = policy.get(key)
        if value is not None and type(value) is not date:
            raise PackError(f"规则“{name}”的 {key}: 应是日期，如 2024-01-01", policy.at(key))
    for register, items in (policy.get("define") or {}).items():
        if not isinstance(items, Mapping):
            raise PackError(f"define 的“{register}”应是“事实: 表达式”", policy["define"].at(register))
    extends = policy.get("extends")
    if extends is not None and not isinstance(extends, str):
        raise PackError(f"规则“{name}”的 extends: 应是一条规则的名称", policy.at("extends"))


def packs_root() -> Path:
    """The folder of the packs shipped with Ganbu."""
    return Path(__file__).resolve().parent.parent / "packs"


def _name_of(folder: Path) -> str:
    root = packs_root()
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else folder.name


_POLICY = re.compile(r"^\{?policy:\s*([^,}#\n]+)", re.M)  # the first line of a policy
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
                check_shape(document, name)
                if name in pack.own:
                    raise PackError(
                        f"规则“{name}”重复", document.at("policy"), f"第一次在 {pack.own[name].at('policy')}"
                    )
                pack.own[name] = document
            elif "scenario" in document:
                pack.scenarios.append(document)
            elif "pack" in document:
                check_keys(document, PACK_KEYS, "包头")
                for key in ("registers", "catalogues", "facts"):
                    if document.get(key) is not None and not isinstance(document[key], Mapping):
                        raise PackError(f"包头的 {key}: 应是“名称: 内容”的映射", document.at(key))
                for register, items in (document.get("facts") or {}).items():
                    if not isinstance(items, Mapping) or not all(isinstance(v, str) for v in items.values()):
                        raise PackError(
                            f"包头 facts 的“{register}”应是“事实: 表达式”", document["facts"].at(register)
                        )
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


def words_of(packs: Iterable[str | Path]) -> Vocabulary:
    """The core vocabulary with the registers that some packs declare. Raises PackError."""
    words = load_vocabulary()
    merged = dict(words.registers)
    for name in packs:
        merged |= {n: r for n, r in load_pack(name).vocabulary.registers.items() if r.local}
    return replace(words, registers=merged)


def shipped_policies() -> dict[str, list[Path]]:
    """The policies of the shipped packs by name, and the folders that have one of that name; none is loaded for it."""
    found: dict[str, list[Path]] = {}
    for _name, folder in shipped_packs():
        text = "\n".join(file.read_text("utf-8-sig") for file in sorted(folder.glob("*.yaml")))
        for policy in dict.fromkeys(_POLICY.findall(text)):
            found.setdefault(policy.strip("\"' "), []).append(folder)
    return found


def value_text(value: Any) -> str:
    """A value of a pack as a person would write it."""
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}" if value.denominator != 1 else str(value.numerator)
    return "、".join(str(v) for v in value) if isinstance(value, (list, Sequence)) else str(value)
