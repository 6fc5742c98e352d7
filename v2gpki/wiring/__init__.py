"""Configuration becomes store, keys and services: the only room that names a backend.

``open_authority`` is the door that the command line and programs use. It reads ``<home>/v2gpki.toml``,
opens the SQLite store and, when a passphrase is given, the key vault.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.wiring.authority import DEFAULT_ORG, CertificateAuthority, CertificateOrder
from v2gpki.wiring.home import KEYS_FOLDER, SETTINGS_FILE, STORE_FILE, SystemClock, home_folder, make_folder
from v2gpki.wiring.settings import Settings, load_settings

__all__ = [
    "DEFAULT_ORG",
    "SETTINGS_FILE",
    "CertificateAuthority",
    "CertificateOrder",
    "Settings",
    "SystemClock",
    "home_folder",
    "load_settings",
    "open_authority",
]


def open_authority(
    home: str | Path | None = None,
    *,
    passphrase: str | Callable[[], str] | None = None,
    profiles: Sequence[Path] = (),
    create: bool = False,
    clock: Clock | None = None,
    caller: str = "",
) -> CertificateAuthority:
    """Open a home, or create it with ``create``.

    ``home`` None is ``V2GPKI_HOME`` or the default folder. ``passphrase`` (or a function that asks for it)
    unlocks the private keys; without it the home can only be read. ``profiles`` are folders of own profiles,
    ``clock`` defaults to the machine's, ``caller`` is the name in the audit log (default: the user's).

    Raises ``home.missing``, ``home.unwritable``, ``key.wrong_passphrase``, ``store.damaged``, ``store.newer_home``,
    ``settings.*``, ``profile.*``.
    """
    folder = home_folder(home)
    clock = clock or SystemClock()
    database, keys = folder / STORE_FILE, folder / KEYS_FOLDER
    if not database.exists() and not create:
        raise V2GPKIError(
            "home.missing",
            f"there is no v2gpki home at {folder}",
            hint="v2gpki init-root or v2gpki init creates one; --home or V2GPKI_HOME names another folder",
            facts={"home": str(folder)},
        )
    if create:
        make_folder(folder)
    settings = load_settings(folder / SETTINGS_FILE)

    from v2gpki.profile.load import Catalogue  # noqa: PLC0415  # keeps start-up fast
    from v2gpki.store.sqlite import SqliteStore  # noqa: PLC0415  # keeps start-up fast

    catalogue = Catalogue(tuple(profiles))
    vault = None
    if passphrase is not None:
        from v2gpki.keys.vault import Vault  # noqa: PLC0415  # keeps start-up fast

        secret = passphrase if isinstance(passphrase, str) else passphrase()
        if Vault.exists(keys):
            vault = Vault.unlock(keys, secret)
        elif create and not database.exists():
            vault = Vault.create(keys, secret)
        else:
            raise V2GPKIError(
                "home.keys_missing",
                f"the home {folder} has a store but no keys in {keys}",
                hint="restore the keys folder from a backup; without it this home can only be read",
                facts={"home": str(folder)},
            )
    store = SqliteStore(database, create=create)
    try:
        if vault is not None:
            from v2gpki.wiring.sealing import prepare  # noqa: PLC0415  # keeps start-up fast

            prepare(store, vault)
        return CertificateAuthority(
            folder, store, catalogue, clock, settings, vault=vault, caller=caller or _user()
        )
    except V2GPKIError:
        store.close()
        raise


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
