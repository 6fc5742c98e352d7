"""The core of the command line: laziness, one border for errors, options on both sides, files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import ItemsView, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from v2gpki.cli import COMMANDS, cli, files, passphrase, run
from v2gpki.cli.failure import report
from v2gpki.cli.frame import Frame, dump_json
from v2gpki.cli.options import MOMENT, with_global_options
from v2gpki.errors import Finding, V2GPKIError

HEAVY = ("cryptography", "sqlite3", "sqlite_utils", "rich", "OpenSSL", "asn1crypto", "pyhanko_certvalidator", "tomllib")


def process(*arguments: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("V2GPKI", "_V2GPKI"))}
    return subprocess.run(
        [sys.executable, "-m", "v2gpki", *arguments],
        input=stdin,
        capture_output=True,
        env=environment | variables,
        timeout=60,
        check=False,
    )


# -- laziness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["--help"], ["-h"], ["completion", "bash"], ["id", "check", "cpid", "CP1"], ["nonsense"]],
)
def test_nothing_heavy_is_loaded(arguments: list[str]) -> None:
    code = (
        "import sys; from v2gpki.cli import run; run(sys.argv[1:]);"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_completion_lists_commands_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "v2gpki",
        ],
        env=os.environ | {"_V2GPKI_COMPLETE": "bash_complete", "COMP_WORDS": "v2gpki c", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == [f"plain,{name}" for name in COMMANDS if name.startswith("c")]
    loaded = {line.split("|")[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded.intersection(HEAVY)


def test_the_commands_are_the_contract() -> None:
    assert set(COMMANDS) == {
        "init-root",
        "init",
        "ca",
        "contract",
        "installation",
        "rcp",
        "pcp",
        "crl",
        "ocsp",
        "ctl",
        "cert",
        "verify",
        "lint",
        "id",
        "tree",
        "exi",
        "export",
        "key",
        "audit",
        "serve",
        "secc",
        "evcc",
        "probe",
        "token",
        "webhook",
        "access",
        "completion",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_takes_the_global_options(name: str) -> None:
    def leaves(command: click.Command) -> Iterator[click.Command]:
        if isinstance(command, click.Group):
            for child in command.commands.values():
                yield from leaves(child)
        else:
            yield command

    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for leaf in leaves(command):
        flags = [flag for parameter in leaf.params for flag in parameter.opts]
        assert len(flags) == len(set(flags)), leaf.name
        assert {"--json", "--home", "--profiles", "--passphrase-file", "--debug"} <= set(flags)
        assert leaf.help


def test_the_completion_script_is_the_same_twice() -> None:
    first, second = process("completion", "fish"), process("completion", "fish")
    assert first.returncode == 0
    assert first.stdout == second.stdout
    assert b"_V2GPKI_COMPLETE=fish_complete" in first.stdout
    assert b"_V2GPKI_COMPLETE=zsh_complete" in process("completion", SHELL="/usr/bin/zsh").stdout
    assert b"_V2GPKI_COMPLETE=bash_complete" in process("completion", SHELL="/bin/csh").stdout


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["id", "check"], ["id", "check", "vin", "x"], ["tree", "--at", "soon"]]
)
def test_usage_errors_are_exit_2_for_people_and_programs(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("v2gpki: ")
    assert "hint: see v2gpki" in captured.err
    for where in ([*arguments, "--json"], ["--json", *arguments]):
        assert run(where) == 2
        captured = capsys.readouterr()
        value = json.loads(captured.err)
        assert list(value) == ["schema", "code", "message", "hint", "clause", "facts", "findings"]
        assert (value["schema"], value["code"]) == ("v2gpki/error/1", "usage.invalid")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    run(["tre"])
    assert "Did you mean 'tree'?" in capsys.readouterr().err


def test_no_command_shows_the_help_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "init-root" in capsys.readouterr().err
    assert run(["--json"]) == 2
    assert json.loads(capsys.readouterr().err)["message"] == "missing command"


REFUSAL = V2GPKIError(
    "identifier.invalid",
    "it is \x1b[31mwrong",
    hint="mend it",
    clause="[V2G2-1]",
    facts={"n": 1},
    findings=[Finding("x.y", "warning", "doubtful", "[V2G2-2]", "subject.CN", "leaf")],
)


def test_a_refusal_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(REFUSAL, ["x"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "v2gpki: it is \\x1b[31mwrong",
        "  warning leaf: subject.CN: doubtful [x.y; [V2G2-2]]",
        "hint: mend it",
        "clause: [V2G2-1]",
        "code: identifier.invalid",
    ]
    assert report(REFUSAL, ["--json"]) == 1
    value = json.loads(capsys.readouterr().err)
    assert value["facts"] == {"n": 1}
    assert value["findings"][0]["where"] == "subject.CN"
    assert report(REFUSAL, ["--", "--json"]) == 1
    assert capsys.readouterr().err.startswith("v2gpki: ")


@pytest.mark.parametrize(
    ("problem", "code", "status"),
    [
        (click.Abort(), "interrupted", 130),
        (RuntimeError("secret inside"), "internal.bug", 70),
        (KeyError("secret inside"), "internal.bug", 70),
        (PermissionError(13, "Permission denied", "/x"), "environment.failed", 3),
        (OSError(28, "No space left on device"), "environment.failed", 3),
        (click.UsageError("What?"), "usage.invalid", 2),
        (click.FileError("x", "gone"), "file.unreadable", 3),
        (V2GPKIError("file.exists", "x"), "file.exists", 1),
    ],
)
def test_exit_codes(problem: Exception, code: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(problem, ["--json"]) == status
    captured = capsys.readouterr()
    assert json.loads(captured.err)["code"] == code
    assert "secret inside" not in captured.err


def test_a_bug_shows_its_traceback_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(RuntimeError("boom"), []) == 70
    captured = capsys.readouterr().err
    assert "Traceback" not in captured
    assert "boom" not in captured
    assert "report" in captured
    assert report(RuntimeError("boom"), ["--debug"]) == 70
    assert "RuntimeError: boom" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_story() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "v2gpki", "id", "check", "text", *(["x" * 60] * 2000)],
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 3


# -- options and output ----------------------------------------------------------------------------


def seen(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> Frame:
    frames: list[Frame] = []

    @click.command(name="probe")
    @click.pass_obj
    def probe(frame: Frame) -> None:
        """Keep the frame."""
        frames.append(frame)

    monkeypatch.setitem(COMMANDS, "probe", ("x:y", "Probe."))
    monkeypatch.setitem(cli.commands, "probe", with_global_options(probe))
    assert run(arguments) == 0
    return frames[0]


@pytest.mark.parametrize(
    ("arguments", "home", "as_json", "profiles"),
    [
        (["probe"], None, False, ()),
        (["--home", "a", "--json", "probe"], "a", True, ()),
        (["probe", "--home", "a", "--json"], "a", True, ()),
        (["--home", "a", "probe", "--home", "b"], "b", False, ()),
        (["--profiles", "p", "probe", "--profiles", "q"], None, False, ("p", "q")),
    ],
)
def test_global_options_stand_on_both_sides(
    arguments: list[str],
    home: str | None,
    as_json: bool,
    profiles: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("V2GPKI_PROFILES", raising=False)
    frame = seen(arguments, monkeypatch)
    assert (frame.home, frame.json, tuple(map(str, frame.profiles))) == (home, as_json, profiles)


def test_profiles_from_the_environment_give_way_to_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2GPKI_PROFILES", f"a{os.pathsep}b")
    assert seen(["probe"], monkeypatch).profiles == (Path("a"), Path("b"))
    assert seen(["--profiles", "c", "probe"], monkeypatch).profiles == (Path("c"),)
    assert seen(["probe", "--profiles", "c"], monkeypatch).profiles == (Path("c"),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00.9+02:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    assert MOMENT.convert(text, None, None) == moment


def test_a_result_is_one_value_in_two_views(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"schema": "v2gpki/x/1", "at": datetime(2026, 1, 2, tzinfo=UTC), "octets": b"\xff", "path": Path("p")}
    frame = Frame(json=True)
    frame.warn("beware")
    frame.emit(value, "unused")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {
        "schema": "v2gpki/x/1",
        "at": "2026-01-02T00:00:00Z",
        "octets": "ff",
        "path": "p",
        "warnings": ["beware"],
    }
    plain = Frame()
    plain.warn("beware")
    plain.emit(value, lambda console: console.print("[bold]text[/bold] " + "x" * 200))
    captured = capsys.readouterr()
    assert captured.err == "v2gpki: warning: beware\n"
    assert captured.out == "[bold]text[/bold] " + "x" * 200 + "\n"
    with pytest.raises(ValueError, match="schema"):
        frame.emit({"a": 1}, "")
    with pytest.raises(TypeError):
        dump_json({"x": object()})


# -- passphrases -------------------------------------------------------------------------------------


def of_home(file: Path | None = None, configured: Path | None = None) -> tuple[str, list[str]]:
    warnings: list[str] = []
    return passphrase.of_home(file, configured=configured, confirm=False, warn=warnings.append), warnings


def secret(folder: Path, name: str, data: bytes, mode: int = 0o600) -> Path:
    file = folder / name
    file.write_bytes(data)
    file.chmod(mode)
    return file


def test_where_the_passphrase_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = secret(tmp_path, "flag", b" from flag \n")
    named = secret(tmp_path, "named", b"from variable\r\n")
    configured = secret(tmp_path, "configured", b"from settings")
    monkeypatch.delenv("V2GPKI_PASSPHRASE", raising=False)
    monkeypatch.delenv("V2GPKI_PASSPHRASE_FILE", raising=False)
    assert of_home(None, configured) == ("from settings", [])
    monkeypatch.setenv("V2GPKI_PASSPHRASE_FILE", str(named))
    assert of_home(None, configured)[0] == "from variable"
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "from environment")
    assert of_home(None, configured)[0] == "from environment"
    assert of_home(flag, configured)[0] == " from flag "


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "passphrase.empty"), (b"\n", "passphrase.empty"), (b"\xff", "file.unreadable"), (b"x" * 70000, None)],
)
def test_passphrase_files_that_are_refused(tmp_path: Path, data: bytes, code: str | None) -> None:
    with pytest.raises(V2GPKIError) as caught:
        of_home(secret(tmp_path, "file", data))
    assert caught.value.code == (code or "file.unreadable")
    with pytest.raises(V2GPKIError):
        of_home(tmp_path / "missing")


def test_a_file_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    text, warnings = of_home(secret(tmp_path, "file", b"open\n", 0o644))
    assert text == "open"
    assert len(warnings) == 1
    assert "chmod 600" in warnings[0]


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("V2GPKI_PASSPHRASE_FILE", raising=False)
    monkeypatch.setenv("V2GPKI_PASSPHRASE", "")
    with pytest.raises(V2GPKIError) as caught:
        of_home()
    assert caught.value.code == "passphrase.empty"
    monkeypatch.delenv("V2GPKI_PASSPHRASE")
    with open(os.devnull, encoding="ascii") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(V2GPKIError) as caught:
            of_home()
    assert caught.value.code == "passphrase.missing"
    assert caught.value.outcome.exit_code == 3


# -- files -------------------------------------------------------------------------------------------


def test_files_appear_whole_and_are_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "cert.pem"
    files.write_output(target, b"one")
    with pytest.raises(V2GPKIError) as caught:
        files.write_output(target, b"two")
    assert (caught.value.code, target.read_bytes()) == ("file.exists", b"one")
    files.write_output(target, b"two", force=True)
    assert target.read_bytes() == b"two"
    assert os.listdir(target.parent) == ["cert.pem"]


def test_secrets_are_closed_and_the_umask_rules_the_rest(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        files.write_folder(tmp_path, {"key.pem": b"k", "cert.pem": b"c"}, secret=["key.pem"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "cert.pem").stat().st_mode) == 0o644


def test_several_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "c").symlink_to("nowhere")
    with pytest.raises(V2GPKIError) as caught:
        files.write_folder(tmp_path, {"a": b"a", "b": b"b", "c": b"c"})
    assert caught.value.code == "file.exists"
    assert sorted(os.listdir(tmp_path)) == ["c"]
    with pytest.raises(V2GPKIError) as caught:
        files.write_folder(tmp_path, {"a": b"a", "b/none": b"b"})
    assert caught.value.code == "file.unwritable"
    assert sorted(os.listdir(tmp_path)) == ["c"]


def test_a_folder_in_the_way_is_seen_before_anything_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"old")
    (tmp_path / "chain.pem").mkdir()
    with pytest.raises(V2GPKIError) as refused:
        files.write_folder(tmp_path, {"key.pem": b"new", "chain.pem": b"new"}, force=True)
    assert refused.value.code == "file.exists"
    assert (tmp_path / "key.pem").read_bytes() == b"old"


class Overtaken(dict[str, bytes]):
    """Files of which another process writes one, after we looked whether the place is free."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.folder = folder

    def items(self) -> ItemsView[str, bytes]:
        (self.folder / "b").write_bytes(b"theirs")
        return super().items()


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(V2GPKIError) as caught:
        files.write_folder(tmp_path, Overtaken(tmp_path, {"a": b"ours", "b": b"ours", "c": b"ours"}))
    assert caught.value.code == "file.exists"
    assert os.listdir(tmp_path) == ["b"]
    assert (tmp_path / "b").read_bytes() == b"theirs"


