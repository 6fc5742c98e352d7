"""What the shell is offered: values of editions, roles, key families and CAs; nothing where there is no home."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from tests.homes.test_homes import unpack
from v2gpki.cli import cli
from v2gpki.wiring.glance import authority_names

PROFILES = Path(__file__).parents[2] / "profiles"
EDITIONS = {"iso15118-2", "iso15118-20", "lab-ecog-20", "ocpp"}
ROOTS = {"v2g-root", "mo-root", "oem-root", "private-root", "csms-root", "manufacturer-root"}


def offered(*words: str, incomplete: str = "") -> set[str]:
    """What completes ``incomplete`` behind these words."""
    found = ShellComplete(cli, {}, "v2gpki", "_V2GPKI_COMPLETE").get_completions(list(words), incomplete)
    values = [item.value for item in found]
    assert len(set(values)) == len(values)
    return set(values)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder: octets and the time of the last change."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--edition"),
        ("lint", "--edition"),
        ("init", "--edition"),
        ("init-root", "--edition"),
        ("ca", "create", "sub", "--edition"),
        ("cert", "list", "--edition"),
        ("cert", "issue", "secc", "--edition"),
        ("pcp", "register", "--edition"),
        ("contract", "list", "--expiring-soon", "--edition"),
        ("installation", "request", "--edition"),
        ("tree", "--edition"),
        ("export", "--edition"),
        ("access", "register", "--edition"),
        ("ctl", "create", "--edition"),
    ],
    ids=" ".join,
)
def test_editions(words: tuple[str, ...]) -> None:
    assert offered(*words) == EDITIONS
    assert offered(*words, incomplete="iso15118-2") == {"iso15118-2", "iso15118-20"}
    assert offered(*words, incomplete="x") == set()


def test_roles_of_the_edition_and_of_the_command() -> None:
    everything = offered("verify", "--role")
    files = {path.stem for path in PROFILES.glob("*/*.toml")} - {"edition"}
    assert everything == files
    assert offered("lint", "--edition", "iso15118-2", "--role") == {
        path.stem for path in (PROFILES / "iso15118-2").glob("*.toml")
    } - {"edition"}
    leaves = {"contract", "cps", "ocsp", "oem", "secc", "oem-x448", "vehicle", "csms", "manufacturer", "station"}
    assert offered("cert", "issue") == leaves
    assert offered("ca", "create") == everything - leaves
    assert offered("cert", "issue", "--edition", "ocpp") == {"csms", "station", "manufacturer"} & leaves
    assert offered("cert", "issue", incomplete="s") == {"secc", "station"}
    assert offered("access", "register", "--role") == leaves - {"ocsp"}
    assert offered("rcp", "list", "--role") == ROOTS
    assert offered("ctl", "create", "--role") == ROOTS
    assert offered("init-root", "--role") == {"v2g", "mo", "oem", "private"}


def test_stations_and_vehicles() -> None:
    assert offered("secc", "run", "--edition") == {"iso15118-2", "iso15118-20"}
    assert offered("secc", "run", "--power", incomplete="1") == {"11kW", "150kW"}
    assert offered("evcc", "run", "--energy") >= {"20kWh"}
    assert offered("evcc", "run", "--auth") == {"pnc", "eim", "pnc,eim"}
    assert "lo" in offered("probe", "secc", "--interface")
    assert offered("probe") == {"secc", "evcc"}


def test_scopes_of_a_token() -> None:
    assert offered("token", "create", "csms", "--scope") >= {"est", "pools", "pools:mo", "webhooks", "*"}
    assert offered("token", "create", "csms", "--scope", incomplete="pools:o") == {"pools:oem"}


def test_commands_and_options_of_the_services() -> None:
    assert {"serve", "token", "access", "webhook", "ocsp", "ctl"} <= offered()
    assert offered("token") == {"create", "list", "revoke"}
    assert offered("ocsp", incomplete="s") == {"signers", "staple"}
    assert offered("ocsp", "staple", "--layout") == {"plain", "everest"}
    assert offered("serve", incomplete="--tls") == {"--tls", "--tls-name", "--tls-cert", "--tls-key"}
    assert "--signing-process" not in offered("serve", incomplete="--s")


def test_key_families_of_the_role() -> None:
    assert offered("verify", "--edition", "iso15118-2", "--role", "secc", "--suite") == {"p256"}
    assert offered("cert", "issue", "secc", "--edition", "iso15118-20", "--suite") == {"p521", "ed448"}
    assert {"p256", "p521", "ed448"} <= offered("lint", "--suite")


def test_authorities_of_a_home(home_iso2: Path) -> None:
    before = snapshot(home_iso2)
    names = {"iso2-v2g-root", "iso2-cpo-sub-ca-1", "iso2-cpo-sub-ca-2"}
    for words in (("ca", "show"), ("ca", "cert"), ("crl", "issue"), ("key", "export"), ("cert", "list", "--issuer")):
        assert names <= offered("--home", str(home_iso2), *words), words
    assert offered("ca", "--home", str(home_iso2), "show", incomplete="iso2-cpo") == {
        "iso2-cpo-sub-ca-1",
        "iso2-cpo-sub-ca-2",
    }
    assert offered("--home", str(home_iso2), "ca", "show", incomplete="iso2-v2g-root@") == {"iso2-v2g-root@1"}
    assert snapshot(home_iso2) == before


def test_the_home_of_the_environment(home_iso2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("V2GPKI_HOME", str(home_iso2))
    assert offered("ca", "show", incomplete="iso2-v2g") == {"iso2-v2g-root"}


def test_a_home_that_cannot_be_read_offers_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V2GPKI_HOME", str(tmp_path / "none"))
    assert offered("ca", "show") == set()
    assert not (tmp_path / "none").exists()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "store.db").write_bytes(b"no database" * 100)
    assert offered("--home", str(broken), "ca", "show") == set()
    assert offered("--home", "~nobody-of-that-name/x", "ca", "show") == set()
    assert offered("--profiles", str(tmp_path / "none"), "verify", "--edition") == set()
    assert capfd.readouterr() == ("", "")


def test_a_home_of_an_older_release_is_not_migrated(tmp_path: Path) -> None:
    database = unpack(1, tmp_path) / "store.db"
    before = snapshot(tmp_path)
    assert authority_names(database.parent) == ()
    assert snapshot(tmp_path) == before


def test_other_values_are_still_taken() -> None:
    """What is offered is no choice: a role of one's own stands in no list."""
    verify = cli.get_command(cli.make_context("v2gpki", ["verify"], resilient_parsing=True), "verify")
    assert verify is not None
    (role,) = (parameter for parameter in verify.params if parameter.name == "role")
    assert role.type.convert("my-own", role, None) == "my-own"
