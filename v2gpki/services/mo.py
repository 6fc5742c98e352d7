"""The mobility operator's part: contract certificates, bound to their contract.

A contract certificate names the EMAID, never outlives its contract and follows the profile of its edition; when less is
left of a contract than the shortest validity that the profile allows, notBefore moves back, though not before the
contract's own beginning. Refused are contracts that ended, were purged, or are not of this home.
Clauses: ISO 15118-2 table F.4, [V2G2-108], [V2G2-690]; ISO 15118-20 tables B.9 and B.10, [V2G20-2218].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from v2gpki.clock import rfc3339
from v2gpki.errors import V2GPKIError
from v2gpki.identifiers import Identifier, parse
from v2gpki.services.issuance import Deliver, Issuance, Issued, Order, deliver_nothing
from v2gpki.services.pools import ELSEWHERE
from v2gpki.services.routing import Routing
from v2gpki.store.pool_records import Contract
from v2gpki.store.protocol import Store

ROLE = "contract"


class MobilityOperator:
    """Issues contract certificates of one home's contracts."""

    def __init__(self, store: Store, routing: Routing, issuance: Callable[[], Issuance]) -> None:
        """``issuance`` is asked for at the first certificate: it needs the home unlocked."""
        self._store = store
        self._routing = routing
        self._issuance = issuance

    def issue(self, orders: Sequence[Order], *, caller: str, deliver: Deliver = deliver_nothing) -> list[Issued]:
        """Issue what ``order`` prepared; ``deliver`` as for ``Issuance.issue``."""
        return self._issuance().issue(orders, caller=caller, deliver=deliver)

    def order(
        self,
        contract: Contract,
        *,
        edition: str | None,
        suite: str | None = None,
        now: datetime,
        spki: bytes | None = None,
        issuer: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Order:
        """The order of one certificate for a contract; ``spki`` None asks for a fresh key, ``edition`` None takes the
        only one that this home has, ``options`` choose readings of the profile.

        Raises ``contract.elsewhere`` for a contract of another house, ``contract.ended`` for one that is not active or
        past its end, ``contract.too_short`` for one that is shorter than the profile's minimum, and what finding the
        issuer raises.
        """
        require_current(contract, now)
        if contract.issuer == ELSEWHERE:
            raise elsewhere(contract)
        named = issuer or self._issuer_for(contract, edition, suite)
        route = self._routing.route(ROLE, edition=edition, suite=suite, issuer=named, options=options)
        rule = route.profile.validity
        begin = max(now, contract.begins)
        if rule.minimum is not None and begin + rule.minimum > contract.ends:
            begin = max(contract.begins, contract.ends - rule.minimum)
            if begin + rule.minimum > contract.ends:
                raise V2GPKIError(
                    "contract.too_short",
                    f"the contract of {contract.emaid} runs from {rfc3339(contract.begins)} to "
                    f"{rfc3339(contract.ends)}: shorter than the {rule.minimum.days} days that a contract certificate "
                    f"of {edition} lasts at least",
                    hint="give the contract a later end: v2gpki contract end, then contract create --until",
                    clause=rule.clause,
                    facts={"emaid": contract.emaid, "days": rule.minimum.days},
                )
        if begin == now:
            begin = max(begin - rule.backdate, contract.begins)
        return Order(
            route.profile,
            route.issuer_id,
            route.constants,
            identifier=_emaid(contract.emaid),
            spki=spki,
            not_before=begin,
            not_after=min(contract.ends, begin + rule.default, route.issuer_ends),
            contract_id=contract.id,
        )

    def _issuer_for(self, contract: Contract, edition: str | None, suite: str | None) -> str:
        """The authority that the contract names, where it is of this edition and family; else whichever fits."""
        if not contract.issuer:
            return ""
        named = self._store.authority(contract.issuer)
        if named is None or edition not in (None, named.edition) or suite not in (None, named.suite):
            return ""
        return contract.issuer


@lru_cache(maxsize=4096)
def _emaid(text: str) -> Identifier:
    return parse("emaid", text)


def elsewhere(contract: Contract) -> V2GPKIError:
    """The refusal of a contract whose certificates another house makes, when there is nothing of it to deliver."""
    return V2GPKIError(
        "contract.elsewhere",
        f"the contract certificates of {contract.emaid} are made elsewhere, and none is here for this vehicle's key",
        hint="its mobility operator stores signed contract data for the key that the vehicle has now",
        clause="OPCP contract pool",
        facts={"emaid": contract.emaid, "pcid": contract.pcid},
    )


def require_current(contract: Contract, now: datetime) -> None:
    """Raise ``contract.ended`` for a contract that is not active, or whose end has come."""
    if contract.state == "active" and now < contract.ends:
        return
    when = contract.ended_at or contract.ends
    raise V2GPKIError(
        "contract.ended",
        f"the contract of {contract.emaid} ended at {rfc3339(when)}"
        + (f" ({contract.reason})" if contract.reason else ""),
        hint="v2gpki contract create makes a new one; v2gpki contract list shows what there is",
        clause="ISO 15118-2 8.4.3.10",
        facts={"emaid": contract.emaid, "state": contract.state, "ended": rfc3339(when)},
    )
