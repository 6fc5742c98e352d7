"""The main job from nothing: a whole Plug & Charge PKI, proven, used, revoked, published.

Run by ``make demo``. Everything stands in a folder that is made anew (default: ``.demo``); the commands
are the ones that a person would type, and each is printed before it runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from cryptography import x509
from OpenSSL import crypto

from v2gpki.certs.csr import build_csr
from v2gpki.cli import run
from v2gpki.keys.suites import SUITES

EDITIONS = {"iso15118-2": ("p256",), "iso15118-20": ("p521", "ed448")}
PCID = "WACME000000000001"
LEAFS = {
    "iso15118-2": (("secc", "DE*ACM*E0001*1"), ("oem", PCID), ("contract", "DEACMC12345678G")),
    "iso15118-20": (
        ("secc", "DE*ACM*E0001*1"),
        ("oem", PCID),
        ("vehicle", "WACME000000000001"),
        ("contract", "DEACMC12345678G"),
    ),
}


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".demo").absolute()
    prepare(folder)
    title("1. Every chain of the ecosystem, ISO 15118-2 and -20")
    v2gpki("init", "--edition", "both", "--org", "Acme")
    v2gpki("init", "--edition", "both", "--org", "Acme")
    v2gpki("tree")
    v2gpki("tree", "--svg", "hierarchy.svg", "--force")

    title("2. Certificates for a station, a vehicle and a contract; keys handed out encrypted")
    issued = []
    for edition, families in EDITIONS.items():
        for suite in families:
            for role, identifier in LEAFS[edition]:
                if role == "contract" and len(issued) < len(LEAFS["iso15118-2"]):
                    v2gpki("contract", "create", "--emaid", identifier, "--pcid", PCID)
                out = f"{edition}-{suite}-{role}"
                v2gpki(
                    *("cert", "issue", role, "--id", identifier, "--edition", edition, "--suite", suite),
                    *("--key-passphrase-file", "handed-out.txt", "--out", out),
                )
                issued.append((edition, suite, role, out))

    title("3. A certificate request from outside: its key is certified, its wishes are not")
    request_from_outside(folder / "station.csr")
    v2gpki(
        *("cert", "issue", "secc", "--id", "DE*ACM*E0002", "--edition", "iso15118-2"),
        *("--csr", "station.csr", "--out", "outside"),
    )
    issued.append(("iso15118-2", "p256", "secc", "outside"))

    title("4. Proof by OpenSSL, and by our own role rules")
    for edition, suite, role, out in issued:
        root = root_of(edition, suite, role)
        v2gpki("ca", "cert", root, "--out", f"{root}.pem", "--force", quiet=True)
        proven_by_openssl(folder / f"{root}.pem", folder / out)
    v2gpki(
        *("verify", "iso15118-2-p256-contract/chain.pem", "--anchor", "iso2-mo-root.pem"),
        *("--role", "contract", "--edition", "iso15118-2"),
    )

    title("5. A vehicle asks for its contract, gets it wrapped for its key, and opens it; every signature explained")
    vehicle = ("--oem-key", "iso15118-2-p256-oem/key.pem", "--oem-key-passphrase-file", "handed-out.txt")
    chain = ("--oem-chain", "iso15118-2-p256-oem/chain.pem")
    v2gpki("ca", "cert", "iso2-v2g-root", "--out", "iso2-v2g-root.pem", "--force", quiet=True)
    v2gpki("installation", "request", *vehicle, *chain, "--root", "iso2-v2g-root.pem", "--out", "request.exi")
    v2gpki("installation", "answer", "--request", "request.exi", "--out", "answer.exi")
    anchor = ("--anchor", "iso2-v2g-root.pem")
    v2gpki("installation", "explain", "answer.exi", "--request", "request.exi", *vehicle, *anchor)
    v2gpki(
        *("installation", "open", "answer.exi", *vehicle, *anchor),
        *("--key-passphrase-file", "handed-out.txt", "--out", "installed"),
    )
    proven_by_openssl(folder / "iso2-mo-root.pem", folder / "installed", leaf="contract.pem")
    damaged = bytearray((folder / "answer.exi").read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    (folder / "damaged.exi").write_bytes(damaged)
    print("(one bit of the answer is turned over)")
    refused = v2gpki("installation", "explain", "damaged.exi", *anchor, expected=1)

    sessions()

    title("8. Revocation, and the CRL that tells everybody")
    v2gpki("cert", "revoke", "DE*ACM*E0002", "--reason", "keyCompromise", "--yes")
    v2gpki("crl", "issue", "iso2-cpo-sub-ca-2", "--out", "cpo.crl")
    refused += v2gpki(
        *("verify", "outside/chain.pem", "--anchor", "iso2-v2g-root.pem", "--crl", "cpo.crl"),
        *("--role", "secc", "--edition", "iso15118-2"),
        expected=1,
    )

    title("9. The audit log, from the first certificate to the revocation")
    v2gpki("audit", "verify")
    print(f"\nDone: {len(issued) + 1} certificates proven, 2 charging sessions,", end=" ")
    print(f"{refused} things refused as they should be.", end=" ")
    print(f"Everything is in {folder}")
    return 0


def sessions() -> None:
    title("6. It plugs in: TLS, a contract installed on the way, authorised by its signature, charged (-2, AC)")
    charges("iso15118-2", ("--price", "0.49"), ("--energy", "2kWh"))
    title("7. The same in ISO 15118-20, over mutual TLS 1.3; the battery gives energy back first (DC, bidirectional)")
    both_ways = ("--power", "50kW", "--discharge", "20kW")
    charges("iso15118-20", both_ways, ("--current", "dc", "--energy", "2kWh", "--discharge", "3kWh"))


def charges(edition: str, of_station: tuple[str, ...], of_vehicle: tuple[str, ...]) -> None:
    """A station in a process of its own, and a vehicle that plugs in, charges and leaves; certificates and contract are
    the home's. Energy flows 600 times faster than the clock."""
    ready = Path("station.json")
    ready.unlink(missing_ok=True)
    words = ["secc", "run", "--pki", "home", "--contracts", "--edition", edition, *of_station, "--speed", "600"]
    words += ["--listen", f"{loopback()}:0", "--once", "--ready-file", str(ready)]
    print(f"$ v2gpki {' '.join(words)} &", flush=True)
    with open("station.log", "wb") as log:
        station = subprocess.Popen([sys.executable, "-m", "v2gpki", *words], stdout=log, stderr=subprocess.STDOUT)
    try:
        while not ready.exists():
            if station.poll() is not None:
                raise SystemExit(f"demo: the station ended\n{Path('station.log').read_text('utf-8')}")
            time.sleep(0.05)
        address = json.loads(ready.read_text("utf-8"))["address"]
        vehicle = ("--pki", "home", "--install-contract", "--edition", edition, *of_vehicle, "--speed", "600")
        v2gpki("evcc", "run", "--connect", address, *vehicle)
        if station.wait(timeout=30):
            raise SystemExit(f"demo: the station is not content\n{Path('station.log').read_text('utf-8')}")
    finally:
        station.kill()
        station.wait()


