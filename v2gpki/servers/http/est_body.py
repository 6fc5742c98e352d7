"""The bodies that EST clients send, made one: a request as DER, PEM or plain base64.

Seen in the field: base64 in one line, in lines of 64 or 76, with CR LF, without padding, in the alphabet for URLs,
percent-encoded by form tools; PEM, also in one line or with written-out line ends; raw DER. The transfer encoding that
a client claims says nothing reliable and is not asked. Sources: RFC 7030 4.2.1, RFC 8951 3.2, measured clients.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from v2gpki.errors import V2GPKIError

#: Media types that real clients put on a request: the right one, those of tools that know none, and PEM's.
ACCEPTED = frozenset(
    {
        "",
        "application/pkcs10",
        "application/x-pkcs10",
        "application/pkcs7-mime",
        "application/octet-stream",
        "application/x-pem-file",
        "application/x-www-form-urlencoded",
        "text/plain",
    }
)

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_PEM = b"-----BEGIN"


def check_media_type(content_type: str) -> None:
    """Refuse what is certainly no request: ``est.media_type``; parameters say nothing."""
    named = content_type.partition(";")[0].strip().lower()
    if named not in ACCEPTED:
        raise V2GPKIError(
            "est.media_type",
            f"a certificate request is wanted, not {named[:60]!a}",
            hint="send application/pkcs10: base64 of a DER request",
            clause="RFC 7030 4.2.1",
            facts={"media_type": named[:60]},
        )


def request_octets(body: bytes) -> bytes:
    """DER, PEM, or base64 with padding, for ``certs.csr.load_csr``, which judges it."""
    if body[:1] == b"\x30" and not _is_text(body):
        return body
    text = body.strip().removeprefix(b"\xef\xbb\xbf").strip(b'"\x00')
    if b"%" in text:
        text = unquote_to_bytes(text)
    text = text.replace(b"\\r", b"").replace(b"\\n", b"\n")
    if _PEM in text:
        return text
    packed = b"".join(text.split()).translate(_TO_STANDARD).rstrip(b"=")
    return packed + b"=" * (-len(packed) % 4)


def _is_text(body: bytes) -> bool:
    """Whether everything is printable: base64 may begin with the digit 0, which is DER's octet 30."""
    return body.isascii() and all(octet >= 0x20 or octet in b"\t\r\n" for octet in body)
