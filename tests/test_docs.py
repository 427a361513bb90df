"""The documentation says what the program does: every list here comes from the code, every example is run."""

import ast
import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from django.conf import settings

from ganbu import errors
from ganbu.access.roles import ACTIONS, purposes, roles
from ganbu.cli import app
from ganbu.engine import syntax
from ganbu.engine.functions import FUNCTIONS
from ganbu.engine.kinds import LOWER, base
from ganbu.engine.policy import COMMON, load_pack
from ganbu.engine.scenario import run_scenarios
from ganbu.formats.form import AppointmentForm
from ganbu.formats.paper.page import ROOM, paper_values
from ganbu.formats.paper.pdf import FONTS
from ganbu.formats.tables import MOST_BYTES, MOST_ROWS, MOST_UNPACKED
from ganbu.records.dossier.rules import rules
from ganbu.vocabulary import load_vocabulary
from ganbu.vocabulary.document import document
from ganbu.web.context import DEMO_ACCOUNTS, DEMO_PASSWORD
from ganbu.web.handouts import AT_ONCE
from ganbu.web.registers import SHEET_LIMIT
from ganbu.web.templatetags.ganbu import AUDIT

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
PAGES = [*READMES, *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page.name: page.read_text("utf-8") for page in PAGES}
WORDS = load_vocabulary()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", re.M | re.S)


def blocks(page, *languages):
    return [body for language, body in FENCE.findall(TEXT[page]) if language in languages]


def section(page, heading):
    """A heading and what stands under it, up to the next of its level or above."""
    kept, inside, fenced = [], False, False
    for line in TEXT[page].splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match(rf"#{{1,{heading.index(' ')}}} ", line):
            inside = re.match(rf"{re.escape(heading)}(?=[ （]|$)", line)
        kept += [line] if inside else []
    assert kept, f"{page} has no section {heading}"
    return "\n".join(kept)


def absent(words, text):
    """The words that do not stand on their own in the text."""
    return sorted(word for word in set(words) if not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text))


# -- commands ----------------------------------------------------------------------------------------------------


def commands(group, path=("ganbu",)):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def options_of(command):
    return [text for item in command.params for text in (*item.opts, *item.secondary_opts) if text[0] == "-"]


@pytest.mark.parametrize("name", [*COMMANDS])
def test_every_command_and_option_is_documented(name):
    text = section("commands.md", f"## {name}")
    assert [option for option in options_of(COMMANDS[name]) if f"`{option}" not in text] == []


def test_no_command_is_documented_that_does_not_exist():
    assert set(re.findall(r"^## (ganbu .+)$", TEXT["commands.md"], re.M)) == set(COMMANDS)


def spoken_of(line):
    """The command that a line begins with, if it is one and not a group of them."""
    return max((name for name in COMMANDS if f"{line} ".startswith(f"{name} ")), key=len, default=None)


def shown():
    """Whole command lines: page and line."""
    for page in TEXT:
        for body in blocks(page, "sh", "console"):
            for line in body.splitlines():
                if (text := line.removeprefix("$ ")).startswith("ganbu "):
                    yield page, text


@pytest.mark.parametrize(("page", "line"), [*shown()])
def test_every_command_line_shown_can_be_called(page, line):
    name = spoken_of(line)
    assert name, "no such command"
    words = shlex.split(line.split(" > ")[0])[len(name.split()) :]
    COMMANDS[name].make_context(name, words)  # raises on an unknown option or a missing argument


@pytest.mark.parametrize("page", [*TEXT])
def test_every_command_spoken_of_exists_and_has_the_options_named(page):
    spoken = re.findall(r"`(ganbu [^`]+)`", FENCE.sub("", TEXT[page]))
    spoken += [line for body in blocks(page, "text") for line in body.splitlines() if line[:6] == "ganbu "]
    for line in spoken:
        name = spoken_of(line)
        assert name or any(known.startswith(f"{line} ") for known in COMMANDS), line
        assert set(re.findall(r"--[a-z-]+", line)) <= set(options_of(COMMANDS[name]) if name else []), line


# -- the rule language -------------------------------------------------------------------------------------------


class _Asked(Exception):
    pass


class _Listening:
    """Stands in for the context of a policy, to hear which keys a kind knows."""

    def keys(self, *own):
        raise _Asked(own)


