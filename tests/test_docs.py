"""What the documentation says about the code is true: links, citations, commands, rooms, log events."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from headwater.cli.main import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SERVER = ROOT / "src/headwater"
CODE_FOLDERS = ("src", "client/src", "tests", "benchmarks", "docs", "openapi")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def _markdown_files() -> list[Path]:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    found = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    return sorted(page for page in found if "node_modules" not in page.parts)


def _code_files() -> Iterator[Path]:
    for folder in CODE_FOLDERS:
        for pattern in ("*.py", "*.yaml", "*.html", "*.js"):
            yield from sorted((ROOT / folder).rglob(pattern))


def _without_code(text: str) -> str:
    """Return Markdown without fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """Return the anchors that GitHub gives the headings of a page, and those that the page sets itself."""
    text = FENCE.sub("", page.read_text())
    anchors: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link shows its text
        slug = re.sub(r"[^\w\- ]", "", shown).lower().replace(" ", "-")
        count = anchors.get(slug, 0)
        anchors[slug] = count + 1
        if count:
            anchors[f"{slug}-{count}"] = 1
    return frozenset({*anchors, *re.findall(r"<a (?:name|id)=\"([^\"]+)\"", text)})


def test_every_threat_has_tests_that_exist() -> None:
    """The rows of tables in SECURITY.md end with the tests of the defence."""
    text = (ROOT / "SECURITY.md").read_text()
    rows = [row for row in re.findall(r"^\| (.*) \|$", text, re.MULTILINE) if not row.startswith(("threat ", "---"))]
    assert len(rows) > 25
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row.split(" | ")[-1])
        assert named, row
        for file, test in named:
            assert re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"


