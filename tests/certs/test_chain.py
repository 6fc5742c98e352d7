"""Chains in every container and order; what cannot be read is named with its place."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.chains.mint import certificate
from v2gpki.certs.chain import fingerprint, load_certificates, order, pem
from v2gpki.errors import V2GPKIError

NAMES = ("secc", "cpo2", "cpo1")
DERS = [certificate(name) for name in NAMES]
OBJECTS = [x509.load_der_x509_certificate(der) for der in DERS]
#: PEM by another program: the library's writer.
PEMS = [one.public_bytes(Encoding.PEM) for one in OBJECTS]


def refused(data: bytes) -> V2GPKIError:
    with pytest.raises(V2GPKIError) as caught:
        load_certificates(data)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        b"".join(PEMS),
        b"subject=CN = text before\n\n" + b"\ntext between: -- \n".join(PEMS) + b"\ntext behind",
        b"\r\n".join(PEMS).replace(b"\n", b"\r\n"),
        b"".join(DERS),
        base64.b64encode(b"".join(DERS)),
    ],
    ids=["pem", "pem with text", "pem with CR LF", "der", "bare base64"],
)
def test_bundles_keep_their_order(data: bytes) -> None:
    assert load_certificates(data) == DERS


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_pkcs7_certs_only(encoding: Encoding) -> None:
    data = pkcs7.serialize_certificates(OBJECTS, encoding)
    # A SET OF: DER sorts it, the order in the file is gone.
    assert sorted(load_certificates(data)) == sorted(DERS)


def test_pkcs7_whose_set_is_not_sorted_keeps_its_order() -> None:
    """As ``openssl crl2pkcs7`` writes it."""
    data = pkcs7.serialize_certificates(OBJECTS, Encoding.DER)
    ordered = sorted(DERS, key=data.index)
    unsorted = data.replace(b"".join(ordered), b"".join(reversed(ordered)))
    assert unsorted != data
    assert load_certificates(unsorted) == ordered[::-1]


@pytest.mark.parametrize("cut", [1, 40, 900])
def test_a_cut_pkcs7_is_refused(cut: int) -> None:
    data = pkcs7.serialize_certificates(OBJECTS, Encoding.DER)
    assert refused(data[:-cut]).code == "chain.malformed"


def test_the_answer_of_an_est_server_is_bare_base64_of_pkcs7() -> None:
    data = base64.encodebytes(pkcs7.serialize_certificates(OBJECTS, Encoding.DER))
    assert sorted(load_certificates(data)) == sorted(DERS)


def test_other_blocks_are_passed_over() -> None:
    key = b"-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n"
    assert load_certificates(key + PEMS[0] + key + PEMS[1]) == DERS[:2]


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "chain.empty", "empty"),
        (b" \n\t", "chain.empty", "empty"),
        (b"-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n", "chain.empty", "EC PRIVATE KEY"),
        (b"hello", "chain.malformed", "neither PEM nor DER"),
        (b"\xff\xfe\x00", "chain.malformed", "neither PEM nor DER"),
        (DERS[0][:-1], "chain.malformed", "octet 0"),
        (DERS[0] + b"\n", "chain.malformed", f"octet {len(DERS[0])}"),
        (DERS[0] + DERS[1][:-1], "chain.malformed", f"octet {len(DERS[0])}"),
        (b"\x30\x80\x00\x00", "chain.malformed", "octet 0"),
        (b"\x30\x03\x02\x01\x01", "chain.malformed", "octet 0"),
        (b"one\ntwo\n" + PEMS[0].replace(b"MII", b"M!I", 1), "chain.malformed", "line 3"),
        (PEMS[0] + PEMS[1].replace(b"-----END", b"-----END OF"), "chain.malformed", "line"),
        (PEMS[0].split(b"-----END")[0] + PEMS[1], "chain.malformed", "no end"),
        (b"-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n", "chain.malformed", "PKCS#7"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(data: bytes, code: str, words: str) -> None:
    problem = refused(data)
    assert problem.code == code
    assert words in problem.message
    assert problem.hint


def test_the_line_of_a_broken_block_is_counted_right() -> None:
    lines_before = PEMS[0].count(b"\n")
    problem = refused(PEMS[0] + PEMS[1].replace(b"MII", b"MIJ", 1))
    assert problem.facts["line"] == lines_before + 1


@pytest.mark.parametrize("shuffled", list(permutations(range(3))))
def test_any_order_comes_out_leaf_first(shuffled: tuple[int, ...]) -> None:
    assert order([DERS[index] for index in shuffled]) == DERS


def test_a_root_and_doubled_certificates() -> None:
    root = certificate("v2g")
    assert order([root, *DERS, root, *reversed(DERS)]) == [*DERS, root]


def test_a_cross_certificate_stands_beside_its_root_and_before_it() -> None:
    names = ("secc", "cpo2", "cpo1", "cross", "v2g", "other")
    assert order([certificate(name) for name in reversed(names)]) == [certificate(name) for name in names]


def test_two_keys_of_one_name_are_told_apart_by_signature() -> None:
    # Both roots carry the name that Sub-CA 1 names as its issuer; only one signed it.
    with pytest.raises(V2GPKIError) as caught:
        order([*DERS, certificate("v2g-decoy")])
    assert caught.value.code == "chain.broken"
    assert order([*DERS, certificate("v2g")])[-1] == certificate("v2g")


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ((), "chain.empty"),
        (("secc", "cps"), "chain.ambiguous"),
        (("cpo2", "mo2"), "chain.ambiguous"),
        (("secc", "cpo1"), "chain.broken"),
        (("secc", "evil-cpo2", "cpo1"), "chain.broken"),
        (("secc", "cpo2", "mo1"), "chain.broken"),
    ],
)
def test_what_is_no_chain(names: tuple[str, ...], code: str) -> None:
    with pytest.raises(V2GPKIError) as caught:
        order([certificate(name) for name in names])
    assert caught.value.code == code


def test_pem_is_what_the_library_writes() -> None:
    assert pem(DERS) == b"".join(PEMS)
    assert pem([]) == b""


def test_fingerprint_by_another_program(tmp_path: Path) -> None:
    file = tmp_path / "secc.der"
    file.write_bytes(DERS[0])
    done = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True)
    assert fingerprint(DERS[0]) == done.stdout.split()[0]


def test_the_corpus_is_minted_at_a_fixed_date() -> None:
    assert OBJECTS[0].not_valid_before_utc == datetime(2026, 5, 1, tzinfo=UTC)
