"""English is complete: every message translated, every label of the vocabulary named, no Chinese left on a page.

The messages are Chinese sentences in templates and code. `python -m tests.web.test_english` brings `django.po` and
`ganbu/vocabulary/english.yaml` up to date (new ones empty, unused ones gone), compiles `django.mo`, and lists what
is still to be translated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import polib
import pytest
import yaml
from django.test import Client
from django.urls import reverse
from django.utils.translation.template import templatize
from lxml import html

from ganbu.access.roles import roles
from ganbu.vocabulary import load_vocabulary
from ganbu.vocabulary.english import english_name

CODE = Path(__file__).parent.parent.parent / "ganbu"
TEMPLATES = CODE / "web" / "templates"
PO = CODE / "web" / "locale" / "en" / "LC_MESSAGES" / "django.po"
NAMES = CODE / "vocabulary" / "english.yaml"
DOSSIER = CODE / "records" / "dossier" / "rules.yaml"  # words a department may change
CHINESE = re.compile(r"[\u3001-\u303f\u3400-\u9fff\uff00-\uffef]")
CALLS = ("_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy")
NEVER_SHOWN = {("access/roles.py", "ACTIONS")}
IN_BOTH_LANGUAGES = {"403_csrf.html", "500.html"}  # shown when it may not be known who asks
HEADER = {
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
    "Language": "en",
    "Plural-Forms": "nplurals=2; plural=(n != 1);",
}


# -- what there is to translate ---------------------------------------------------------------------------------


def messages() -> dict[str, str]:
    """Every message, and its plural or nothing."""
    found: dict[str, str] = {}

    def note(text: str, plural: str = "") -> None:
        found[text] = plural or found.get(text, "")

    for path in sorted(TEMPLATES.rglob("*.html")):
        for text, plural in in_template(path.read_text("utf-8")):
            note(text, plural)
    for path in sorted(CODE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for call in calls(tree):
            texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
            if texts and isinstance(texts[0], str):
                note(texts[0], texts[1] if call.func.id.startswith("ngettext") else "")
        place = path.relative_to(CODE).as_posix()
        if place.startswith(("web/", "access/")):
            for text in in_tables(tree, place):
                note(text)
    return found


def in_template(text: str) -> Iterator[tuple[str, str]]:
    """Messages of a template, which Django writes out as calls."""
    literal = r"u?('(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")"
    for call in re.finditer(rf"\b(_|gettext|ngettext)\({literal}(?:, {literal})?", templatize(text)):
        yield ast.literal_eval(call[2]), ast.literal_eval(call[3]) if call[3] else ""


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            yield node


def in_tables(tree: ast.Module, place: str) -> Iterator[str]:
    """Chinese in the tables at the top of a module: their entries are translated when they are shown."""
    wrapped = {id(part) for call in calls(tree) for part in ast.walk(call)}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if not isinstance(target, ast.Name) or (place, target.id) in NEVER_SHOWN:
            continue
        keys = {id(key) for part in ast.walk(statement) if isinstance(part, ast.Dict) for key in part.keys}
        for part in ast.walk(statement.value):
            shown = isinstance(part, ast.Constant) and id(part) not in wrapped | keys
            if shown and isinstance(part.value, str) and CHINESE.search(part.value):
                yield part.value


def labels() -> dict[str, list[str]]:
    """The Chinese labels of the vocabulary, each once, in its order."""
    registers = load_vocabulary().registers.values()
    return {
        "registers": [register.label for register in registers],
        "fields": list(
            dict.fromkeys(item.label for register in registers for item in register.fields.values())
        ),
    }


# -- bringing the files up to date ------------------------------------------------------------------------------


def update() -> None:
    """Add what is new, drop what is unused, compile, and say what is left to do."""
    before = {entry.msgid: entry for entry in polib.pofile(str(PO))} if PO.exists() else {}
    after = polib.POFile(wrapwidth=0)
    after.metadata = HEADER
    for text, plural in sorted(messages().items()):
        entry = before.get(text)
        if entry is None or entry.msgid_plural != plural:
            entry = polib.POEntry(msgid=text, msgid_plural=plural)
            if plural:
                entry.msgstr_plural = {0: "", 1: ""}
        after.append(entry)
    PO.parent.mkdir(parents=True, exist_ok=True)
    after.save(str(PO))
    after.save_as_mofile(str(PO.with_suffix(".mo")))
    told = NAMES.read_text("utf-8")
    comment = "".join(line for line in told.splitlines(keepends=True) if line.startswith("#"))
    known = yaml.safe_load(told)
    names = {part: {text: known[part].get(text, "") for text in texts} for part, texts in labels().items()}
    NAMES.write_text(comment + yaml.safe_dump(names, allow_unicode=True, sort_keys=False, width=200), "utf-8")
    for text in [entry.msgid for entry in after if not translations(entry)]:
        print(f"{PO.name}: {text}")
    for text in [text for part in names.values() for text, name in part.items() if not name]:
        print(f"{NAMES.name}: {text}")


def translations(entry: polib.POEntry) -> list[str]:
    """The translations of a message, none while one is missing."""
    found = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
    return found if all(text.strip() for text in found) else []


# -- the messages -----------------------------------------------------------------------------------------------

UPDATE = "run python -m tests.web.test_english, then translate what it lists"


def test_every_message_is_translated_and_none_is_unused():
    entries = {entry.msgid: entry for entry in polib.pofile(str(PO))}
    wanted = messages()
    assert list(entries) == sorted(wanted), UPDATE
    assert {text: entry.msgid_plural for text, entry in entries.items()} == wanted, UPDATE
    assert [text for text, entry in entries.items() if not translations(entry) or entry.fuzzy] == [], UPDATE


def test_translations_are_english_and_keep_the_placeholders():
    def placeholders(text: str) -> list[str]:
        return sorted(set(re.findall(r"%\(\w+\)[sd]|%%|\{\w+\}", text)))

    for entry in polib.pofile(str(PO)):
        for text in translations(entry):
            assert placeholders(text) == placeholders(entry.msgid), entry.msgid
            assert not CHINESE.search(re.sub("'[^']*'", "", text)), entry.msgid


def test_the_compiled_messages_are_current():
    assert PO.with_suffix(".mo").read_bytes() == polib.pofile(str(PO)).to_binary(), UPDATE


def test_every_register_and_field_has_an_english_name():
    names = yaml.safe_load(NAMES.read_text("utf-8"))
    assert {part: list(of) for part, of in names.items()} == labels(), UPDATE
    assert [
        text for of in names.values() for text, name in of.items() if not name or CHINESE.search(name)
    ] == []
    for register in load_vocabulary().registers.values():
        told = [english_name(item) for item in register.fields.values()]
        assert len(set(told)) == len(told), f"{register.name}: {sorted(told)}"


def test_every_role_has_an_english_name():
    assert all(role.english and not CHINESE.search(role.english) for role in roles().values())


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.relative_to(TEMPLATES).as_posix()
)
def test_templates_have_no_bare_chinese(path):
    if path.name not in IN_BOTH_LANGUAGES:
        assert list(bare(path.read_text("utf-8"))) == []


def bare(text: str) -> Iterator[str]:
    """Chinese of a template that no translation reaches; what a form sends and what is compared may be Chinese."""
    text = re.sub(r"{%\s*blocktrans.*?%}.*?{%\s*endblocktrans\w*\s*%}", "", text, flags=re.S)
    text = text.replace("%}中文{%", "%}{%")  # the name of the language, in the switch
    for tag in re.findall(r"{{.*?}}|{%.*?%}", text, flags=re.S):
        plain = re.sub(r"""_\((".*?"|'.*?')\)""", "", tag)
        if CHINESE.search(plain) and not re.match(r"{%\s*(translate|trans|if|elif)\b", tag):
            yield tag
    text = re.sub(r"{{.*?}}|{%.*?%}|{#.*?#}", "", text, flags=re.S)
    text = re.sub(r"""\bvalue=("[^"]*"|'[^']*')""", "", text)
    yield from re.findall(rf".{{0,20}}{CHINESE.pattern}.{{0,20}}", text)


