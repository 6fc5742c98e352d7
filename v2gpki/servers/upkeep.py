"""What a server does for the home beside its requests: it signs the audit log's head, and forgets what has ended."""

from __future__ import annotations

import asyncio

from v2gpki.servers.http.application import Executor
from v2gpki.servers.http.part import Job
from v2gpki.services.access import Access
from v2gpki.wiring import CertificateAuthority

#: Seconds between two looks whether rows of the log wait for a signature, and between two signatures after
#: issuances; and between two purges.
SEAL_EVERY = 0.5
PURGE_EVERY = 600.0


class Upkeep:
    """The jobs of one process. They write only when there is something to write; two processes may both do it."""

    def __init__(self, ca: CertificateAuthority, access: Access, executor: Executor) -> None:
        self._ca = ca
        self._access = access
        self._executor = executor
        self._sealed = self._settled = -1

    async def seal(self) -> None:
        """Sign rows that were written without the vault at hand, such as those of access tokens, or right after others
        that were signed."""
        while True:
            await self._executor.call(self.seal_now)
            await asyncio.sleep(SEAL_EVERY)

    async def purge(self) -> None:
        """Forget access tokens that have ended."""
        while True:
            await self._executor.call(self._access.purge, self._ca.clock.now())
            await asyncio.sleep(PURGE_EVERY)

    def seal_now(self) -> None:
        """Sign the newest row, unless that was done, and see to it that everything so far is on the disk: what need not
        last (`Store`) is lost in a power cut for a moment only."""
        newest = self._ca.store.audit_tip()[0]
        if newest != self._sealed and not self._ca.locked:
            self._ca._seal()
            self._sealed = newest
        if newest != self._settled:
            self._ca.store.settle()
            self._settled = newest

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All of them."""
        return (self.seal, self.purge)
