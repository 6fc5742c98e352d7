"""The short check says yes exactly when the examination has nothing to say, and then the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.pnc import samples
from tests.pnc.judging import signed_with
from tests.pnc.test_signature import MESSAGES_2, MESSAGES_20
from tests.pnc.test_wrong_signatures import WRONG
from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import PublicKey, load_public_key
from v2gpki.messages import codec
from v2gpki.messages.schema import Message
from v2gpki.messages.xmldsig import Signature
from v2gpki.pnc.examination import examine
from v2gpki.pnc.holding import holding
from v2gpki.pnc.signature import attach, deviations_of, sign, signature_of, subject_of

SIGNED = [
    *((make, "p256") for make, _ in MESSAGES_2),
    *((make, suite) for make, _ in MESSAGES_20 for suite in ("p521", "ed448")),
]
KEYS = {suite: load_public_key(samples.signer(suite).spki) for suite in ("p256", "p521", "ed448")}


def agreed(message: Message, signature: Signature, key: PublicKey) -> bool:
    """Whether both say that it holds; fails when one alone does, or when they see something else in it."""
    subject = subject_of(message)
    long = examine(signature, subject.elements, subject.edition, key, whole=subject.whole)
    short = holding(signature, subject.elements, subject.edition, key)
    if long.findings or long.grammar != "xmldsig" or deviations_of(long):
        assert short is None
        return False
    assert short is not None
    assert short.algorithm == long.algorithm
    assert short.elements == tuple(check.element for check in long.references)
    assert short.signed_info == long.signed_info["xmldsig"]
    return True


@pytest.mark.parametrize(("make", "suite"), SIGNED)
def test_what_holds(make: Callable[[], Message], suite: str) -> None:
    message = make()
    sound = sign(message, samples.signer(suite))
    assert agreed(message, sound, KEYS[suite])
    for other, key in KEYS.items():
        assert agreed(message, sound, key) == (other == suite)


@pytest.mark.parametrize(("make", "suite"), SIGNED)
def test_what_is_referred_to_twice(make: Callable[[], Message], suite: str) -> None:
    message = make()
    sound = sign(message, samples.signer(suite))
    references = sound.SignedInfo.Reference
    twice = signed_with(samples.with_references(sound, *references, references[0]), suite=suite)
    assert not agreed(message, twice, KEYS[suite])


@pytest.mark.parametrize("what", WRONG)
def test_each_way_to_be_wrong(what: str) -> None:
    message = samples.rise_message()
    assert not agreed(message, WRONG[what][0](sign(message, samples.signer("p256"))), KEYS["p256"])


def test_what_other_stacks_do_is_left_to_the_examination() -> None:
    """It lets SignedInfo under the messages' grammar through, and says so."""
    message = samples.rise_message()
    sound = sign(message, samples.signer("p256"))
    assert not agreed(message, signed_with(sound, grammar="iso15118-2"), KEYS["p256"])


@given(st.lists(st.sampled_from(sorted(WRONG)), min_size=2, max_size=3, unique=True))
def test_several_ways_at_once(ways: Sequence[str]) -> None:
    message = samples.rise_message()
    signature = sign(message, samples.signer("p256"))
    for what in ways:
        try:
            signature = WRONG[what][0](signature)
        except (V2GPKIError, IndexError):
            assume(False)
    agreed(message, signature, KEYS["p256"])


@given(
    st.integers(0, 5),
    st.lists(st.sampled_from(["t1", "t2", None, ""]), min_size=1, max_size=3).filter(any),
)
def test_ids_that_are_missing_or_twice(order: int, ids: Sequence[str | None]) -> None:
    """References in any order, to what may be signed; Ids that name nothing, one thing, or two."""
    sound = samples.tariffs("t1", None, "t2")
    references = list(sign(sound, samples.signer("p256")).SignedInfo.Reference)
    if order % 2:
        references.reverse()
    chosen = references[: 1 + order % 3]
    signature = signed_with(samples.with_references(sign(sound, samples.signer("p256")), *chosen))
    agreed(samples.tariffs(*ids), signature, KEYS["p256"])


CODED = [
    (codec.encode(attach(message, sign(message, samples.signer(suite)))), schema, suite)
    for message, schema, suite in [
        (samples.installation_req(), "iso15118-2", "p256"),
        (samples.rise_message(), "iso15118-2", "p256"),
        (samples.installation_req_20(), "iso15118-20-common", "p521"),
        (samples.installation_res_20(), "iso15118-20-common", "ed448"),
    ]
]


@settings(max_examples=400)
@given(st.integers(0, len(CODED) - 1), st.data())
def test_flipped_bits(which: int, data: st.DataObject) -> None:
    """Of a message as it travels: whatever is still a message is judged alike."""
    octets, schema, suite = CODED[which]
    places = data.draw(st.lists(st.integers(8, len(octets) * 8 - 1), min_size=1, max_size=2))
    changed = bytearray(octets)
    for place in places:
        changed[place // 8] ^= 0x80 >> place % 8
    try:
        message = codec.decode(bytes(changed), schema)
        assert isinstance(message, Message)
        signature = signature_of(message)
        assume(signature is not None)
        assert signature is not None
        held = agreed(message, signature, KEYS[suite])
    except V2GPKIError:
        return
    if held:
        # What the signature does not cover is the header; nothing that is signed has changed.
        sound = codec.decode(octets, schema)
        assert isinstance(sound, Message)
        assert [one.value for one in subject_of(message).elements if one.required] == [
            one.value for one in subject_of(sound).elements if one.required
        ]


def test_references_of_20_are_bounded() -> None:
    """Seventeen are too many, whatever they refer to; the message has but one element."""
    message = samples.installation_res_20()
    sound = sign(message, samples.signer("ed448"))
    many = samples.with_references(sound, *[sound.SignedInfo.Reference[0]] * 17)
    assert not agreed(message, many, KEYS["ed448"])


def test_a_header_of_its_own_changes_nothing() -> None:
    message = samples.installation_req_20()
    sound = sign(message, samples.signer("p521"))
    other = replace(message, Header=replace(message.Header, SessionID=bytes(8)))
    assert agreed(other, sound, KEYS["p521"])
