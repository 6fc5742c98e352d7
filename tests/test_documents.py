"""The documents and the examples, as a reader would use them; ``tests/interop/test_tour.py`` runs every block."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.documents import DOCUMENTS, ROOT, Block, blocks, environment, run
from v2gpki.certs.csr import build_csr
from v2gpki.cli import cli
from v2gpki.keys.suites import SUITES
from v2gpki.servers.parts import PARTS
from v2gpki.services.access import SCOPES
from v2gpki.services.est.paths import OPERATIONS, SHAPES
from v2gpki.wiring.serve_settings import ServeSettings

PAGES = (*DOCUMENTS, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md")
named = pytest.mark.parametrize("document", PAGES, ids=lambda document: document.name)
#: What ends one command in a line of the documents.
_ENDS = {"|", "||", "&&", "&", ";", ">"}


def test_the_readme_without_foreign_programs(tmp_path: Path) -> None:
    """What openssl would make is made here; what is served needs curl and is left to ``tests/interop``."""
    (tmp_path / "outside.csr").write_bytes(build_csr(SUITES["p256"].generate(), "DE*ACM*E0002"))
    command = re.compile("^openssl .*\n", re.MULTILINE)
    ours = [
        Block(block.language, command.sub("", block.text))
        for block in blocks(ROOT / "README.md")
        if "curl " not in block.text
    ]
    assert sum(len(block.commands) for block in ours) > 20
    run(ROOT / "README.md", tmp_path, ours)
    assert (tmp_path / "station" / "chain.pem").read_text().count("BEGIN CERTIFICATE") == 3


@named
def test_every_command_of_a_block_is_one(document: Path) -> None:
    for block in blocks(document):
        for line in block.commands:
            for arguments in ours_of(line):
                with click.Context(cli):
                    parsed(cli, arguments)


@named
def test_every_command_that_is_named_is_one(document: Path) -> None:
    prose = re.sub("^```.*?^```", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for text in re.findall("`v2gpki ([^`]+)`", prose):
        words = shlex.split(text)
        command, used = resolved(words)
        known = {option for parameter in command.params for option in parameter.opts}
        wanted = {word for word in words[used:] if word.startswith("-")}
        assert wanted <= known | {"--json", "--version", "--help"}, f"{document.name}: v2gpki {text}"
        assert used or words[0].startswith("-") or words[0] == "..", f"{document.name}: v2gpki {text}"
        if isinstance(command, click.Group) and used:
            several = [one for word in words[used:] if word.islower() for one in word.split("|")]
            assert set(several) <= {*command.list_commands(click.Context(command))}, f"{document.name}: v2gpki {text}"


@named
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        place = document.parent / file if file else document
        assert place.exists(), f"{document.name}: {target}"
        if anchor:
            headings = re.findall("^#+ (.*)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in [re.sub("[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings], target


def test_the_settings_are_told_with_their_defaults() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (.*?) \| ", page("services").split("## Settings")[1], re.MULTILINE)
    told: dict[str, str] = {}
    for names, values in rows:
        keys = re.findall("`([a-z_]+)`", names)
        defaults = re.findall("`([^`]+)`", values)
        told |= dict(zip(keys, defaults * len(keys) if len(defaults) == 1 else defaults, strict=True))
    settings = ServeSettings()
    assert told == {name: written(getattr(settings, name)) for name in ServeSettings.__dataclass_fields__}


def test_parts_and_scopes_are_told() -> None:
    firsts = [cells.split("|")[0] for cells in re.findall(r"^\| (.*)$", page("services"), re.MULTILINE)]
    told = {name for cell in firsts for name in re.findall("`([a-z:*]+)`", cell)}
    assert told >= {*PARTS, *SCOPES}


def test_the_urls_of_est_are_told() -> None:
    rows = re.findall(r"^\| [\w ]+ \| (`/.*) \|$", page("est"), re.MULTILINE)
    bases = [shape.base.replace("{label}", "<label>").replace("{path}", "<label>") for shape in SHAPES.values()]
    # OPNC's description writes its path doubled; the second writing is no client's.
    wanted = [base for base in bases if not base.startswith("/opnc/")]
    assert [base for base in wanted if not any(f"`{base}/<operation>" in row for row in rows)] == []
    operations = page("est").split("Operations are")[1].split(".\n")[0]
    assert set(re.findall("`([a-z]+)`", operations)) == {*OPERATIONS} - {"fullcmc"}


def test_every_room_is_told() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {
        path.stem for path in (ROOT / "v2gpki").iterdir() if path.is_dir() or path.suffix == ".py"
    } - {"__init__", "__main__", "__pycache__", "version"}
    firsts = re.findall(r"^\| ([^|]*) \|", text.split("## The tree")[1].split("\n## ")[0], re.MULTILINE)
    assert {name for cell in firsts for name in re.findall("`([a-z0-9_]+)`", cell)} == rooms
    [later] = re.findall(r"^Rooms that later work.*?:(.*?)\.$", text, re.DOTALL | re.MULTILINE)
    assert not rooms.intersection(re.findall("`([a-z]+)`", later))


def test_every_file_that_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    places = set(re.findall(r"`((?:cli|servers|wiring|services|clients|store|pnc|certs)/[a-z_/]+)[`.]", text))
    ours = ROOT / "v2gpki"
    missing = [name for name in places if not (ours / name).exists() and not (ours / f"{name}.py").exists()]
    assert missing == []


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def written(value: object) -> str:
    """A setting as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{one}"' for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def ours_of(line: str) -> list[list[str]]:
    """The arguments of each ``v2gpki`` in a line of shell."""
    found: list[list[str]] = []
    taking = False
    for word in shlex.split(line.replace("2>&1", "").replace(";", " ; ")):
        if word == "v2gpki" and not taking:
            found.append([])
            taking = True
        elif word in _ENDS:
            taking = False
        elif taking:
            found[-1].append(word)
    return found


