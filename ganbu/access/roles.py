"""Roles (角色) are rows of `roles.yaml`: what each may do, and which sensitive registers it may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import yaml
from django.utils.translation import get_language

from ganbu.vocabulary import Register


@dataclass(frozen=True)
class Role:
    """A role: `single` ones are the three administrators, who hold nothing else; `own` ones are about oneself only."""

    name: str
    label: str
    english: str
    actions: frozenset[str]
    sensitive: frozenset[str]
    writes: frozenset[str]
    single: bool = False
    own: bool = False

    @property
    def called(self) -> str:
        """Its name in the language of the page."""
        return self.english if (get_language() or "").startswith("en") else self.label

    def restricted(self, purpose: str) -> Role:
        """The role as far as a purpose goes; all of it where none is told, nothing for one that is not known."""
        if not purpose:
            return self
        known = purposes().get(purpose)
        return replace(self, actions=self.actions & known.actions if known else frozenset())

    def sees(self, register: str) -> bool:
        """Whether it may see that sensitive register."""
        return "*" in self.sensitive or register in self.sensitive

    def fills(self, register: Register) -> bool:
        """Whether it is among those who fill in a declared register; one that names nobody is filled in by all."""
        return not register.writers or self.name in register.writers or self.label in register.writers

    def changes(self, register: str) -> bool:
        """Whether it may change that register."""
        return "*" in self.writes or register in self.writes


@cache
def roles() -> dict[str, Role]:
    """All roles by name."""
    told = yaml.safe_load(files("ganbu.access").joinpath("roles.yaml").read_text("utf-8"))
    return {
        name: Role(
            name, spec["label"], spec["english"], frozenset(spec["actions"]), frozenset(spec["sensitive"]),
            frozenset(spec["writes"]), bool(spec.get("single")), "own.read" in spec["actions"],
        )
        for name, spec in told.items()
    }  # fmt: skip


@dataclass(frozen=True)
class Purpose:
    """What a grant is for (用途): only these of the role's actions are given by it."""

    label: str
    english: str
    actions: frozenset[str]


@cache
def purposes() -> dict[str, Purpose]:
    """All purposes by their Chinese name, which is what a grant keeps."""
    told = yaml.safe_load(files("ganbu.access").joinpath("purposes.yaml").read_text("utf-8"))
    return {name: Purpose(name, of["english"], frozenset(of["actions"])) for name, of in told.items()}


ACTIONS = {
    "people.read": "看人员档案",
    "people.find": "按姓名查找",
    "people.query": "按条件查询、统计",
    "people.write": "登记、更正",
    "people.merge": "合并重复人员",
    "people.import": "导入、撤销导入",
    "people.print": "打印任免审批表",
    "people.export": "导出名册和数据",
    "people.reveal": "说明理由后查看证件号码、电话等原值",
    "units.read": "看机构",
    "units.write": "改机构、职位、班子",
    "teams.read": "看班子",
    "requests.make": "申请更正",
    "requests.decide": "审批更正申请",
    "registers.write": "填报自建登记表",
    "rules.read": "看规则结论",
    "files.read": "看档案审核",
    "files.send": "送交档案材料",
    "files.review": "审核档案",
    "files.keep": "登记档案材料收转",
    "own.read": "看本人档案",
    "accounts.manage": "管理账号",
    "grants.manage": "授予角色和范围",
    "audit.read": "看审计记录",
}
