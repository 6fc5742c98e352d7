"""The descriptions of OPCP and OPNC as schemathesis reads them, and what it says about a service that is called so.

A description of OPNC is many files that name one another; here it becomes one. What schemathesis finds is a value: the
description, the operation, its check, and in words what was wrong; for a request that the description allows and the
service refuses, the code of the refusal.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi import checks

REVIEWED = Path(__file__).with_name("pool_descriptions.toml")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.missing_required_header,
    checks.unsupported_method,
]
#: Checks of an answer alone.
ANSWER_CHECKS = CHECKS[:5]
_EXAMPLES = 20
_CODE = re.compile(r"\[([a-z_]+\.[a-z_0-9]+)\]")


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that schemathesis found."""

    description: str
    operation: str
    check: str
    words: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it was found."""
        return self.description, self.operation, self.check


def load(folder: Path, name: str, app: object) -> BaseSchema:
    """One description, on an ASGI application."""
    path = folder / name
    schema = schemathesis.openapi.from_dict(_whole(json.loads(path.read_text("utf-8")), path))
    schema.app = app
    return schema


def operations(schema: BaseSchema, *, but: str = "") -> Iterator[APIOperation[Any, Any, Any]]:  # Any: its own types
    """The operations of a description, without those whose path has ``but``."""
    for result in schema.get_all_operations():
        operation = result.ok()
        if not but or but not in operation.path:
            yield operation


def fuzzed(name: str, operation: APIOperation[Any, Any, Any], token: str) -> set[Found]:  # Any: its own types
    """What is found with every case of its coverage, and with some drawn ones."""
    found: set[Found] = set()

    def one(case: schemathesis.Case) -> None:
        response = case.call(headers={"Authorization": f"Bearer {token}"})
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as several:
            found.update(_found(name, operation, failure, response) for failure in several.exceptions)
        except Failure as failure:
            found.add(_found(name, operation, failure, response))

    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    config = operation.schema.config.generation_for(operation=operation, phase="coverage")
    for case in operation.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=config):
        one(case)
    for mode in modes:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def drawn(case: schemathesis.Case) -> None:
            one(case)

        try:
            drawn()
        except Unsatisfiable:
            # Nothing can be wrong with a call that has no parameters.
            continue
    return found


def answered(
    name: str, operation: APIOperation[Any, Any, Any], response: httpx.Response  # Any: its own types
) -> set[Found]:
    """What is found in an answer to a call that was made by hand."""
    response.elapsed = timedelta(0)
    named = dict.fromkeys(re.findall(r"\{(\w+)\}", operation.path), "x")
    case = operation.Case(method=operation.method, path_parameters=named)
    try:
        case.validate_response(response, checks=ANSWER_CHECKS)
    except FailureGroup as several:
        return {_found(name, operation, failure, response) for failure in several.exceptions}
    except Failure as failure:
        return {_found(name, operation, failure, response)}
    return set()


def reviewed() -> dict[tuple[str, str, str], list[str]]:
    """What is known of the descriptions: place -> patterns of what may be found there."""
    listed = tomllib.loads(REVIEWED.read_text("utf-8"))["finding"]
    found: dict[tuple[str, str, str], list[str]] = {}
    for entry in listed:
        assert entry.keys() == {"description", "operations", "check", "about", "defect"}, entry
        assert len(entry["defect"]) > 20, entry
        for operation in entry["operations"]:
            found.setdefault((entry["description"], operation, entry["check"]), []).extend(entry["about"])
    return found


def _found(
    name: str, operation: APIOperation[Any, Any, Any], failure: BaseException, response: Any  # Any: its own types
) -> Found:
    check = type(failure).__name__
    words = " ".join(str(failure).split())[:600]
    if check == "RejectedPositiveData":
        told = _CODE.search(response.text)
        words = told[1] if told else words
    return Found(name, operation.label, check, words)


def _whole(node: object, path: Path) -> Any:  # Any: JSON
    """A description with what it names in other files put in its place."""
    if isinstance(node, list):
        return [_whole(item, path) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref", "")
    if not reference or reference.startswith("#"):
        return {name: _whole(inner, path) for name, inner in node.items()}
    file, _, place = reference.partition("#")
    other = Path(os.path.normpath(path.parent / file))
    found: Any = json.loads(other.read_text("utf-8"))
    for part in place.strip("/").split("/"):
        found = found[part] if part else found
    return _whole(found, other)
