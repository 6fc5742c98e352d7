"""EXI: the public `encode` and `decode` with every check, next to EcoG's codec and EXIficient in a warm JVM.

The same three messages for all, in one run; what a peer writes is compared with what we write. A peer that is not
there is named as not run. Medians of wall time.
"""

from __future__ import annotations

import base64
import json
import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, process_s, table, wall_us
from v2gpki import messages

ROOT = Path(__file__).resolve().parent.parent
#: Where `make interop` puts EcoG's environment; its package brings EXIficient and the schema documents.
ECOG = ROOT / ".interop" / "ecog"
XSDS = {"iso15118-2": "iso15118_2/V2G_CI_MsgDef.xsd", "iso15118-20-common": "iso15118_20/V2G_CI_CommonMessages.xsd"}
NAMESPACES = {
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef",
    "iso15118-20-common": "urn:iso:std:iso:15118:-20:CommonMessages",
}
#: (encode, decode) in microseconds.
LIMITS = {"bench -2 CertificateInstallationRes": (35, 60), "bench -2 SessionSetupReq": (3, 5)}
#: So many calls are one measurement.
GROUP = 200

Figures = dict[str, tuple[float, float]]


def cases() -> list[dict[str, str]]:
    with lzma.open(ROOT / "tests" / "vectors" / "bench.jsonl.xz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ours(case: dict[str, str]) -> tuple[float, float]:
    octets, schema = bytes.fromhex(case["exi"]), case["schema"]
    message = messages.decode(octets, schema)

    def encode() -> None:
        for _ in range(GROUP):
            messages.encode(message, schema)

    def decode() -> None:
        for _ in range(GROUP):
            messages.decode(octets, schema)

    spent = wall_us(encode) / GROUP, wall_us(decode) / GROUP
    if messages.encode(message, schema) != octets or messages.decode(octets, schema) != message:
        raise SystemExit(f"{case['id']}: we wrote something else")
    if messages.from_xml(case["xml"], schema) != message:
        raise SystemExit(f"{case['id']}: we read something else")
    return spent


def exificient(all_cases: list[dict[str, str]]) -> Figures:
    shared = next(iter(ECOG.glob("lib/python*/site-packages/iso15118/shared")), None)
    if shared is None or shutil.which("java") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        schemas = shutil.copytree(shared / "schemas", Path(folder) / "schemas")
        # The -20 documents look for the schema of XML signatures beside themselves.
        shutil.copy(schemas / "xmldsig-core-schema.xsd", schemas / "iso15118_20")
        lines = [f"{schemas / XSDS[case['schema']]}\t{_base64(case['xml'].encode())}" for case in all_cases]
        program = ["java", "-cp", str(shared / "EXICodec.jar"), str(ROOT / "benchmarks" / "Exificient.java")]
        result = subprocess.run(program, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    figures: Figures = {}
    for case, line in zip(all_cases, result.stdout.splitlines(), strict=True):
        octets, encode_us, decode_us = line.split("\t")
        if base64.b64decode(octets).hex() != case["exi"]:
            raise SystemExit(f"{case['id']}: EXIficient wrote something else")
        figures[case["id"]] = float(encode_us), float(decode_us)
    return figures


def ecog(all_cases: list[dict[str, str]]) -> Figures:
    python = ECOG / "bin" / "python"
    if not python.exists() or shutil.which("java") is None:
        return {}
    lines = [json.dumps({"exi": case["exi"], "namespace": NAMESPACES[case["schema"]]}) for case in all_cases]
    program = [str(python), str(ROOT / "benchmarks" / "ecog_codec.py")]
    result = subprocess.run(program, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    figures: Figures = {}
    for case, line in zip(all_cases, result.stdout.splitlines(), strict=True):
        answer = json.loads(line)
        if answer["exi"] != case["exi"]:
            raise SystemExit(f"{case['id']}: EcoG wrote something else")
        figures[case["id"]] = answer["encode_us"], answer["decode_us"]
    return figures


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _pair(figures: tuple[float, float] | None) -> str:
    return "not run" if figures is None else f"{figures[0]:.1f} / {figures[1]:.1f}"


def processes() -> list[Row]:
    """Whole processes: the bare interpreter, one that imports the package, one that reads its first message."""
    case = next(case for case in cases() if "CertificateInstallationRes" in case["id"])
    programs = {
        "bare interpreter": ("pass", ""),
        "import v2gpki.messages and its codec": (
            "from v2gpki.messages import decode, encode",
            "limit 60 ms",
        ),
        "the same, and the first CertificateInstallationRes -2": (
            "import sys; from v2gpki.messages import decode, encode; decode(bytes.fromhex(sys.argv[1]))",
            "limit 20 ms more",
        ),
    }
    rows = []
    for what, (program, limit) in programs.items():
        seconds = process_s([sys.executable, "-c", program, case["exi"]], lambda: None, rounds=15)
        rows.append(Row(what, f"{seconds * 1e3:.0f} ms", limit))
    return rows


def main() -> None:
    all_cases = cases()
    figures = {case["id"]: ours(case) for case in all_cases}
    warm, bridge = exificient(all_cases), ecog(all_cases)
    rows = []
    for case in all_cases:
        name = case["id"]
        limit = LIMITS.get(name)
        beside = [f"limit {limit[0]} / {limit[1]}"] if limit else []
        beside += [f"EXIficient {_pair(warm.get(name))}", f"EcoG {_pair(bridge.get(name))}"]
        what = f"{name.removeprefix('bench ')}, {len(case['exi']) // 2} octets"
        rows.append(Row(what, _pair(figures[name]), ", ".join(beside)))
    table("EXI, us to encode / decode", rows)
    table("EXI, start", processes())


if __name__ == "__main__":
    main()