def test_the_check_of_templates_finds_what_is_bare():
    assert (
        list(bare('<a title="查看">')) and list(bare("<p>{{ n }}：</p>")) and list(bare('{{ x|join:"、" }}'))
    )
    assert not list(bare('{% if x == "是" %}<input value="是">{% endif %}{{ x|default:_("无") }}'))


# -- the pages --------------------------------------------------------------------------------------------------

DATA = {"td", "li", "dd", "option", "textarea", "svg", "script", "style", "del"}
TOLD = ("title", "placeholder", "aria-label", "alt", "label", "data-label", "data-sure", "data-told")
PAGES = {
    "cadre_section": (
        "/", "/help/", "/password/", "/people/", "/people/?q=w", "/people/?q=zzzz", "/people/new/", "/people/alike/", "/people/compare/",
        "/people/compare/?person={person}", "/people/{person}/", "/people/{person}/?as_of=2020-01-01&known_at=2020-01-01",
        "/people/{person}/?tab=appointment", "/people/{person}/?tab=sanction", "/people/{person}/history/", "/people/{person}/resume/",
        "/people/{person}/edit/person/{person}/", "/people/{person}/edit/training/", "/units/", "/units/?q=局", "/units/{unit}/",
        "/units/{unit}/edit/", "/units/{unit}/new/", "/teams/", "/teams/{team}/", "/query/", "/query/?condition=年龄 > 30", "/query/cross/",
        "/findings/", "/imports/", "/imports/{batch}/", "/registers/", "/registers/visit_log/", "/requests/", "/nothing/",
    ),
    "file_room": ("/", "/files/", "/people/{person}/file/", "/people/{person}/growth/"),
    "unit_contact": ("/", "/people/{person}/request/", "/requests/", "/audit/"),
    "cadre": ("/", "/people/{person}/"),
    "system_admin": ("/", "/accounts/"),
    "security_admin": ("/grants/",),
    "audit_admin": ("/audit/",),
    "nobody": ("/",),
}  # fmt: skip


