"""A process that works in a home and dies where it is told to; started by ``test_kill``.

Usage: kill_child.py HOME NOTES STEP ROUNDS. Every call of store and vault that may change something is counted, once
before and once after; at the count STEP the process is gone without a word (STEP -1: never). Every answer is
noted down, flushed to the disk, as soon as it is there: that is what "handed out" means.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import v2gpki
from v2gpki.wiring import CertificateOrder

WATCHED = {
    "record_intents",
    "commit_results",
    "abandon",
    "revoke",
    "append_crl",
    "set_authority_state",
    "append_audit_head",
    "add_many",
    "discard",
    "sign",
}


class Death:
    """Counts steps, and ends the process at the chosen one."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self) -> None:
        if self.left == 0:
            os._exit(9)
        self.left -= 1


class Mortal:
    """Passes everything on; around the watched calls it may die. Signers that it gives are mortal too."""

    def __init__(self, inner: object, death: Death) -> None:
        self._inner = inner
        self._death = death

    def __getattr__(self, name: str) -> object:
        found = getattr(self._inner, name)
        if name == "signer":
            return lambda key_id: Mortal(found(key_id), self._death)
        if name not in WATCHED:
            return found

        def watched(*args: object, **named: object) -> object:
            self._death.step()
            answer = found(*args, **named)
            self._death.step()
            return answer

        return watched


def note(place: Path, *words: str) -> None:
    """Append one line, durable."""
    file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (" ".join(words) + "\n").encode())
    os.fsync(file)
    os.close(file)


def work(ca: v2gpki.CertificateAuthority, notes: Path, number: int) -> None:
    """One of everything: single, batch, escrow, authority, revocation, CRL."""
    single = ca.issue("secc", id=f"DE*ACM*E{number:06d}")
    note(notes, "issued", f"{single.record.serial:x}")
    for answer in ca.issue_many([CertificateOrder("contract", f"DEACMC{n:08d}") for n in range(3)]):
        note(notes, "issued", f"{answer.record.serial:x}")
    kept = ca.issue("oem", id="WACME000000000001", escrow=True)
    note(notes, "issued", f"{kept.record.serial:x}")
    authority = ca.create_authority("v2g-root", edition="iso15118-2", slug=f"root-{os.getpid()}-{number}")
    note(notes, "issued", f"{authority.serial:x}")
    ca.revoke(f"{single.record.serial:x}", "superseded")
    note(notes, "revoked", f"{single.record.serial:x}")
    crl = ca.publish_crl("iso2-cpo-sub-ca-2")
    note(notes, "crl", str(crl.number))


def live(ca: v2gpki.CertificateAuthority, notes: Path, step: int, rounds: int = 1) -> None:
    """Work until the end, or until the step."""
    death = Death(step)
    ca.store = Mortal(ca.store, death)  # type: ignore[assignment]  # stands in for the store
    ca.vault = Mortal(ca.vault, death)  # type: ignore[assignment]  # stands in for the vault
    note(notes, "ready")
    for number in range(rounds):
        work(ca, notes, number)
    ca.close()
    note(notes, "done")


def main() -> None:
    home, notes, step, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    passphrase = os.environ["KILL_PASSPHRASE"]
    live(v2gpki.open_authority(home, passphrase=passphrase, caller=f"child-{os.getpid()}"), notes, step, rounds)


if __name__ == "__main__":
    main()