def keys_of(kind):
    with pytest.raises(_Asked) as asked:
        LOWER[kind](_Listening())
    return asked.value.args[0]


@pytest.mark.parametrize("kind", [*LOWER])
def test_every_key_of_a_kind_is_documented_with_the_kind(kind):
    assert absent(keys_of(kind), section("policy-language.md", f"### {kind}")) == []


def allowed_keys():
    """Every key that some `check_keys`, `clause` or `clauses` lets pass, inner ones too."""
    for name in ("policy", "scenario", "kinds.base", "kinds.conditions", "kinds.events", "kinds.groups", "kinds.points"):  # fmt: skip
        module = importlib.import_module(f"ganbu.engine.{name}")
        tree = ast.parse(inspect.getsource(module))
        known = dict(vars(module))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and isinstance(node.targets[0], ast.Name):  # fmt: skip
                with contextlib.suppress(ValueError):
                    known.setdefault(node.targets[0].id, ast.literal_eval(node.value))
        for node in ast.walk(tree):
            called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""  # fmt: skip
            for argument in node.args if called in ("check_keys", "clause", "clauses") else ():
                with contextlib.suppress(NameError):
                    value = eval(ast.unparse(argument), known) if isinstance(argument, ast.Tuple | ast.Name) else ()  # fmt: skip
                    yield from (key for key in value if isinstance(value, tuple))


def test_every_key_a_pack_may_write_is_documented():
    keys = {*COMMON, *allowed_keys()}
    assert {"tighten", "plus_current", "period_field", "action", "covers"} <= keys
    assert absent(keys, TEXT["policy-language.md"]) == []


def test_every_kind_and_every_word_of_strictness_is_documented():
    assert absent([*LOWER, *base.STRICTNESS], section("policy-language.md", "## 十一种规则")) == []
    assert absent([*LOWER, *base.STRICTNESS, base.UNDECIDED, base.OUTSIDE], TEXT["glossary.md"]) == []


def test_every_function_and_its_options_are_documented():
    text = section("policy-language.md", "## 函数")
    assert absent([*FUNCTIONS, *(o for f in FUNCTIONS.values() for o in f.options)], text) == []


def test_every_operator_and_unit_is_documented():
    words = [
        *syntax.COMPARISONS, *syntax.UNITS, *syntax.AND, *syntax.OR, *syntax.NOT, *syntax.IN, *syntax.NOT_IN,
        *syntax.UNDER, *syntax.CONTAINS, *syntax.TRUE, *syntax.FALSE, *syntax.MISSING,
    ]  # fmt: skip
    assert absent(words, section("policy-language.md", "## 表达式")) == []


def test_every_mark_a_result_can_carry_is_in_the_glossary():
    kinds = Path(inspect.getfile(base)).parent.glob("*.py")
    marks = {word for file in kinds for word in re.findall(r', "([A-Z]{6,})"\)', file.read_text("utf-8"))}
    assert marks and absent([*marks, base.REQUIRED], TEXT["glossary.md"]) == []


# -- words, errors, issues ---------------------------------------------------------------------------------------


def test_the_vocabulary_page_is_current():
    """Mend it with `ganbu vocabulary --format markdown > docs/vocabulary.md`."""
    assert TEXT["vocabulary.md"] == document(WORDS)


@pytest.mark.parametrize("register", [*WORDS.registers.values()], ids=lambda register: register.name)
def test_every_register_and_field_is_documented(register):
    text = section("vocabulary.md", f"### {register.label} {register.name}")
    rows = [f"| {f.label} | `{f.name}` |" for f in register.fields.values()]
    assert [row for row in rows if row not in text] == []
    assert f"| {register.label} | `{register.name}` |" in TEXT["glossary.md"]


def test_every_code_word_and_shared_fact_is_documented():
    for table in WORDS.codes.values():
        text = section("vocabulary.md", f"### 代码 {table.label} {table.name}")
        assert [word for word in table.names() if word not in text] == []
    facts = [name for items in WORDS.facts.values() for name in items]
    assert absent(facts, section("vocabulary.md", "## 共用事实")) == []


def test_every_error_is_documented():
    kinds = {
        name for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, Exception)
    }
    assert set(re.findall(r"^## (\w+)$", TEXT["errors.md"], re.M)) == kinds


