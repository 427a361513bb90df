"""Template tags of Ganbu (模板标签): showing values of the record, addresses that keep their query."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ganbu.access.roles import Purpose, purposes, roles
from ganbu.dates import PartialDate
from ganbu.engine.explain import shown as explained
from ganbu.records.local import vocabulary
from ganbu.vocabulary import Field, Register
from ganbu.vocabulary.english import english_name

register = template.Library()


def english() -> bool:
    """Whether the page is in English."""
    return (get_language() or "").startswith("en")


@register.filter
def label(item: Field | Register | str) -> str:
    """The name of a field or register, or what only its Chinese name is known of, in the language of the page."""
    if english():
        return english_name(item)
    return item if isinstance(item, str) else item.label


@register.filter
def role(name: str) -> str:
    """The name of a role."""
    known = roles().get(name) or next((one for one in roles().values() if one.label == name), None)
    return name if known is None else known.called


@register.filter
def purpose(one: Purpose | str) -> str:
    """The name of a purpose in the language of the page."""
    known = purposes().get(one) if isinstance(one, str) else one
    return str(one) if known is None else known.english if english() else known.label


@register.filter
def audit_action(name: str) -> str:
    """An audit action in words."""
    return _(AUDIT.get(name, name))


AUDIT = {
    "login": "登录", "logout": "退出", "login.refused": "登录被拒", "login.second": "二次验证", "login.second.refused": "二次验证被拒",
    "login.spare": "用备用码登录", "refused": "越权被拒", "account.create": "建立账号", "account.enable": "启用账号",
    "account.disable": "停用账号", "account.password": "更改密码", "account.factor.forget": "重设二次验证", "grant.give": "授予角色",
    "grant.take": "收回授权", "audit.verify": "核验审计链", "record.load": "载入档案", "record.import": "导入", "record.edit": "更正",
    "record.add": "新增", "record.end": "作废", "record.undo": "撤销", "record.merge": "合并人员", "record.request": "按申请更正",
    "record.file": "档案审核与收转", "read.sensitive": "查看敏感登记表", "read.reveal": "查看原值", "export": "导出", "print": "打印",
    "packs.adopt": "采用规则包", "keys.rotate": "更换密钥", "evaluate": "评估", "query": "查询", "import.upload": "上传文件",
    "export.fetch": "取走导出文件", "request.make": "申请更正", "request.granted": "同意更正申请", "request.refused": "退回更正申请",
    "account.confirm": "恢复授权", "people.follow": "账号和申请随合并的人", "backup": "备份", "restore": "恢复",
}  # fmt: skip


@register.simple_tag
def audit_actions() -> list[tuple[str, str]]:
    """The actions to choose from."""
    return [(name, _(told)) for name, told in AUDIT.items()]


@register.filter
def audit_key(name: str) -> str:
    """What a detail of an audit entry is, in words."""
    return _(AUDIT_KEYS.get(name, name))


AUDIT_KEYS = {
    "registers": "登记表", "register": "登记表", "condition": "条件", "found": "人数", "kind": "种类", "rows": "条数", "field": "项目",
    "reason": "理由", "change": "变更", "digest": "指纹", "title": "文件", "files": "个数", "method": "方式", "wanted": "所需权限",
    "request": "更正申请", "answer": "答复", "role": "角色", "unit": "机构", "managements": "管理类别", "until": "至", "number": "身份证号",
    "family": "家庭成员", "run": "评估", "as_of": "基准日", "known_at": "按哪天所知", "findings": "规则结论", "down": "行", "across": "列", "name": "姓名",
}  # fmt: skip


@register.filter
def audit_value(value: Any, key: str) -> str:
    """A detail of an audit entry: registers by their names, lists and counts without brackets."""
    known = vocabulary().registers

    def named(one: Any) -> str:
        return label(known[one]) if one in known else shown(one)

    if isinstance(value, dict):
        return _("、").join(f"{named(one)} {count}" for one, count in value.items())
    if isinstance(value, list):
        return _("、").join(named(one) for one in value)
    return role(value) if key == "role" else named(value) if key in ("register", "field") else shown(value)


@register.filter
def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("是") if value else _("否")
    if isinstance(value, PartialDate):
        return value.iso()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


@register.filter
def told(value: Any) -> str:
    """A value of the engine as people read it."""
    return explained(value)


STATES = {
    "waiting": "等待读取", "reading": "正在读取", "ready": "待确认", "apply": "等待登记", "applying": "正在登记", "applied": "已登记",
    "undone": "已撤销", "failed": "未能完成", "dropped": "已放弃",
}  # fmt: skip
ITEM_STATES = {
    "new": "新人", "changed": "有更新", "same": "无变化", "unsure": "认不准是谁", "unreadable": "读不了", "skipped": "不导入",
}  # fmt: skip
CHANGES = {
    "load": "载入", "import": "导入", "edit": "更正", "add": "新增", "end": "作废", "undo": "撤销", "merge": "合并", "request": "按申请更正",
    "file": "档案", "restore": "恢复",
}  # fmt: skip
SEVERITIES = {"error": "错误", "warning": "提醒", "note": "说明"}
REQUESTS = {"open": "待办", "granted": "已同意", "refused": "已退回"}


@register.filter
def state(name: str) -> str:
    """The state of an import batch in words."""
    return _(STATES.get(name, name))


@register.filter
def item_state(name: str) -> str:
    """What an import item does, in words."""
    return _(ITEM_STATES.get(name, name))


@register.filter
def change_kind(name: str) -> str:
    """The kind of a change in words."""
    return _(CHANGES.get(name, name))


@register.filter
def severity(name: str) -> str:
    """How grave an issue is."""
    return _(SEVERITIES.get(name, name))


@register.filter
def request_state(name: str) -> str:
    """The state of a request in words."""
    return _(REQUESTS.get(name, name))


ALIKE = ("身份证号相同", "姓名、性别、出生年月相同")


@register.filter
def alike_why(text: str) -> str:
    """Why people are probably one, which `records.people.alike` says in Chinese."""
    return _(text) if text in ALIKE else text


FILE_VIEWS = {"due": "在审", "issues": "档案问题", "materials": "收转待办", "closed": "已审结"}


@register.filter
def file_view(name: str) -> str:
    """A part of the file work, in words."""
    return _(FILE_VIEWS[name])


@register.filter
def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


@register.filter
def add_px(number: float, more: int) -> float:
    """A coordinate moved."""
    return number + more


@register.filter
def get(mapping: dict[Any, Any], key: Any) -> Any:
    """A value by key."""
    return mapping.get(key)


@register.simple_tag(takes_context=True)
def querystring_with(context: dict[str, Any], **changes: Any) -> str:
    """The query of the page with some values changed."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        query[name] = value
        if value == "":
            del query[name]
    return str(query.urlencode())


@register.simple_tag(takes_context=True)
def kept(context: dict[str, Any], but: str) -> str:
    """What the page was asked for except some of it, as hidden fields of a form that asks for the page again."""
    asked = context["request"].GET
    told = [(name, value) for name in asked if name not in but.split() for value in asked.getlist(name)]
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', told)
