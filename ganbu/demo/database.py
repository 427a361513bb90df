"""The demonstration in the database (演示数据库): the district with its history, an import made on the web, demo accounts."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

from rich.console import Console

from ganbu.web import setup

PACKS = ["national", "demo", "registers"]
ROLES = {
    "ganbuke": "cadre_section", "jianduke": "supervision", "danganshi": "file_room", "lianluoyuan": "unit_contact",
    "lingdao": "leader", "benren": "cadre", "xitong": "system_admin", "anquan": "security_admin", "shenji": "audit_admin",
}  # fmt: skip


def fill(folder: Path, base: Path, console: Console) -> None:
    """Make the database in `folder`: the records in `base`, then the lrmx files as an import batch, then accounts.

    The accounts have the one password of the demonstration, printed when it is served.
    """
    setup.start(folder)
    from ganbu.access.current import acting
    from ganbu.access.models import Account
    from ganbu.engine.records import Records
    from ganbu.findings.services import run_adopted
    from ganbu.records import batches, writing
    from ganbu.records.local import adopt

    setup.migrate()
    with acting(name="演示"):
        console.print("[dim]建立数据库、账号，评估采用的规则包…[/]", highlight=False)
        adopt(PACKS)
        writing.load(Records.open(base), reason="演示数据", origin="演示数据")
        _accounts()
        with acting(Account.objects.get(username="ganbuke")):
            batch = batches.open_batch(
                Account.objects.get(username="ganbuke"), "任免审批表 lrmx", folder / "lrmx"
            )
            batches.read(batch)
            batches.apply(batch)
        run_adopted(date.today())
    _damaged(folder)


def _accounts() -> None:
    from ganbu.access.services import create_account, grant
    from ganbu.records.models import Card, UnitNode
    from ganbu.web.context import DEMO_ACCOUNTS, DEMO_PASSWORD

    person = Card.objects.exclude(node=None).order_by("place").values_list("pk", flat=True).first() or ""
    unit = (
        UnitNode.objects.filter(depth=1, people_under__gt=0)
        .order_by("place")
        .values_list("unit", flat=True)
        .first()
    )
    for username, label in DEMO_ACCOUNTS:
        own = person if username == "benren" else ""
        account = create_account(username, label, DEMO_PASSWORD, own, must_change=False, checked=False)
        grant(account, ROLES[username], unit or "" if username == "lianluoyuan" else "")


def _damaged(folder: Path) -> None:
    """A zip to try the import with: some files sound, one cut short, one that is no form, one with a wrong date."""
    files = sorted((folder / "lrmx").glob("*.lrmx"))[:12]
    with zipfile.ZipFile(folder / "试导入.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for at, path in enumerate(files):
            content = path.read_bytes()
            if at == 3:
                content = content[: len(content) // 2]
            elif at == 5:
                content = b"<html>not a form</html>"
            elif at == 7:
                text = content.decode("utf-8-sig")
                start = text.index("<ChuShengNianYue>") + len("<ChuShengNianYue>")
                content = (text[:start] + "1978年13月" + text[text.index("</ChuShengNianYue>") :]).encode()
            archive.writestr(path.name, content)