def issue_codes():
    """Every code of an import report: written whole, asked for in the checks of a résumé, or `.differs` of a register."""
    for file in [*(ROOT / "ganbu/formats").glob("*.py"), *(ROOT / "ganbu/records").glob("*.py")]:
        nodes = [*ast.walk(ast.parse(file.read_text("utf-8")))]
        others = {id(arg) for call in nodes if isinstance(call, ast.Call) and ast.unparse(call.func) in ("audit.append", "files") for arg in call.args}  # fmt: skip
        others |= {id(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg == "action"}
        for node in nodes:
            if isinstance(node, ast.Constant) and re.fullmatch(r"(?!ganbu)[a-z_]+\.[a-z_]+", str(node.value)) and id(node) not in others:  # fmt: skip
                yield node.value
            if isinstance(node, ast.JoinedStr) and [type(part) for part in node.values] == [ast.FormattedValue, ast.Constant]:  # fmt: skip
                yield from re.findall(r"^\.[a-z_]+$", node.values[1].value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ask":
                words = (n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant))
                yield from (f"resume.{word}" for word in words if isinstance(word, str))


def test_every_issue_of_an_import_is_documented_and_no_other():
    files = (".arrow", ".parquet", ".csv", ".json", ".jpg", ".lrmx", ".xml", ".db", ".ini")
    found = {code for code in issue_codes() if not code.endswith(files)}
    assert {"date.month_out_of_range", "resume.gap", "unit.unknown"} <= found
    assert (
        set(re.findall(r"^\| `(?:登记表)?([a-z_.]+)` \| (?:error|warning|note) \|", TEXT["formats.md"], re.M))
        == found
    )


# -- an installation: access, operations, dependencies -------------------------------------------------------------


def table(page, heading):
    """The rows of the tables of a section, without heads."""
    lines = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    heads = {at - 1 for at, line in enumerate(lines) if set(line) <= set("|-")}
    return [line for at, line in enumerate(lines) if at not in heads and not set(line) <= set("|-")]


def registers_named(names):
    return "全部" if "*" in names else "、".join(r.label for r in WORDS.registers.values() if r.name in names) or "—"  # fmt: skip


def test_every_role_is_documented_with_what_it_may_see_and_change():
    """Mend the table with the rows that the failure shows."""
    rows = [f"| {r.label} | `{r.name}` | {r.english} | {registers_named(r.sensitive)} | {registers_named(r.writes)} |" for r in roles().values()]  # fmt: skip
    assert table("access.md", "## 角色") == rows
    assert not {name for r in roles().values() for name in r.sensitive | r.writes} - {"*", *WORDS.registers}


def test_every_action_is_documented_with_the_roles_that_have_it():
    holders = {name: "、".join(r.label for r in roles().values() if name in r.actions) for name in ACTIONS}
    rows = [f"| `{name}` | {what} | {holders[name]} |" for name, what in ACTIONS.items()]
    assert table("access.md", "## 动作") == rows


def test_every_purpose_is_documented_with_what_it_leaves():
    rows = [f"| {p.label} | {p.english} | {'、'.join(what for name, what in ACTIONS.items() if name in p.actions)} |" for p in purposes().values()]  # fmt: skip
    assert table("access.md", "## 用途") == rows
    assert not {name for p in purposes().values() for name in p.actions} - set(ACTIONS)


def test_every_sealed_field_is_documented():
    sealed = {r.label: [f.label for f in r.fields.values() if f.sealed] for r in WORDS.registers.values()}
    assert table("access.md", "## 加密") == [f"| {r} | {'、'.join(f)} |" for r, f in sealed.items() if f]


def parsed_code():
    for file in sorted((ROOT / "ganbu").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            yield file, node


def literals(node):
    """What a text in code can be: itself, or either side of a choice."""
    if isinstance(node, ast.IfExp):
        return [*literals(node.body), *literals(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_every_audit_action_is_documented_and_no_other():
    told, composed = set(AUDIT), set()
    for _, node in parsed_code():
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = ast.unparse(node.func)
        if called == "audit.append":
            told |= set(literals(node.args[0]))
            composed |= {ast.unparse(node.args[0])} if isinstance(node.args[0], ast.JoinedStr) else set()
        if called.rpartition(".")[2] == "writing":
            told |= {f"record.{kind}" for kind in literals(node.args[0])}
    assert composed == {"f'record.{kind}'", "f'request.{found.state}'"}
    told |= {"request.granted", "request.refused"}
    rows = "\n".join(row.split("|")[1] for row in table("access.md", "## 审计链"))
    assert set(re.findall(r"`([a-z.]+)`", rows)) == told


def environment_read():
    """Every variable that the code reads from the environment, with its default where that is a text."""
    found = {}
    for file, node in parsed_code():
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            found.setdefault(ast.literal_eval(node.slice), "")
        if not isinstance(node, ast.Call):
            continue
        called, settled = ast.unparse(node.func), file == ROOT / "ganbu/settings.py"
        if called == "_flag" and settled:
            found[ast.literal_eval(node.args[0])] = "" if node.args[1:] else "no"
        elif re.fullmatch(r"os\.(environ\.(get|setdefault|pop)|getenv)", called):
            name, *default = node.args
            if settled and isinstance(name, ast.Name):
                continue  # inside of _flag
            found[ast.literal_eval(name)] = "".join(literals(default[0])) if default else ""
    return found


def test_every_environment_variable_is_documented_with_its_default_and_no_other():
    rows = {row.split("`")[1]: row for row in table("operations.md", "## 环境变量")}
    read = environment_read()
    assert {"GANBU_HOME", "DATABASE_URL", "GANBU_HTTPS"} <= set(read) == set(rows)
    assert [name for name, default in read.items() if default and f"`{default}`" not in rows[name]] == []
    elsewhere = {word for page in TEXT for word in re.findall(r"\bGANBU_[A-Z_]+\b", TEXT[page])}
    assert elsewhere <= set(read)


def test_every_name_of_the_form_is_documented_and_no_other():
    values = paper_values(AppointmentForm())
    told = {
        name for row in table("operations.md", "## 任免审批表的版式") for name in re.findall(r"`(\w+)`", row)
    }
    assert told == {*values, *values["family"][0], "photo"}
    text = section("operations.md", "## 任免审批表的版式")
    assert absent(ROOM, text.split("会缩小字号的")[1]) == []
    assert f"{', '.join(FONTS)}" == ", ".join(section("operations.md", "## 字体").split("：")[1].split("。")[0].split("、"))  # fmt: skip


def test_the_limits_told_are_those_of_the_program():
    text = (
        section("operations.md", "## 限度")
        + section("access.md", "## 登录")
        + section("access.md", "## 会话")
    )
    told = [
        f"合计 {settings.UPLOAD_LIMIT >> 20} MB，{settings.UPLOADS_AT_ONCE:,} 个", f"{MOST_BYTES >> 20} MB，解开后 {MOST_UNPACKED >> 20} MB，每页 {MOST_ROWS:,} 行",
        f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20} MB，{settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} 栏", f"{SHEET_LIMIT >> 20} MB",
        f"{AT_ONCE} 人", f"{settings.AXES_FAILURE_LIMIT} 次，锁定 {settings.AXES_COOLOFF_TIME * 60:.0f} 分钟",
        f"{settings.SESSION_COOKIE_AGE // 3600} 小时，{settings.SESSION_IDLE_MINUTES} 分钟不动", f"至多 {settings.SESSIONS_PER_ACCOUNT} 处",
        f"至少 {settings.AUTH_PASSWORD_VALIDATORS[0]['OPTIONS']['min_length']} 位",
    ]  # fmt: skip
    assert [words for words in told if words not in text] == []


@pytest.mark.parametrize(
    ("page", "heading"),
    [("README.md", "## In the browser"), ("README.zh-CN.md", "## 用浏览器"), ("guide.md", "### 启动和登录")],
)
def test_the_demonstration_accounts_are_told_with_their_password_and_address(page, heading):
    rows = [re.findall("`([^`]+)`", row)[0] for row in table(page, heading)]
    assert rows == [name for name, _label in DEMO_ACCOUNTS]
    text = section(page, heading)
    assert f"`{DEMO_PASSWORD}`" in text and "http://127.0.0.1:8000" in text


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]  # fmt: skip
    names = {re.match(r"[\w-]+", item)[0] for item in wanted} - {"ganbu"}
    assert absent(names, section("decisions.md", "## 依赖")) == []


# -- the pages themselves ----------------------------------------------------------------------------------------


def test_both_readmes_have_the_same_structure_and_examples():
    one, two = (FENCE.sub("", TEXT[page.name]) for page in READMES)
    assert re.findall(r"^#+", one, re.M) == re.findall(r"^#+", two, re.M)
    assert one.count("\n|") == two.count("\n|")
    assert FENCE.findall(TEXT["README.md"]) == FENCE.findall(TEXT["README.zh-CN.md"])


def anchors(page):
    """The anchors of a page as they are made from its headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", TEXT[page]), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCE.sub("", TEXT[page.name])):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.name), target


def test_no_two_headings_of_a_page_share_an_anchor():
    for page in ("vocabulary.md", "guide.md", "commands.md", "formats.md", "operations.md", "access.md"):
        headings = re.findall(r"^#+ (.+)$", FENCE.sub("", TEXT[page]), re.M)
        assert len(headings) == len(anchors(page)), page


def examples():
    for page in ("guide.md", *(page.name for page in READMES)):
        for at, body in enumerate(blocks(page, "yaml")):
            if body.startswith(("policy:", "pack:")):
                yield pytest.param(body, id=f"{page}-{at}")


@pytest.mark.parametrize("body", [*examples()])
def test_every_pack_shown_loads_and_its_scenarios_pass(body, tmp_path):
    (tmp_path / "pack.yaml").write_text(body, "utf-8")
    pack = load_pack(tmp_path)
    assert pack.policies
    assert [failure for result in run_scenarios(pack) for failure in result.failures] == []


def test_the_python_of_the_guide_prints_what_the_guide_says():
    (program,) = blocks("guide.md", "python")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(program, "guide.md", "exec"), {})
    assert said.getvalue() == TEXT["guide.md"].split(program)[1].split("```text\n")[1].split("```")[0]


# -- transcripts -------------------------------------------------------------------------------------------------


def said_by(command, folder):
    """What a command says, results before remarks."""
    words = shlex.split(command)
    words = ["ganbu", "demo", "--no-serve"] if words == ["make", "demo"] else words
    own = {
        k: v
        for k, v in os.environ.items()
        if k not in ("GANBU_HOME", "DATABASE_URL", "DJANGO_SETTINGS_MODULE")
        and not k.startswith("COVERAGE")  # what the commands run is counted where they are tested
    }
    run = subprocess.run(
        [sys.executable, "-c", "from ganbu.cli import main; main()", *words[1:]],
        capture_output=True, text=True, cwd=folder, check=False,
        env={**own, "COLUMNS": "100", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in (run.stdout + run.stderr).strip().splitlines())


def as_pattern(expected):
    """`…` on a line of its own stands for any lines, inside a line for any text."""
    lines = [r"(?:[^\n]*\n)*?" if line == "…" else re.escape(line.rstrip()).replace("…", r"[^\n]*?") + r"\n" for line in expected]  # fmt: skip
    return re.compile("".join(lines))


@pytest.mark.timeout(900)
def test_every_transcript_is_what_the_program_says(tmp_path):
    """One test, in order: the transcripts of a page build on each other and on the demonstration."""
    demonstration, wrong = said_by("make demo", tmp_path), []
    for page in ("README.md", "guide.md"):
        for path, body in FILE.findall(TEXT[page]):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_text(body, "utf-8")
        for block in blocks(page, "console"):
            for part in block.split("$ ")[1:]:
                command, *expected = part.strip("\n").split("\n")
                said = demonstration if command == "make demo" else said_by(command, tmp_path)
                if not as_pattern(expected).fullmatch(said + "\n"):
                    unsaid = [line for line in expected if not as_pattern([line]).search(said + "\n")]
                    wrong.append(f"{page}: $ {command}\nnot said, or not there: {unsaid}\n… {said[-800:]}")
    assert not wrong, "\n\n".join(wrong)


def test_the_ways_of_file_work_are_documented_as_they_are_shipped():
    told = rules()
    rounds = [f"| {name} | {'，'.join(f'{r.name} {r.reviewers} 人' for r in of)} |" for name, of in told.schemes.items()]  # fmt: skip
    assert table("files.md", "## 任前审核") == rounds
    routes = [
        f"| {r.element or '各项'} | {'、'.join(r.results)} | {r.category} | {r.outcome} | {r.effect} | {r.days} 天 |"
        for r in told.routing
    ]
    settled = [
        f"| {name} | {'解除' if s.release else '保留'} | {s.result} |" for name, s in told.settled.items()
    ]
    assert table("files.md", "## 档案问题") == routes + settled
