"""``v2gpki crl``: sign and publish certificate revocation lists."""

from __future__ import annotations

import click

from v2gpki.cli.files import require_free, write_output
from v2gpki.cli.frame import Frame
from v2gpki.cli.options import force_option
from v2gpki.clock import rfc3339


@click.group()
def crl() -> None:
    """Certificate revocation lists."""


@crl.command()
@click.argument("name", metavar="CA")
@click.option("-o", "--out", required=True, metavar="FILE", help="Where to; - is stdout.")
@click.option("--pem", is_flag=True, help="PEM instead of DER.")
@force_option
@click.pass_obj
def issue(frame: Frame, *, name: str, out: str, pem: bool, force: bool) -> None:
    """Sign the next CRL of an authority: everything that it issued and revoked (RFC 5280 5).

    Each generation has its own, which stands at the distribution point as SLUG.crl (the first) or SLUG-n.crl.
    """
    from v2gpki.services.crl_names import name_of

    require_free([out], force=force)
    authority = frame.authority(unlock=True)
    record = authority.publish_crl(name)
    published_as = f"{name_of(authority.authority(record.issuer_id))}.crl"
    data = _armour(record.der) if pem else record.der
    write_output(out, data, force=force)
    entries = sum(1 for _ in authority.store.revoked_serials(record.issuer_id))
    value = {
        "schema": "v2gpki/crl/1",
        "issuer": record.issuer_id,
        "number": record.number,
        "this_update": rfc3339(record.this_update),
        "next_update": rfc3339(record.next_update),
        "entries": entries,
        "size": len(record.der),
        "file": out,
        "published_as": published_as,
    }
    if out != "-":
        frame.emit(
            value,
            f"CRL {record.number} of {record.issuer_id}: {entries} revoked, "
            f"next update {value['next_update']}, in {out}; at the distribution point it is {published_as}",
        )


def _armour(der: bytes) -> bytes:
    import base64
    import textwrap

    body = "\n".join(textwrap.wrap(base64.b64encode(der).decode("ascii"), 64))
    return f"-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n".encode("ascii")
