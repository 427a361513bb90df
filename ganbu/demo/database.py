"""The demonstration in the database (演示数据库): the district with its history, an import made on the web, demo accounts."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path

from rich.console import Console

from ganbu.web import setup

PACKS = ["national", "demo", "registers"]
ROLES = {
    "ganbuke": "cadre_section", "jianduke": "supervision", "danganshi": "file_room", "fuheyuan": "file_room", "lianluoyuan": "unit_contact",
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
            batches.apply(batch, batches.read(batch))
        _files()
        run_adopted(date.today())
    _damaged(folder)


def _files() -> None:
    """Files at work: one audit that waits for its re-review, one with a doubtful date of birth, a material handed in."""
    from ganbu.access.current import acting
    from ganbu.access.models import Account
    from ganbu.records.dossier import audits, materials
    from ganbu.records.dossier.audits import Line
    from ganbu.records.dossier.rules import rules
    from ganbu.records.models import Card

    people = list(Card.objects.exclude(node=None).order_by("place").values_list("pk", flat=True)[3:6])
    desks = [Account.objects.get(username=name) for name in ("danganshi", "ganbuke", "fuheyuan")]
    for at, person in enumerate(people[:2]):
        told = audits.declared(person)
        lines = {
            e.name: Line("一致", told.get(e.name) or "与填报相同", "干部履历表", str(3 + n)) if e.must and (told.get(e.name) or not e.dated) else Line("不适用")
            for n, e in enumerate(rules().elements.values())
        }  # fmt: skip
        if at:
            lines["年龄"] = Line("存疑", "1970-01-01", "入团志愿书", "2", "入团志愿书与履历表所记不同")
        with acting(desks[1]):
            identity = audits.open_audit(person, "两初一复", "动议", "演示：本批拟提拔人选", "演示职务")
        for account in desks[: 3 if at else 2]:
            with acting(account):
                audits.review(identity, account, lines)
    with acting(Account.objects.get(username="lianluoyuan")):
        paper = {"material": f"{date.today().year - 1}年年度考核登记表", "category": "三 考核鉴定"}
        materials.deliver(people[2], paper, "单位联络员", list(rules().intake["sender"]))


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