@pytest.mark.parametrize("page", _markdown_files(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Every relative link leads to a file, and every anchor to a heading."""
    text = _without_code(page.read_text())
    targets = re.findall(r"\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]*))?\)", text)
    targets += re.findall(r"^\[[^\]]+\]: (?![a-z]+:)([^\s#]*)(?:#(\S*))?$", text, re.MULTILINE)
    broken = []
    for file, anchor in targets:
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(f"{file}#{anchor}" if anchor else file)
    assert broken == []


def _cited_page(path: str) -> Path | None:
    """Return the page that code cites as `path`: relative to the repository, or to one of its folders of pages."""
    folders = (ROOT, DOCS, ROOT / "client", ROOT / "client/docs")
    return next((folder / path for folder in folders if (folder / path).is_file()), None)


def test_citations_in_code_resolve() -> None:
    """`contract.md#watermark` in a docstring, a comment or a description is a heading of that page."""
    broken = []
    cited = 0
    for file in _code_files():
        for path, anchor in re.findall(r"([\w./-]*\w\.md)#([\w-]+)", file.read_text()):
            page = _cited_page(path)
            cited += 1
            if page is None or anchor not in _anchors(page):
                broken.append(f"{file.relative_to(ROOT)}: {path}#{anchor}")
    assert broken == []
    assert cited > 50, "the pattern no longer finds citations"


@pytest.mark.parametrize("folder", ["src", "client/src", "benchmarks"])
def test_pages_that_code_names_exist(folder: str) -> None:
    missing = [
        f"{file.relative_to(ROOT)}: {path}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for path in re.findall(r"\bdocs/[\w./-]*\w\.md\b", file.read_text())
        if _cited_page(path) is None
    ]
    assert missing == []


def test_rules_are_cited_by_anchor_not_by_section_number() -> None:
    """Section numbers went wrong when sections were inserted. Standards may be cited by section."""
    standard = re.compile(r"RFC ?\d|OpenID|Discovery|FIPS|Unicode")
    wrong = []
    for file in [*_code_files(), *_markdown_files()]:
        if file == Path(__file__):
            continue
        text = file.read_text()
        wrong += [
            f"{file.relative_to(ROOT)}: {text[found.start() - 40 : found.end() + 10]!r}"
            for found in re.finditer(r"\b[Ss]ections? \d", text)
            if not standard.search(text, max(0, found.start() - 400), found.start())
        ]
    assert wrong == []


def _command_lines(page: Path) -> list[str]:
    """Return the commands in the shell blocks of a page, continuation lines joined."""
    blocks = [block for _, language, block in FENCE.findall(page.read_text()) if language in ("sh", "bash", "console")]
    return [line.partition(" #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("page", _markdown_files(), ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_and_modules_in_shell_blocks_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in _command_lines(page):
        if found := re.match(r"make ([a-z-]+)", line):
            assert found[1] in targets, line
        for module in re.findall(r"python3? -m ([\w.]+)", line):
            assert importlib.util.find_spec(module) is not None, line
        for path in re.findall(r"(?<!\S)(?:tests|src|docs|benchmarks)/[\w./-]+", line):
            assert (ROOT / path).exists(), line


@pytest.mark.parametrize("page", _markdown_files(), ids=lambda page: str(page.relative_to(ROOT)))
def test_headwater_commands_in_shell_blocks_exist(page: Path) -> None:
    """Every `headwater …` in a shell block names a command and options that the command line has."""
    root: Any = typer.main.get_command(app)
    for line in _command_lines(page):
        found = re.search(r"(?:^|=\S+ |[|(] *)headwater (.*)", line)
        if found is None:
            continue
        command, words = root, found[1].partition("|")[0].split()
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert not getattr(command, "commands", None) or words[:1] in ([], ["--help"], ["--version"]), line
        options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options | {"--help"}, line


@pytest.mark.parametrize("page", ["architecture.md", "development.md"])
def test_named_files_exist(page: str) -> None:
    """Every path of the repository in a code span exists. Paths with a placeholder (`<name>`) are not checked."""
    spans = re.findall(r"`([^`\n]+)`", FENCE.sub("", (DOCS / page).read_text()))
    paths = [span for span in spans if re.fullmatch(r"\w[\w.-]*(/[\w.-]+)*(/|\.py|\.md|\.yaml|\.toml|\.in)", span)]
    starts = (ROOT, SERVER, ROOT / "src")
    missing = [path for path in paths if "/" in path and not any((start / path).exists() for start in starts)]
    assert missing == []
    assert len(paths) >= 10, "the pattern no longer finds paths"


def _described_rooms() -> set[str]:
    """Return what the list of rooms names in `src/headwater`: paths of packages, with `/`, and of modules."""
    text = (DOCS / "architecture.md").read_text().split("## Rooms")[1]
    block = FENCE.search(text)
    assert block is not None
    rooms: set[str] = set()
    room = ""
    inside = False
    for line in block[3].splitlines():
        indent = len(line) - len(line.lstrip())
        names = re.match(r" *((?:[\w.-]+/?[\w./]* )+) ", line + "  ")
        if indent == 0:
            inside = line.startswith("src/headwater/")
        elif inside and names and indent == 2:
            rooms.update(names[1].split())
            room = names[1].split()[-1]
        elif inside and names and indent == 4:
            rooms.update(room + name for name in names[1].split() if name.endswith("/"))
    return rooms


def test_every_room_is_described() -> None:
    """The list of rooms names every package of the server, every module at its top, and nothing else."""
    packages = {f"{path.parent.relative_to(SERVER)}/" for path in SERVER.rglob("*/__init__.py")}
    modules = {path.name for path in SERVER.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert _described_rooms() - {"catalog/migrations/"} == packages | modules


class _LogEvent(NamedTuple):
    levels: set[str]
    fields: set[str]
    has_more_fields: bool


def _log_events() -> dict[str, _LogEvent]:
    """Return the events that the server logs: `log.<level>("event", field=…)`."""
    events: dict[str, _LogEvent] = {}
    for file in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS):
                continue
            logger = node.func.value
            if not (isinstance(logger, ast.Name) and logger.id.lstrip("_").lower() in ("log", "logger")):
                continue
            event = node.args[0] if node.args else None
            at = f"{file.relative_to(ROOT)}:{node.lineno}"
            assert isinstance(event, ast.Constant), f"{at}: the name of an event is a literal"
            assert isinstance(event.value, str), at
            assert re.fullmatch(r"[a-z0-9_]+", event.value), f"{at}: {event.value!r} is not in snake_case"
            known = events.get(event.value, _LogEvent(set(), set(), False))
            named = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            spread = any(keyword.arg is None for keyword in node.keywords)
            level = node.func.attr
            if level == "exception" or "exc_info" in named:
                level = "error"
                named = (named - {"exc_info"}) | {"exception"}  # the traceback
            events[event.value] = _LogEvent(
                known.levels | {level}, known.fields | named, known.has_more_fields or spread
            )
    return events


def _documented_events() -> dict[str, _LogEvent]:
    section = (DOCS / "deployment.md").read_text().split("## Logs")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| .+ \| (.+) \|$", section, re.MULTILINE)
    return {
        event: _LogEvent(set(levels.split(", ")), set(re.findall(r"`(\w+)`", fields)), False)
        for event, levels, fields in rows
    }


def test_every_log_event_is_documented() -> None:
    """The table in docs/deployment.md has each event with its level and fields. Alerts are written against it."""
    logged, documented = _log_events(), _documented_events()
    assert set(documented) == set(logged)
    for event, known in logged.items():
        assert documented[event].levels == known.levels, event
        assert documented[event].fields >= known.fields, event
        if not known.has_more_fields:
            assert documented[event].fields == known.fields, event


def test_the_glossary_defines_each_term_once() -> None:
    text = (DOCS / "glossary.md").read_text().split("## Words with a second meaning")[0]
    terms = [
        term.strip()
        for row in re.findall(r"^\| (?!term|---)(.+?) \|", text, re.MULTILINE)
        for term in re.sub(r"\(`\w+`\)", "", row).split(",")
    ]
    assert sorted({term for term in terms if terms.count(term) > 1}) == []
    assert len(terms) > 50