def test_unwritable_and_unreadable_places(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 11)
    with pytest.raises(V2GPKIError) as caught:
        files.write_output(tmp_path / "file" / "below", b"")
    assert caught.value.code == "file.unwritable"
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(V2GPKIError) as caught:
            files.read_input(path)
        assert caught.value.code == "file.unreadable"
        assert str(path) in caught.value.message
    with pytest.raises(V2GPKIError) as caught:
        files.read_input(tmp_path / "file", limit=10)
    assert caught.value.facts["limit"] == 10
    assert files.read_input(tmp_path / "file", limit=11) == b"x" * 11


# -- id ------------------------------------------------------------------------------------------------


def test_id_check_counts_and_exits_1_when_any_is_invalid(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["id", "check", "EMAID", "NL-TNM-012204-5", "x", "--json"]) == 1
    value = json.loads(capsys.readouterr().out)
    assert (value["schema"], value["valid"], value["invalid"]) == ("v2gpki/id/1", 1, 1)
    assert value["values"][0]["normal"] == "NLTNM000122045U"
    assert value["values"][0]["forms"]["iso"] == "NL-TNM-000122045-U"
    assert value["values"][1]["code"] == "identifier.invalid"
    assert run(["id", "check", "EMAID", "NL-TNM-000122045-X"]) == 0
    assert "computed U" in capsys.readouterr().out


def test_id_check_reads_lines() -> None:
    done = process("--json", "id", "check", "pcid", "-", stdin=b"DEHUBCOPNCPROVCER\r\n\nOEMProvCert\xff\n")
    assert done.returncode == 1
    value = json.loads(done.stdout)
    assert [item["valid"] for item in value["values"]] == [True, False]


def test_id_make(capsys: pytest.CaptureFixture[str]) -> None:
    fields = ["--country", "NL", "--provider", "TNM", "--instance", "000122045"]
    assert run(["id", "make", "emaid", *fields, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"][0]["normal"] == "NLTNM000122045U"
    assert run(["id", "make", "evseid", *fields]) == 1
    assert "operator is missing" in capsys.readouterr().err