@pytest.fixture
def record(db):
    """Words that are data, wherever they stand: names, policies, outcomes, the words of code tables and of packs."""
    from ganbu.access.models import Account
    from ganbu.findings.models import Finding
    from ganbu.records.local import local_registers
    from ganbu.records.models import MODELS, Card, UnitNode

    found = set(Card.objects.values_list("name", flat=True)) | set(
        UnitNode.objects.values_list("name", flat=True)
    )
    found |= set(MODELS["team"].objects.values_list("f_name", flat=True))
    found |= {text for row in Finding.objects.values_list("policy", "outcome", "name") for text in row}
    found |= set(MODELS["appointment"].objects.values_list("f_title", flat=True))
    found |= set(MODELS["education"].objects.exclude(f_major=None).values_list("f_major", flat=True))
    for register in local_registers().values():
        found |= {register.label, *(item.label for item in register.fields.values())}
    found |= set(re.findall(r"[\u3400-\u9fff]{2,}", DOSSIER.read_text("utf-8")))
    found |= {word for table in load_vocabulary().codes.values() for word in table.names() if len(word) > 1}
    found |= set(Account.objects.values_list("name", flat=True))
    found |= {"男", "女", "年龄 > 30", "'镇长'", "局", "中文"}
    return sorted(filter(None, found), key=len, reverse=True)


@pytest.fixture
def places(db, someone, tmp_path):
    """What the addresses stand for."""
    from ganbu.access.models import Account
    from ganbu.records import batches
    from ganbu.records.models import MODELS

    batch = batches.open_batch(Account.objects.get(username="cadre_section"), "list", tmp_path)
    team = MODELS["team"].objects.filter(superseded_at__isnull=True).first()
    return {"person": someone.pk, "unit": someone.node.unit, "team": team.f_team_id, "batch": batch.pk}


