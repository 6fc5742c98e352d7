"""The webhooks of one opened home."""

from __future__ import annotations

from v2gpki.errors import V2GPKIError
from v2gpki.services.webhook_addresses import WebhookPolicy
from v2gpki.services.webhooks import Webhooks
from v2gpki.wiring.authority import CertificateAuthority

PURPOSE = "webhook secrets"


def webhooks_of(ca: CertificateAuthority, policy: WebhookPolicy | None = None) -> Webhooks:
    """Endpoints and deliveries; making and telling secrets needs the home unlocked."""

    def key() -> bytes:
        if ca.signing is not None:
            return ca.signing.webhook_key()
        if ca.vault is None:
            raise V2GPKIError(
                "home.locked",
                f"the keys of {ca.home} are locked: webhooks need the passphrase",
                hint="set V2GPKI_PASSPHRASE or V2GPKI_PASSPHRASE_FILE",
                facts={"home": str(ca.home)},
            )
        return ca.vault.derived_key(PURPOSE)

    return Webhooks(
        ca.store, ca.clock, key, seal=ca._seal if not ca.locked else lambda: None, policy=policy
    )