def loopback() -> str:
    """This machine's own address: [::1], where it has IPv6."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return "127.0.0.1"
    return "[::1]"


def prepare(folder: Path) -> None:
    """An empty folder with two passphrases that nobody has to know; only what a demo made is replaced."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "handed-out.txt").is_file():
            raise SystemExit(f"demo: {folder} is not empty and not of an earlier demo; name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    os.chdir(folder)
    for name in ("passphrase.txt", "handed-out.txt"):
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    for variable in [name for name in os.environ if name.startswith("V2GPKI_")]:
        del os.environ[variable]
    os.environ["V2GPKI_HOME"] = "home"
    os.environ["V2GPKI_PASSPHRASE_FILE"] = "passphrase.txt"


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def v2gpki(*arguments: str, expected: int = 0, quiet: bool = False) -> int:
    """Print a command as one would type it, run it, and stop the demo if it does not end as expected.

    Returns 1 when it was refused as expected, else 0.
    """
    if not quiet:
        shown = " ".join(f"'{word}'" if "*" in word else word for word in arguments)
        print(f"$ v2gpki {shown}", flush=True)
    status = run(arguments)
    if status != expected:
        raise SystemExit(f"demo: v2gpki {arguments[0]} ended with {status}, expected was {expected}")
    return int(expected == 1)


def root_of(edition: str, suite: str, role: str) -> str:
    """The slug of the root that the default hierarchies put above a role."""
    prefix = "iso2" if edition == "iso15118-2" else f"iso20-{suite}"
    return f"{prefix}-{ {'contract': 'mo', 'oem': 'oem', 'vehicle': 'oem'}.get(role, 'v2g') }-root"


def request_from_outside(place: Path) -> None:
    """A CSR as a station makes it, by the openssl program if it is there, else by the library."""
    if program := shutil.which("openssl"):
        key = place.with_suffix(".key")
        subject = "/CN=DE*ACM*E0002/O=Somebody Else/C=DE"
        command = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject]
        print(f"$ openssl {' '.join(command)} ..", flush=True)
        subprocess.run(
            [program, *command, "-keyout", key, "-out", place], check=True, capture_output=True
        )
        return
    print("(no openssl program here: the request is made by the library)")
    place.write_bytes(build_csr(SUITES["p256"].generate(), "DE*ACM*E0002", organization="Somebody Else"))


def proven_by_openssl(root: Path, folder: Path, leaf: str = "cert.pem") -> None:
    """``openssl verify -x509_strict`` by the program if it is there, else by the OpenSSL library."""
    if program := shutil.which("openssl"):
        trust = ["-CAfile", root, "-untrusted", folder / "chain.pem"]
        done = subprocess.run(
            [program, "verify", "-x509_strict", *trust, folder / leaf],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"demo: openssl refuses {folder.name}: {done.stderr.strip()}")
        how = "openssl program"
    else:
        library_verify(root, folder)
        how = "OpenSSL library; no openssl program here"
    print(f"  {folder.name:<28} OK under {root.stem} ({how}, -x509_strict)", flush=True)


def library_verify(root: Path, folder: Path) -> None:
    """The same check by the OpenSSL that pyOpenSSL brings; raises when it refuses."""

    def load(place: Path) -> list[crypto.X509]:
        return [crypto.X509.from_cryptography(c) for c in x509.load_pem_x509_certificates(place.read_bytes())]

    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    for anchor in x509.load_pem_x509_certificates(root.read_bytes()):
        store.add_cert(crypto.X509.from_cryptography(anchor))
    chain = load(folder / "chain.pem")
    crypto.X509StoreContext(store, chain[0], chain[1:]).verify_certificate()


if __name__ == "__main__":
    sys.exit(main())
