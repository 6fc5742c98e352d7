"""What belongs to one TLS connection: the verdict on its peer, staples, alerts and key log; the callbacks find it.

The verdict falls inside the handshake, so its refusal goes out as the alert that fits. In TLS 1.2 the staple comes when
the chain was judged already: both are judged again, and refused by bad_certificate_status_response (RFC 6066 8).
Whatever the callbacks did, `verdict` must be asked before the first octet is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

from OpenSSL import SSL

from v2gpki.errors import V2GPKIError
from v2gpki.servers.v2gtls import alerts
from v2gpki.servers.v2gtls.bindings import EXAMINATION_ALERTS, Examination
from v2gpki.servers.v2gtls.security import Chain, StationSecurity, TLSIdentity, VehicleSecurity

#: Takes one line of a key log (NSS format, with its newline). It must not raise.
KeyLog: TypeAlias = Callable[[bytes], None]

_NO_CERTIFICATE = "peer did not return a certificate"


class Conversation(Examination):
    """One end's part in one connection; ``peer`` is its address in words.

    ``root_named`` tells that the client named a root of the station's chain, ``asked`` that the station asked for the
    vehicle's certificate.
    """

    def __init__(self, peer: str, keylog: KeyLog | None) -> None:
        self.peer = peer
        self.problem: V2GPKIError | None = None
        self.root_named = False
        self.asked = False
        self._keylog = keylog
        self._sent = self._received = 0

    def staple(self) -> bytes:
        """What a station staples, b"" for nothing."""
        return b""

    def stapled(self, _staple: bytes) -> bool:
        """Whether a vehicle goes on with this staple."""
        return True

    def was_asked(self) -> None:
        """The server asks for a client certificate."""
        self.asked = True

    def alerted(self, where: int, value: int) -> None:
        """OpenSSL tells what happens; alerts are kept, close_notify is none here."""
        if not where & SSL.SSL_CB_ALERT or value & 0xFF == 0:
            return
        if where & SSL.SSL_CB_READ:
            self._received = value & 0xFF
        else:
            self._sent = value & 0xFF

    def log_key(self, line: bytes) -> None:
        """A line for the key log."""
        if self._keylog is not None:
            self._keylog(line + b"\n")

    def verdict(self, *, expected: bool) -> None:
        """Raises what the judge raised; an ``expected`` chain that was never judged is refused too."""
        if self.fault is not None:
            raise self.fault
        if self.problem is not None:
            raise self.problem
        if expected and (not self.judged or self.alert):
            raise self._failure("the chain of the other end was not judged")

    def explain(self, problem: SSL.Error) -> NoReturn:
        """Raise what an error of the TLS library means."""
        sent = alerts.name(self._sent) if self._sent else ""
        if self.fault is not None:
            raise self.fault
        if self.problem is not None:
            self.problem.facts = {**self.problem.facts, "alert": sent, "peer": self.peer}
            raise self.problem from problem
        if self._received:
            raise alerts.received(self._received, self.peer) from problem
        reason = _reason(problem)
        if reason == _NO_CERTIFICATE:
            raise V2GPKIError(
                "tls.no_certificate",
                f"{self.peer} showed no certificate",
                hint="ISO 15118-20 needs a vehicle certificate; a vehicle of ISO 15118-2 offers TLS 1.2",
                clause="[V2G20-2400]",
                facts={"alert": sent, "peer": self.peer},
            ) from problem
        raise self._failure(reason, sent) from problem

    def _failure(self, reason: str, sent: str = "") -> V2GPKIError:
        return V2GPKIError(
            "tls.failed",
            f"TLS with {self.peer} failed: {reason}",
            clause="RFC 8446 6.2",
            facts={"reason": reason, "alert": sent, "peer": self.peer},
        )


class StationConversation(Conversation):
    """A station's part: it judges the vehicle (-20) and staples for its leaf."""

    def __init__(self, peer: str, keylog: KeyLog | None, security: StationSecurity, identity: TLSIdentity) -> None:
        super().__init__(peer, keylog)
        self._security = security
        self._identity = identity

    def staple(self) -> bytes:
        """The response that the identity has now."""
        return self._identity.staple() or b""

    def examine(self, chain: Chain, _staple: bytes | None) -> str:
        """The verdict on a vehicle's chain."""
        try:
            self._security.judge_vehicle(chain)
        except V2GPKIError as problem:
            self.problem = problem
            alert = alerts.alert_for(problem)
            # The others are for clients only (RFC 8446 6.2).
            return alert if alert in EXAMINATION_ALERTS else "certificate_unknown"
        return ""


class VehicleConversation(Conversation):
    """A vehicle's part: it judges the station and its staple. ``received_staple`` is what came."""

    def __init__(self, peer: str, keylog: KeyLog | None, security: VehicleSecurity) -> None:
        super().__init__(peer, keylog)
        self.received_staple: bytes | None = None
        self._security = security
        self._chain: Chain = ()

    @property
    def _asks(self) -> bool:
        return self._security.staple_policy != "off"

    def examine(self, chain: Chain, staple: bytes | None) -> str:
        """The verdict on a station's chain, with its staple if that is there already."""
        self._chain, self.received_staple = chain, staple
        alert = self._judge(staple)
        if alert and alert not in EXAMINATION_ALERTS:
            # That alert is for the staple's turn, which comes if we asked for one.
            return "" if self._asks else "certificate_unknown"
        return alert

    def stapled(self, staple: bytes) -> bool:
        """The verdict on the staple; b"" is none."""
        if self.problem is None and not staple and self._asks:
            self.problem = V2GPKIError(
                "tls.no_staple",
                f"{self.peer} stapled no OCSP response for its certificate",
                hint="the station must fetch one from its CA's responder; --staple off does without",
                clause="[V2G2-873], [V2G20-1240]",
                facts={"peer": self.peer},
            )
        if self.problem is None and staple and staple != self.received_staple:
            self.received_staple = staple
            self._judge(staple)
        return self.problem is None

    def _judge(self, staple: bytes | None) -> str:
        try:
            self._security.judge_station(self._chain, staple)
        except V2GPKIError as problem:
            self.problem = problem
            return alerts.alert_for(problem)
        return ""


def _reason(problem: SSL.Error) -> str:
    """OpenSSL's words for it."""
    queue = problem.args[0] if problem.args else ()
    if isinstance(queue, list) and queue:
        return str(queue[0][-1])
    return str(problem) or type(problem).__name__
