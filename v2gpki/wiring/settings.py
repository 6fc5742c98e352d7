"""The settings of a home: ``<home>/v2gpki.toml``, overridden by ``V2GPKI_*`` and by flags.

Unknown keys are errors; a secret never stands in this file, only the path of a file that holds one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path

from v2gpki.errors import V2GPKIError
from v2gpki.wiring.serve_settings import ServeSettings, read_table, with_environment

#: The organisation of a home that nobody gave one: plainly no real one.
DEFAULT_ORG = "Lab"
#: What "both" editions are.
MAIN_EDITIONS = ("iso15118-2", "iso15118-20")
_LARGEST_CRL_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Settings:
    """What a home writes into certificates and how it behaves.

    ``org`` "" means that nobody chose one yet. ``ocsp_url`` goes into AIA, ``crl_base`` is the start of CRL
    distribution points (``<crl_base>/<name>.crl``, `services.crl_names`), "" writes none. ``crl_days`` is the time
    from a CRL's thisUpdate to its nextUpdate. ``passphrase_file`` holds the home's passphrase, ``serve`` is the table
    ``[serve]``.
    """

    org: str = ""
    country: str = ""
    ocsp_url: str = "http://127.0.0.1:8080/ocsp"
    crl_base: str = ""
    crl_days: int = 7
    passphrase_file: str = ""
    serve: ServeSettings = field(default_factory=ServeSettings)

    @property
    def crl_lifetime(self) -> timedelta:
        """How long a CRL holds."""
        return timedelta(days=self.crl_days)


def load_settings(file: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the file (if it is there) and the environment, which wins.

    Raises ``settings.malformed``, ``settings.unknown_key`` or ``settings.bad_value``, each naming file and key.
    """
    environment = os.environ if environment is None else environment
    table: dict[str, object] = {}
    if file.exists():
        try:
            table = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as problem:
            raise V2GPKIError(
                "settings.malformed",
                f"{file}: no readable TOML: {problem}",
                hint="correct the file; it holds lines such as org = \"Acme\"",
                facts={"file": str(file)},
            ) from problem
    served = read_table(table.pop("serve", {}), str(file))
    settings = Settings(serve=with_environment(served, environment))
    known = {one.name: type(getattr(settings, one.name)) for one in fields(Settings) if one.name != "serve"}
    for key, value in table.items():
        settings = _with(settings, known, key, value, str(file))
    for key, kind in known.items():
        text = environment.get(f"V2GPKI_{key.upper()}")
        if text is not None:
            value = int(text) if kind is int and text.isdecimal() else text
            settings = _with(settings, known, key, value, f"V2GPKI_{key.upper()}")
    return settings


def _with(settings: Settings, known: Mapping[str, type], key: str, value: object, source: str) -> Settings:
    if key not in known:
        raise V2GPKIError(
            "settings.unknown_key",
            f"{source}: there is no setting {key!r}",
            hint="settings are " + ", ".join(sorted(known)),
            facts={"file": source, "key": key},
        )
    if type(value) is not known[key]:
        raise V2GPKIError(
            "settings.bad_value",
            f"{source}: {key} must be of type {known[key].__name__}, not {type(value).__name__}",
            hint=f"correct {key} in {source}",
            facts={"file": source, "key": key},
        )
    if isinstance(value, int):
        if not 1 <= value <= _LARGEST_CRL_DAYS:
            raise V2GPKIError(
                "settings.bad_value",
                f"{source}: {key} = {value} is out of range 1 to {_LARGEST_CRL_DAYS}",
                hint=f"correct {key} in {source}",
                facts={"file": source, "key": key},
            )
        return replace(settings, crl_days=value)
    return _with_text(settings, key, str(value), source)


def _with_text(settings: Settings, key: str, text: str, source: str) -> Settings:
    if key in ("ocsp_url", "crl_base") and text and not (text.isascii() and text.startswith(("http://", "https://"))):
        raise V2GPKIError(
            "settings.bad_value",
            f"{source}: {key} = {text!r} is no http URL in ASCII",
            hint="give a URL such as http://ocsp.example.com/ocsp, or \"\" for none",
            facts={"file": source, "key": key},
        )
    match key:
        case "org":
            return replace(settings, org=text)
        case "country":
            return replace(settings, country=text)
        case "ocsp_url":
            return replace(settings, ocsp_url=text)
        case "crl_base":
            return replace(settings, crl_base=text.rstrip("/"))
        case _:
            return replace(settings, passphrase_file=text)