def chinese_left(response, record: list[str]) -> list[str]:
    """The Chinese of a page that is not data."""
    page = html.fromstring(response.content)
    found = []
    for element in page.iter():
        if not isinstance(element.tag, str) or element.get("aria-hidden"):
            continue  # a comment, or the initial that stands for a portrait
        around = {element.tag, *(above.tag for above in element.iterancestors())}
        texts = [element.get(name, "") for name in TOLD]
        if not around & DATA and "pre" not in element.get("class", "").split():
            texts.append(element.text or "")
        if not (around - {element.tag}) & DATA:
            texts.append(element.tail or "")
        for text in texts:
            for word in record:
                text = text.replace(word, "")
            if CHINESE.search(text):
                found.append(text.strip())
    return found


@pytest.mark.no_cover  # every page there is, each covered by its own tests
@pytest.mark.parametrize("role", PAGES)
def test_pages_in_english_have_no_chinese_but_the_record(role, sign_in, places, record):
    client = sign_in(role)
    client.post("/language/", {"language": "en"})
    left = {}
    for page in PAGES[role]:
        response = client.get(page.format(**places))
        assert 'lang="en"' in response.content.decode(), page
        left[page] = chinese_left(response, record)
    assert {page: found for page, found in left.items() if found} == {}


def test_the_switch_leads_back_to_the_page_and_holds(sign_in, someone):
    client = sign_in("cadre_section")
    here = f"http://testserver{reverse('person', args=[someone.pk])}?tab=appointment"
    switched = client.post("/language/", {"language": "en"}, headers={"Referer": here})
    assert switched.status_code == 302 and switched["Location"] == here
    assert "Appointments" in client.get(here).content.decode()
    client.post("/language/", {"language": "zh-hans"})
    assert "任职" in client.get(here).content.decode()


def test_the_switch_on_the_answer_to_a_form_leads_back_to_the_form(sign_in):
    client = sign_in("audit_admin")
    page = client.post("/audit/verify/", headers={"Referer": "http://testserver/audit/"})
    assert 'name="next" value="http://testserver/audit/"' in page.content.decode()


@pytest.mark.parametrize(
    ("browser", "language"),
    [("", "zh-hans"), ("zh-CN,zh;q=0.9,en;q=0.8", "zh-hans"), ("en-GB,en;q=0.9", "en")],
)
def test_before_the_switch_the_browser_is_asked_and_chinese_is_the_default(db, browser, language):
    page = Client().get("/login/", headers={"Accept-Language": browser} if browser else {})
    assert f'lang="{language}"' in page.content.decode() and page["Content-Language"] == language
    assert bool(CHINESE.search(page.content.decode().replace("中文", ""))) == (language != "en")


def test_what_is_refused_is_said_in_english_too(sign_in):
    client = sign_in("cadre_section")
    client.post("/language/", {"language": "en"})
    page = client.get("/query/", {"build": "1", "link": "", "opens": "", "field": "person.birth_date", "operator": "<=", "value": "x", "on": "", "closes": ""})  # fmt: skip
    assert "Line 1: Date of birth should be written like 2026-06-30, not “x”" in page.content.decode()
    security = sign_in("security_admin")
    security.post("/language/", {"language": "en"})
    (account,) = [one for one in security.get("/grants/").context["page"] if one.username == "system_admin"]
    page = security.post("/grants/", {"account": account.username, "role": "leader"}).content.decode()
    assert "System administrator cannot also be Leader" in page


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_the_example_of_a_condition_can_be_queried(sign_in, language):
    client = sign_in("cadre_section")
    client.post("/language/", {"language": language})
    shown = html.fromstring(client.get("/query/").content).xpath("//label[@for='condition']")[0].text
    condition = re.split("：|e.g. ", shown, maxsplit=1)[1]
    assert client.get("/query/", {"condition": condition}).status_code == 200, condition


def test_a_cell_of_a_cross_table_opens_the_same_people_in_both_languages(sign_in):
    client = sign_in("cadre_section")
    found = []
    for language in ("zh-hans", "en"):
        client.post("/language/", {"language": language})
        links = html.fromstring(client.get("/query/cross/").content).xpath("//tbody/tr[1]/td/a/@href")
        found.append((links, client.get(links[0]).context["page"].paginator.count))
    assert found[0] == found[1] and found[0][1] > 0


if __name__ == "__main__":
    update()
