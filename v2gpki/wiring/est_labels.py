"""What each EST label of a server does its own way, from the setting ``est_labels``.

A row is a label and what differs: ``cpo wrap=64 server_keys=false``; the label ``*`` stands for all that have no row.
Refused: labels that no edition has, options that there are not, values out of range, two rows for one label.
Sources: RFC 7030 3.2.2 (labels), RFC 8951 3.1 (line ends in base64), RFC 7030 3.5 (binding to the TLS connection).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from v2gpki.errors import V2GPKIError
from v2gpki.profile.load import Catalogue
from v2gpki.services.est.labels import LabelOptions, Labels

ALL = "*"
_BINDINGS = ("ignored", "checked", "required")
_FLAGS = {"true": True, "false": False}
_WRAPS = (16, 1000)
_SHOWN = 60


def labels_of(catalogue: Catalogue, rows: Sequence[str]) -> Labels:
    """The labels of a server; raises ``settings.bad_value``, naming the row."""
    found = dict(options_of(rows))
    usual = found.pop(ALL, None)
    labels = Labels(catalogue, options=found, usual=usual)
    for name in found:
        try:
            labels.target(name)
        except V2GPKIError as problem:
            raise _bad(name, problem.message, problem.hint) from problem
    return labels


def options_of(rows: Sequence[str]) -> Mapping[str, LabelOptions]:
    """Label, in lower case, -> its options; whether there is such a label is not asked. Raises
    ``settings.bad_value``."""
    usual = LabelOptions()
    for row in rows:
        if row.split()[:1] == [ALL]:
            usual = _options(row, usual)
    found: dict[str, LabelOptions] = {}
    for row in rows:
        name = "".join(row.split()[:1]).lower()
        if not name or "=" in name:
            raise _bad(row, "a row begins with a label", "write rows such as \"cpo wrap=64\"")
        if name in found:
            raise _bad(row, "there is another row for this label", "write everything about a label into one row")
        found[name] = usual if name == ALL else _options(row, usual)
    return found


def _options(row: str, usual: LabelOptions) -> LabelOptions:
    """``usual`` with what the row says."""
    known = [field.name for field in fields(LabelOptions)]
    changed: dict[str, object] = {}
    for word in row.split()[1:]:
        name, _, text = word.partition("=")
        if name not in known or name in changed:
            raise _bad(row, f"{name[:_SHOWN]!a} is no option, or is given twice", f"options are {', '.join(known)}")
        changed[name] = _value(row, name, text)
    if not changed:
        raise _bad(row, "nothing stands behind the label", f"options are {', '.join(known)}")
    return replace(usual, **changed)  # type: ignore[arg-type]  # each value has its field's type


def _value(row: str, name: str, text: str) -> object:
    if name == "wrap":
        least, most = _WRAPS
        if text.isascii() and text.isdecimal() and len(text) < 6 and (int(text) == 0 or least <= int(text) <= most):
            return int(text)
        raise _bad(row, f"wrap={text[:_SHOWN]!a} is no length of lines", f"0 (one line), or {least} to {most}")
    if name == "binding":
        if text in _BINDINGS:
            return text
        raise _bad(row, f"binding={text[:_SHOWN]!a} is none", f"it is one of {', '.join(_BINDINGS)}")
    if text in _FLAGS:
        return _FLAGS[text]
    raise _bad(row, f"{name}={text[:_SHOWN]!a} is neither true nor false", f"write {name}=true or {name}=false")


def _bad(row: str, what: str, hint: str) -> V2GPKIError:
    return V2GPKIError(
        "settings.bad_value",
        f"serve.est_labels: {row[:_SHOWN]!a}: {what}",
        hint=hint,
        facts={"key": "serve.est_labels", "row": row[:_SHOWN]},
    )
