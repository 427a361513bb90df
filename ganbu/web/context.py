"""What the layout needs on every page (布局): the navigation of whoever is signed in."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from ganbu.access.perms import rights

DEMO_PASSWORD = "ganbu-demo"  # noqa: S105 - printed by `make demo`, and only the demonstration has it
DEMO_ACCOUNTS = (
    ("ganbuke", "干部科"), ("jianduke", "监督科"), ("danganshi", "档案室"), ("fuheyuan", "档案室复核员"), ("lianluoyuan", "单位联络员"),
    ("lingdao", "领导"), ("benren", "干部本人"), ("xitong", "系统管理员"), ("anquan", "安全保密管理员"), ("shenji", "安全审计员"),
)  # fmt: skip


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The pages somebody may open."""
    told = [
        ("people", _("人员"), ("people.find",)),
        ("units", _("机构"), ("units.read",)),
        ("teams", _("班子"), ("teams.read",)),
        ("query", _("查询"), ("people.query",)),
        ("files", _("档案"), ("files.read",)),
        ("findings", _("规则结论"), ("rules.read",)),
        ("imports", _("导入"), ("people.import",)),
        ("registers", _("填报"), ("registers.write",)),
        ("requests", _("更正申请"), ("requests.make", "requests.decide")),
        ("own", _("我的档案"), ("own.read",)),
        ("accounts", _("账号管理"), ("accounts.manage",)),
        ("grants", _("授权"), ("grants.manage",)),
        ("audit", _("审计"), ("audit.read",)),
    ]
    may = rights(request).may
    shown = []
    for name, label, actions in told:
        if name == "imports" and not rights(request).scope("people.import").everybody:
            continue
        if any(may(action) for action in actions):
            url = reverse(name)
            shown.append({"url": url, "label": label, "here": request.path.startswith(url)})
    return shown


def layout(request: HttpRequest) -> dict[str, Any]:
    """Navigation, whether this is the demonstration, the version."""
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    return {
        "user": getattr(request, "user", None),
        "navigation": navigation(request) if signed_in else [],
        "demo": settings.DEMO,
        "demo_accounts": DEMO_ACCOUNTS if settings.DEMO and not signed_in else (),
        "version": version("ganbu"),
        "rights": rights(request) if signed_in else None,
    }
