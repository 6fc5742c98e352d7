"""The certified key: its suite, the uncompressed form of its point, and that the point is on the curve.

Refuses every other suite than the profile's, compressed and hybrid points, coordinates that are not
below the field's prime, and points off the curve. Plain integers, so that the guard can afford it.
Sources: RFC 5480 2.2, SEC 1 2.3.4 and 3.2.2.1, SEC 2 (curve constants), RFC 8410, [V2G2-006], [V2G2-007].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from v2gpki.certs.lint.case import Check
from v2gpki.certs.lint.reader import SEQUENCE, MalformedError, Reader, dotted_oid
from v2gpki.certs.lint.report import Report
from v2gpki.keys.suites import SUITES, Suite
from v2gpki.profile.model import KeyRule, Profile

#: Prime p and coefficient b of y^2 = x^3 - 3x + b, SEC 2 2.4.2 and 2.6.1; the cofactor of both is 1.
_CURVES: Mapping[str, tuple[int, int]] = {
    "p256": (
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "p521": (
        2**521 - 1,
        int(
            "0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E1"
            "56193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00",
            16,
        ),
    ),
}


def key_checks(profile: Profile) -> Iterator[Check]:
    """The checks of the certified key for one profile."""
    yield lambda case: judge_key(case.report, profile.key, case.facts.spki)


@lru_cache(maxsize=16)
def key_judge(suite: str) -> KeyJudge:
    """The judge of a suite, made once."""
    return KeyJudge(SUITES[suite])


class KeyJudge:
    """Says quickly whether a SubjectPublicKeyInfo is a good key of one suite."""

    __slots__ = ("_b", "_half", "_p", "_prefix", "_size")

    def __init__(self, suite: Suite) -> None:
        self._prefix = suite.spki_prefix
        self._size = len(suite.spki_prefix) + suite.point_size
        self._p, self._b = _CURVES.get(suite.name, (0, 0))
        self._half = (suite.point_size - 1) // 2

    def accepts(self, spki: bytes) -> bool:
        """Whether the key has the suite, the form and, for ECDSA, a point on the curve."""
        if len(spki) != self._size or not spki.startswith(self._prefix):
            return False
        p = self._p
        if not p:
            return True
        at = len(self._prefix)
        half = self._half
        x = int.from_bytes(spki[at + 1 : at + 1 + half], "big")
        y = int.from_bytes(spki[at + 1 + half :], "big")
        return spki[at] == 4 and x < p and y < p and (y * y - (x * x - 3) * x - self._b) % p == 0


def judge_key(report: Report, rule: KeyRule, spki: bytes) -> None:
    """Judge a DER SubjectPublicKeyInfo against the profile's key rule."""
    wanted = SUITES[rule.suite]
    if key_judge(rule.suite).accepts(spki):
        return
    algorithm, point = _parts(spki)
    where = "subjectPublicKeyInfo"
    if algorithm is None or point is None:
        report.add("lint.key.malformed", "the public key is no SubjectPublicKeyInfo", where, "RFC 5280 4.1.2.7")
        return
    if algorithm != _parts(_blank(wanted))[0]:
        report.add(
            "lint.key.suite",
            f"the key is {_title(algorithm)}, the profile demands {wanted.title}",
            where,
            rule.clause,
            expected=wanted.name,
        )
    elif wanted.curve is not None and point[:1] in {b"\x02", b"\x03", b"\x06", b"\x07"}:
        report.add(
            "lint.key.point_form",
            f"the point is written in the form {point[0]:02x}, only the uncompressed form 04 is used",
            where,
            rule.clause,
        )
    elif len(point) != wanted.point_size or (wanted.curve is not None and point[:1] != b"\x04"):
        report.add(
            "lint.key.malformed",
            f"the key has {len(point)} octets, {wanted.title} has {wanted.point_size}",
            where,
            rule.clause,
        )
    elif spki != wanted.spki_prefix + point:
        report.add("lint.key.malformed", "the public key is not written in DER", where, rule.clause)
    else:
        report.add("lint.key.not_on_curve", f"the point is not on the curve of {wanted.title}", where, rule.clause)


def suite_name(spki: bytes) -> str:
    """The suite of a well-formed key by its prefix, "" when it is none of ours."""
    for suite in SUITES.values():
        if len(spki) == len(suite.spki_prefix) + suite.point_size and spki.startswith(suite.spki_prefix):
            return suite.name
    return ""


def public_octets(spki: bytes) -> bytes:
    """The octets of subjectPublicKey without its count of unused bits: what key identifiers hash; b"" if none."""
    return _parts(spki)[1] or b""


def _parts(spki: bytes) -> tuple[bytes | None, bytes | None]:
    """AlgorithmIdentifier and key octets; None for what cannot be read."""
    reader = Reader(spki)
    try:
        at, stop = reader.expect(SEQUENCE, 0, len(spki), "subjectPublicKeyInfo")
        reader.close(stop, len(spki), "subjectPublicKeyInfo")
        inner, end = reader.expect(SEQUENCE, at, stop, "algorithm")
        reader.object_identifier(inner, end, "algorithm")
        octets, unused, close = reader.bit_string(end, stop, "subjectPublicKey")
        reader.close(close, stop, "subjectPublicKeyInfo")
    except MalformedError:
        return None, None
    return spki[at:end], None if unused else octets


def _blank(suite: Suite) -> bytes:
    """A SubjectPublicKeyInfo of the suite with an empty point, for its AlgorithmIdentifier."""
    return suite.spki_prefix + bytes(suite.point_size)


def _title(algorithm: bytes) -> str:
    """An AlgorithmIdentifier in words: the suite's title, else dotted OIDs."""
    for suite in SUITES.values():
        if _parts(_blank(suite))[0] == algorithm:
            return suite.title
    reader = Reader(algorithm)
    at, stop = reader.expect(SEQUENCE, 0, len(algorithm), "algorithm")
    oid, at = reader.object_identifier(at, stop, "algorithm")
    if at < stop and algorithm[at] == 0x06:
        try:
            curve, _ = reader.object_identifier(at, stop, "the curve")
        except MalformedError:
            return dotted_oid(oid)
        return f"{dotted_oid(oid)} with {dotted_oid(curve)}"
    return dotted_oid(oid)
