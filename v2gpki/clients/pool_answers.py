"""Answers of remote pools, read strictly: fields have their types, octets are base64; a refusal keeps what was said.

Sources: OPCP 1.0, OPNC v1.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from v2gpki.errors import V2GPKIError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: a status and JSON."""

    status: int
    value: Json
    url: str

    def object(self, name: str = "") -> Reading:
        """The answer, or a member of it, as an object."""
        whole = Reading(self.value if isinstance(self.value, dict) else None, self.url)
        return whole.inner(name) if name else whole

    def objects(self) -> list[Reading]:
        """The answer as a list of objects."""
        if not isinstance(self.value, list):
            raise bad_answer(self.url, "it is no list")
        return [Reading(one if isinstance(one, dict) else None, self.url) for one in self.value]

    @property
    def said(self) -> str:
        """Why it was refused, in the provider's words."""
        value = self.value if isinstance(self.value, dict) else {}
        messages = value.get("errorMessages")
        told = [str(one) for one in messages] if isinstance(messages, list) else []
        trace = value.get("traceId")
        text = "; ".join(told)[:_SHOWN]
        shown = "".join(character if character.isprintable() else "?" for character in text)
        return f"{shown or 'no reason given'} (trace {str(trace)[:40]!a})" if trace else shown or "no reason given"

    def refusal(self) -> V2GPKIError:
        """The refusal as an error."""
        return V2GPKIError(
            "client.refused",
            f"{self.url} answered HTTP {self.status}: {self.said}",
            hint=_hint(self.status),
            facts={"url": self.url, "status": self.status, "said": self.said},
        )


def _hint(status: int) -> str:
    if status == 404:
        return "check the identifier: nothing is there"
    if status == 403:
        return "ask the operator of the service what this credential may do"
    return "correct the request" if status < 500 else "ask the operator of the service, or try again later"


class Reading:
    """An object of an answer; every reader raises ``client.bad_answer``."""

    __slots__ = ("_url", "_values")

    def __init__(self, values: Mapping[str, Json] | None, url: str) -> None:
        if values is None:
            raise bad_answer(url, "it is no JSON object")
        self._values = values
        self._url = url

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise bad_answer(self._url, f"{name} is no text")
        return value

    def optional(self, name: str, default: str = "") -> str:
        """A text, or the default when there is none."""
        return default if self._values.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Whether it says true."""
        return self._values.get(name) is True

    def octets(self, name: str) -> bytes:
        """Octets in base64 that must be there."""
        try:
            return base64.b64decode("".join(self.text(name).split()), validate=True)
        except (binascii.Error, ValueError) as problem:
            raise bad_answer(self._url, f"{name} is no base64") from problem

    def optional_octets(self, name: str) -> bytes | None:
        """Octets, None when there are none."""
        return None if self._values.get(name) in (None, "") else self.octets(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty when there is none."""
        value = self._values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise bad_answer(self._url, f"{name} is no list of texts")
        return tuple(str(one) for one in value)

    def inner(self, name: str) -> Reading:
        """An object inside."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise bad_answer(self._url, f"it has no object {name}")
        return Reading(value, self._url)

    def list(self, name: str) -> list[Reading]:
        """A list of objects inside."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise bad_answer(self._url, f"it has no list {name}")
        return [Reading(one if isinstance(one, dict) else None, self._url) for one in value]

    def has(self, name: str) -> bool:
        """Whether it is there and not null."""
        return self._values.get(name) is not None


def bad_answer(url: str, why: str) -> V2GPKIError:
    """The refusal of an answer that is none."""
    return V2GPKIError(
        "client.bad_answer",
        f"the answer of {url} cannot be used: {why}",
        hint="check address and dialect of the provider",
        facts={"url": url},
    )


def read_json(response: httpx.Response) -> Json:
    """The JSON of an answer, None for none; raises ``client.bad_answer``."""
    if not response.content.strip():
        return None
    try:
        value: Json = json.loads(response.content)
    except (ValueError, RecursionError):
        # Proxies answer refusals in pages of their own.
        if response.status_code >= 400:
            return None
        raise bad_answer(place(response), "it is no JSON") from None
    return value


def place(response: httpx.Response) -> str:
    """The address that answered, without its query."""
    return str(response.request.url.copy_with(query=None))
