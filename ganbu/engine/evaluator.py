"""Lowering the policies of a pack for one day (编译): each becomes outputs over its subject's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from ganbu.engine.bind import Program
from ganbu.engine.grounds import grounds
from ganbu.engine.kinds import LOWER, Context, Lowered
from ganbu.engine.kinds.base import OUTSIDE, leaves
from ganbu.engine.policy import Pack, Policy
from ganbu.engine.tree import (
    BOOL,
    DATE,
    NUM,
    TEXT,
    TRUE,
    Const,
    Fact,
    Field,
    Node,
    Op,
    Row,
    Type,
    both,
    choose,
    either,
    holds,
    missing,
    negate,
    text,
)
from ganbu.errors import OpenValueError, PackError, nearest
from ganbu.vocabulary import Field as FieldSpec
from ganbu.vocabulary import Register, Vocabulary

WORD = 60  # conditions per mask column: they must fit 64 bits
EFFECT = ("编号", "对象", "种类", "成立", "起始日", "截止日", "生效中")
REASONS = ("依据", "缺少", "不能排除")


@dataclass
class Output:
    """One result column: its node, where it is stored, and its labels when it is a mask."""

    label: str
    node: Node
    fact: str
    labels: tuple[str, ...] = ()
    offset: int = 0


@dataclass
class Judged:
    """A policy made ready for a run: lowered, with its output columns."""

    policy: Policy
    register: Register
    lowered: Lowered
    context: Context
    outputs: list[Output] = field(default_factory=list)
    columns: dict[str, Node] = field(default_factory=dict)

    @property
    def shown_register(self) -> str:
        """The register whose rows are shown: the subject, or the effects a consequence makes."""
        return self.policy.name if self.lowered.layout == "effects" else self.register.name

    @cached_property
    def outcome(self) -> Node:
        """What the policy says of a row."""
        return Fact(Row(self.register.name), f"{self.policy.name}.结果", TEXT)

    @cached_property
    def inside(self) -> Node:
        """Whether the policy is about the row at all."""
        return Op("compare", (self.outcome, text(OUTSIDE)), BOOL, ("!=",))


def _effect_register(policy: Policy, vocabulary: Vocabulary) -> Register:
    owner = vocabulary.find(policy.subject)
    if owner is None:
        raise PackError(f"规则“{policy.name}”的 subject “{policy.subject}”不是登记表", policy.place)
    if owner.name in ("person", "unit", "team"):
        target = owner
    else:
        target = next(
            (vocabulary.registers[t] for t in ("person", "unit", "team") if owner.links_to(t)), owner
        )
    fields = {
        "编号": FieldSpec("编号", "编号", "id"),
        "对象": FieldSpec("对象", target.label, "ref", target.name),
        "种类": FieldSpec("种类", "种类", "text"),
        "起始日": FieldSpec("起始日", "起始日", "date"),
        "截止日": FieldSpec("截止日", "截止日", "date"),
        "生效中": FieldSpec("生效中", "生效中", "bool"),
        "成立": FieldSpec("成立", "成立", "bool"),
    }
    return Register(
        policy.name,
        policy.name,
        fields,
        subject=target.name,
        happened="起始日",
        ended=("截止日",),
        order="起始日",
        local=True,
    )


class Evaluator:
    """Lowers the policies of one pack for one day; each is lowered when first asked for."""

    def __init__(
        self,
        pack: Pack,
        as_of: date,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        checking: bool = False,
    ) -> None:
        self.pack, self.overrides, self.checking = pack, overrides or {}, checking
        effects = {
            p.name: _effect_register(p, pack.vocabulary)
            for p in pack.reach.values()
            if p.kind == "consequence"
        }
        vocabulary = replace(pack.vocabulary, registers={**pack.vocabulary.registers, **effects})
        self.program = Program(
            vocabulary, as_of, shared={key: dict(value) for key, value in pack.facts.items()}, catalogues=dict(pack.catalogues),
            outputs=self._output, virtual=self._virtual,
        )  # fmt: skip
        self.judged: dict[str, Judged] = {}
        self.virtual: dict[str, list[tuple[str, str]]] = {}
        self._lowering: list[str] = []
        self._wanted: dict[Any, dict[str, list[Node]]] = {}

    def judge(self, policy_name: str) -> Judged:
        """Lower a policy once. Raises PackError; policies that read each other in a circle are refused."""
        if policy_name in self.judged:
            return self.judged[policy_name]
        if policy_name not in self.pack.reach:
            raise PackError(f"没有规则“{policy_name}”", hint=nearest(policy_name, self.pack.reach))
        policy = self.pack.reach[policy_name]
        if policy_name in self._lowering:
            path = " → ".join([*self._lowering[self._lowering.index(policy_name) :], policy_name])
            raise PackError(f"规则互相引用成环：{path}", policy.place)
        self._lowering.append(policy_name)
        try:
            context = Context(self.program, policy, dict(self.overrides.get(policy_name, {})), self.checking)
            lowered = LOWER[policy.kind](context)
            judged = Judged(policy, context.register, lowered, context)
            self._outputs(judged)
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
            # What an author can write wrongly in so many ways is said once, at the policy, instead of a traceback.
            raise PackError(
                f"规则“{policy_name}”有一项写法不对：{error}",
                policy.place,
                f"请对照 {policy.kind} 规则的写法检查每一项的类型",
            ) from error
        except RecursionError as error:
            raise PackError(
                f"规则“{policy_name}”的表达式太长或套得太深", policy.place, "请拆成几个事实"
            ) from error
        finally:
            self._lowering.pop()
        self.judged[policy_name] = judged
        return judged

    def reads(self, policy_name: str) -> frozenset[str]:
        """The registers that a policy's results rest on, whatever way they reach it (所依据的登记表)."""
        judged = self.judge(policy_name)
        register, nodes = judged.shown_register, self.columns(judged).values()
        found = (grounds(self.program, self.virtual, register, node) for node in nodes)
        return frozenset({judged.register.name}.union(*found) - self.virtual.keys())

    def _virtual(self, policy_name: str) -> Register | None:
        policy = self.pack.reach.get(policy_name)
        if policy is None or policy.kind != "consequence":
            return None
        self.judge(policy_name)
        return self.program.vocabulary.registers[policy_name]

    def _output(self, policy_name: str, column: str) -> tuple[str, Type] | None:
        if policy_name not in self.pack.reach:
            return None
        policy = self.pack.reach[policy_name]
        if policy.kind != "consequence" and not self.checking and not policy.in_force(self.program.as_of):
            raise OpenValueError(
                f"规则“{policy_name}”在 {self.program.as_of} 不在有效期内，引用它的规则当日不能评估",
                policy.place,
            )
        judged = self.judge(policy_name)
        register = judged.register.name
        fact = f"{policy_name}.{column}"
        if (register, fact) in self.program.definitions:
            return register, self.program.definitions[register, fact].type
        if column in judged.context.facts:
            node = judged.context._local(column)
            assert node is not None
            self.program.set(register, fact, node, column)
            return register, node.type
        raise KeyError([*(o.label for o in judged.outputs), *judged.context.facts])

    def _set(
        self,
        judged: Judged,
        label: str,
        node: Node,
        labels: tuple[str, ...] = (),
        suffix: str = "",
        offset: int = 0,
    ) -> None:
        fact = f"{judged.policy.name}.{label}{suffix}"
        taken = {output.label for output in judged.outputs if not output.labels}
        if not suffix and (label in taken or label in ("对象", "名称", *REASONS)):
            raise PackError(
                f"规则“{judged.policy.name}”的结果里已有“{label}”这一列", judged.policy.place, "请换一个名称"
            )
        self.program.set(judged.register.name, fact, node, label)
        judged.outputs.append(Output(label, node, fact, labels, offset))

    def _masks(self, judged: Judged, label: str, items: list[tuple[str, Node]]) -> None:
        for start in range(0, len(items), WORD):
            chunk = items[start : start + WORD]
            node = Op("mask", tuple(condition for _, condition in chunk), NUM)
            self._set(judged, label, node, tuple(word for word, _ in chunk), f"#{start // WORD}", start)

    def _outputs(self, judged: Judged) -> None:
        lowered, register, context = judged.lowered, judged.register.name, judged.context
        policy = judged.policy.name
        if lowered.layout == "effects":
            self.virtual[policy] = []
            for effect, _, columns in lowered.effects:
                for key, node in columns.items():
                    suffix = "" if key == "成立" else f"·{key}"
                    self.program.set(register, f"{policy}.{effect}{suffix}", node, effect)
                self.virtual[policy].append((register, f"{policy}.{effect}"))
            return
        self._set(judged, "结果", lowered.outcome)
        if lowered.layout == "groups":
            for at, (label, columns, _) in enumerate(lowered.parts):
                for key, node in columns.items():
                    self._set(judged, f"{label}·{key}", node, (), f"·{at}")
        else:
            value, due = lowered.value, lowered.due
            if value is not None:
                if context.where != TRUE and judged.policy.kind not in ("score", "index"):
                    # Those the policy is not about have no value either.
                    value = choose((holds(context.where), value), default=Const(None, NUM))
                self._set(judged, "数值", value)
            if due is not None and not (isinstance(due, Const) and due.value is None):
                self._set(judged, "期限", due)
            for label, node in lowered.extras.items():
                self._set(judged, label, node)
            for shown in dict.fromkeys(judged.policy.body.get("show") or ()):
                if str(shown) not in {output.label for output in judged.outputs}:
                    self._set(judged, str(shown), context.any(shown))
            self._masks(judged, "依据", lowered.grounds)
            self._masks(judged, "不能排除", lowered.doubts)
        self._masks(judged, "缺少", self._missing(register, lowered))

    def _missing(self, register: str, lowered: Lowered) -> list[tuple[str, Node]]:
        """Each fact that is missing from a condition that could therefore not be decided."""
        found: dict[str, list[Node]] = {}
        for condition in lowered.asked:
            if isinstance(condition, Const):
                continue
            for leaf, label in leaves(self.program, register, condition).items():
                gone: Node = missing(leaf)
                if isinstance(leaf, Op) and leaf.type.kind == "bool":
                    gone = Const(True, BOOL)
                elif isinstance(leaf, Op):
                    # A ratio is named only where it is the reason itself (of nothing), not what it is made of.
                    gone = both(gone, *(negate(missing(arg)) for arg in leaf.args))
                found.setdefault(label, []).append(both(missing(condition), gone))
        return [(label, either(*conditions)) for label, conditions in found.items()]

    def wanted(
        self, policies: Iterable[str], more: Mapping[str, Iterable[str]] | None = None
    ) -> dict[str, list[Node]]:
        """By register, everything these policies show; `more` asks for further facts. Asked again, the same object."""
        names = tuple(policies)
        asked = (names, tuple((register, tuple(facts)) for register, facts in (more or {}).items()))
        if asked in self._wanted:
            return self._wanted[asked]
        found: dict[str, list[Node]] = {}
        self._wanted = {asked: found}
        for policy_name in names:
            judged = self.judge(policy_name)
            found.setdefault(judged.shown_register, []).extend(self.columns(judged).values())
        for register, facts in (more or {}).items():
            found.setdefault(register, []).extend(
                Fact(Row(register), fact, self.program.definitions[register, fact].type) for fact in facts
            )
        return found

    def columns(self, judged: Judged) -> dict[str, Node]:
        """The result columns of a policy by name: identity, what it is called, groups (`组:…`) and outputs (`#n`)."""
        if not judged.columns:
            judged.columns = self._columns(judged)
        return judged.columns

    def _columns(self, judged: Judged) -> dict[str, Node]:
        vocabulary, register = self.program.vocabulary, judged.register
        if judged.lowered.layout == "effects":
            policy = judged.policy.name
            effects = vocabulary.registers[policy]
            kinds = {"起始日": DATE, "截止日": DATE, "生效中": BOOL, "成立": BOOL}
            nodes: dict[str, Node] = {key: Field(Row(policy), key, kinds.get(key, TEXT)) for key in EFFECT}
            nodes["名称"] = display(vocabulary, effects)
            return nodes
        nodes = {
            "对象": Field(Row(register.name), register.id_field, TEXT),
            "名称": display(vocabulary, register),
        }
        nodes.update({f"组:{label}": node for label, node in judged.lowered.groups})
        for at, output in enumerate(judged.outputs):
            nodes[f"#{at}"] = Fact(Row(register.name), output.fact, output.node.type)
        return nodes


def display(vocabulary: Vocabulary, register: Register) -> Node:
    """What to call a row: its own name, or that of the person, unit or team it is about."""
    if register.name_field:
        return Field(Row(register.name), register.name_field, TEXT)
    for target in (register.subject, "person", "unit", "team"):
        links = register.links_to(target) if target else []
        held = vocabulary.registers.get(target)
        if links and held is not None and held.name_field:
            return Field(Row(target, Row(register.name), links[0].name), held.name_field, TEXT)
    return Field(Row(register.name), register.id_field, TEXT)