def parsed(command: click.Command, arguments: list[str], parent: click.Context | None = None) -> None:
    """Read arguments as the command line does, and run nothing; raises ``click.UsageError``."""
    if not isinstance(command, click.Group):
        command.make_context(command.name, arguments, parent=parent)
        return
    with click.Context(command, parent=parent) as context:
        _, inner, rest = command.resolve_command(context, arguments)
        assert inner is not None
        parsed(inner, rest, context)


def resolved(words: list[str]) -> tuple[click.Command, int]:
    """The command that words name, and how many of them."""
    command: click.Command = cli
    used = 0
    with click.Context(cli) as context:
        while isinstance(command, click.Group) and used < len(words):
            inner = command.get_command(context, words[used])
            if inner is None:
                break
            command, used = inner, used + 1
    return command, used


def test_a_lab_pki_in_ten_lines(tmp_path: Path) -> None:
    example = ROOT / "examples" / "lab_pki.py"
    code = [line for line in example.read_text("utf-8").split('"""')[2].splitlines() if line.strip()]
    assert len(code) <= 10
    done = subprocess.run(
        [sys.executable, example, tmp_path / "lab"], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line.split("chain of ")[1] for line in done.stdout.splitlines()] == ["3", "3", "3"]


def test_a_signer_for_requests(tmp_path: Path) -> None:
    passphrase = "only for this test"
    lab = environment(V2GPKI_PASSPHRASE=passphrase, V2GPKI_HOME=str(tmp_path / "lab"))
    subprocess.run(
        [sys.executable, "-m", "v2gpki", "init", "--edition", "iso15118-2"], env=lab, capture_output=True, check=True
    )
    key = SUITES["p256"].generate()
    (tmp_path / "station.csr").write_bytes(build_csr(key, "whatever the station says"))
    signer = ROOT / "examples" / "csr_signer.py"
    command: list[str | Path] = [sys.executable, signer, tmp_path / "lab", tmp_path / "station.csr"]
    done = subprocess.run([*command, "DE*ACM*E0001"], env=lab, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("BEGIN CERTIFICATE") == 3
    refused = subprocess.run([*command, "no identifier"], env=lab, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "refused" in refused.stderr


def test_the_demo_says_that_the_library_proves_when_there_is_no_openssl_program(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, ROOT / "examples" / "demo.py", tmp_path / "demo"]
    alone = environment(PATH=str(tmp_path / "no-programs"))
    done = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(OpenSSL library; no openssl program here, -x509_strict)") == 13
    assert "Done: 13 certificates proven, 2 charging sessions, 2 things refused" in done.stdout
    # Each session as the vehicle saw it: over its TLS, with a contract installed on the way, to its planned end.
    assert done.stdout.count("stopped as planned after") == 2
    assert done.stdout.count("contract, installed") == 2
    assert "TLS 1.2  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256" in done.stdout
    assert "TLS 1.3  TLS_AES_256_GCM_SHA384, secp521r1" in done.stdout
    assert "kWh given back" in done.stdout


def test_the_demo_replaces_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work", "utf-8")
    command: list[str | Path] = [sys.executable, ROOT / "examples" / "demo.py", tmp_path]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
