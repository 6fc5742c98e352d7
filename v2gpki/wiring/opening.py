"""Opening a home: settings, the SQLite store and, when a passphrase is given, the key vault.

Unlocking is one slow step of pure arithmetic (71 ms of PBKDF2): it runs in a thread beside the imports that
opening needs anyway, so that on two cores it costs a command next to nothing.
"""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from v2gpki.clock import Clock
from v2gpki.errors import V2GPKIError
from v2gpki.wiring.home import KEYS_FOLDER, SETTINGS_FILE, STORE_FILE, SystemClock, home_folder, make_folder
from v2gpki.wiring.settings import load_settings

if TYPE_CHECKING:
    from v2gpki.keys.vault import Vault
    from v2gpki.wiring.authority import CertificateAuthority
    from v2gpki.wiring.signing.client import RemoteSigning


def open_authority(
    home: str | Path | None = None,
    *,
    passphrase: str | Callable[[], str] | None = None,
    profiles: Sequence[Path] = (),
    create: bool = False,
    clock: Clock | None = None,
    caller: str = "",
    signing: RemoteSigning | None = None,
    settings_file: str | Path | None = None,
) -> CertificateAuthority:
    """Open a home, or create it with ``create``.

    ``home`` None is ``V2GPKI_HOME`` or the default folder. ``passphrase`` (or a function that asks for it)
    unlocks the private keys; without it the home can only be read. ``profiles`` are folders of own profiles,
    ``clock`` defaults to the machine's, ``caller`` is the name in the audit log (default: the user's). ``signing``
    signs where another process has the keys; no passphrase is given then. ``settings_file`` is read instead of
    ``v2gpki.toml`` in the home.

    Raises ``home.missing``, ``home.unwritable``, ``key.wrong_passphrase``, ``store.damaged``, ``store.newer_home``,
    ``settings.*``, ``profile.*``.
    """
    folder = home_folder(home)
    database, keys = folder / STORE_FILE, folder / KEYS_FOLDER
    new = not database.exists()
    if not create:
        require_home(folder)
    settings = load_settings(folder / SETTINGS_FILE if settings_file is None else Path(settings_file))
    secret = passphrase() if callable(passphrase) else passphrase
    if create:
        # Only now: a person who turns away at the prompt leaves nothing behind.
        make_folder(folder)
    unlocking = None if secret is None else _Unlocking(keys, secret, create=create and new)

    # Imported here, beside the slow step of unlocking.
    from v2gpki.profile.load import Catalogue  # noqa: PLC0415
    from v2gpki.store.sqlite import SqliteStore  # noqa: PLC0415
    from v2gpki.wiring.authority import CertificateAuthority  # noqa: PLC0415

    catalogue = Catalogue(tuple(profiles))
    vault = None if unlocking is None else unlocking.vault()
    store = SqliteStore(database, create=create)
    try:
        if vault is not None:
            from v2gpki.wiring.sealing import prepare  # noqa: PLC0415  # keeps reading fast

            prepare(store, vault)
        return CertificateAuthority(
            folder,
            store,
            catalogue,
            clock or SystemClock(),
            settings,
            vault=vault,
            caller=caller or _user(),
            signing=signing,
        )
    except V2GPKIError:
        store.close()
        raise


def require_home(folder: Path) -> None:
    """Raises ``home.missing`` where there is none: whoever asks for a passphrase should look first."""
    if not (folder / STORE_FILE).exists():
        raise V2GPKIError(
            "home.missing",
            f"there is no v2gpki home at {folder}",
            hint="v2gpki init-root or v2gpki init creates one; --home or V2GPKI_HOME names another folder",
            facts={"home": str(folder)},
        )



class _Unlocking(threading.Thread):
    """Opens or creates the vault in a thread of its own; ``vault`` waits for it and raises what it raised."""

    def __init__(self, keys: Path, passphrase: str, *, create: bool) -> None:
        super().__init__(name="v2gpki-unlock", daemon=True)
        self._keys = keys
        self._passphrase = passphrase
        self._create = create
        self._vault: Vault | None = None
        self._refusal: V2GPKIError | None = None
        self.start()

    def run(self) -> None:
        try:
            self._vault = self._open()
        except V2GPKIError as refusal:
            self._refusal = refusal

    def vault(self) -> Vault:
        """The unlocked vault."""
        self.join()
        if self._refusal is not None:
            raise self._refusal
        if self._vault is None:
            raise V2GPKIError("internal.bug", "unlocking ended without a vault and without a refusal")
        return self._vault

    def _open(self) -> Vault:
        from v2gpki.keys.vault import Vault  # noqa: PLC0415  # keeps reading fast

        if Vault.exists(self._keys):
            return Vault.unlock(self._keys, self._passphrase)
        if self._create:
            return Vault.create(self._keys, self._passphrase)
        raise V2GPKIError(
            "home.keys_missing",
            f"the home has a store but no keys in {self._keys}",
            hint="restore the keys folder from a backup; without it this home can only be read",
            facts={"keys": str(self._keys)},
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
