"""Labels: the part of an EST URL that names a CA becomes a role of an edition, and its options.

A label is a branch (``cpo``, ``mo``, ``oem``, ``cps``; ``veh`` and ``emsp`` as OPCP and OPNC call two of them) or an
end-entity role (``station``). Before it may stand a hierarchy (``lab-cpo``), behind it an edition and a key family
(``cpo-iso20-ed448``), for clients whose URL has one segment only. Which roles a branch has is data of the edition.
Refused: labels, editions and families that the catalogue does not know. Sources: RFC 7030 3.2.2, OPCP est.v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from v2gpki.errors import V2GPKIError
from v2gpki.keys.suites import SUITES
from v2gpki.profile.load import Catalogue

#: What others call a branch.
BRANCH_ALIASES: Mapping[str, str] = {"veh": "vehicle", "emsp": "mo"}
_NAMESPACE = re.compile(r"urn:iso:(?:std:iso:)?15118:-?([0-9]+):.*", re.IGNORECASE)
_SHOWN = 60

Binding = Literal["ignored", "checked", "required"]


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What one label does its own way.

    ``wrap``: characters in a line of base64 answers, 0 for one line (strongSwan reads nothing else); 64 or 76 is for
    scripts with ``openssl base64 -d``. ``rollover``: whether CA certificates of a root's other generations are given
    too. ``binding``: what is done with a challengePassword, which binds a request to its TLS connection up to 1.2.
    ``server_keys``: whether keys are made here on demand. ``attributes``: whether request attributes are told.
    """

    wrap: int = 0
    rollover: bool = True
    binding: Binding = "checked"
    server_keys: bool = True
    attributes: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL asks for: ``label`` as it stands there ("" when it has none), ``name`` without hierarchy and edition;
    ``suite`` "" leaves the family to the request's key; ``hierarchy`` "" is the default one."""

    label: str
    name: str
    role: str
    edition: str
    suite: str = ""
    hierarchy: str = ""


class Labels:
    """The labels of one server."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        default: str = "cpo",
        default_edition: str = "iso15118-2",
        options: Mapping[str, LabelOptions] | None = None,
        usual: LabelOptions | None = None,
    ) -> None:
        """``default`` and ``default_edition`` stand in where a URL names none; ``options`` are by label."""
        self._catalogue = catalogue
        self._default = default
        self._default_edition = default_edition
        self._options = {name.lower(): chosen for name, chosen in (options or {}).items()}
        self._usual = usual or LabelOptions()
        self._known: dict[tuple[str, str, str], Target] = {}

    def options(self, target: Target) -> LabelOptions:
        """The options of the label as it was written, else of its name, else of its branch, else the usual ones."""
        for name in (target.label.lower(), target.name, BRANCH_ALIASES.get(target.name, "")):
            if name in self._options:
                return self._options[name]
        return self._usual

    def target(self, label: str = "", edition: str = "", family: str = "") -> Target:
        """What label, ISO version and algorithm of a URL mean, each "" when the URL has none.

        Raises ``est.unknown_label`` and ``est.unknown_family``.
        """
        asked = (label, edition, family)
        found = self._known.get(asked)
        if found is None:
            found = self._read(label or self._default, edition, family)
            found = found if label else replace(found, label="")
            if len(self._known) < 512:
                self._known[asked] = found
        return found

    def _read(self, label: str, edition: str, family: str) -> Target:
        wanted = self._edition(edition) if edition else ""
        for base, named, suite in self._endings(label.lower()):
            if wanted and named and named != wanted:
                continue
            for hierarchy, name in _beginnings(base):
                for candidate in [wanted or named] if wanted or named else self._order():
                    if role := self._role(candidate, name):
                        chosen = self._family(candidate, role, family) if family else suite
                        return Target(label, name, role, candidate, chosen, hierarchy)
        where = f" of {edition}" if edition else ""
        raise V2GPKIError(
            "est.unknown_label",
            f"there is no CA {label[:_SHOWN]!a}{where[:_SHOWN]} here",
            hint="labels are cpo, mo, oem, cps and veh (or a role such as station), for ISO15118-2 or ISO15118-20",
            clause="RFC 7030 3.2.2",
            facts={"label": label[:_SHOWN], "edition": edition[:_SHOWN]},
        )

    def _endings(self, label: str) -> Iterator[tuple[str, str, str]]:
        """(label without ending, edition, family): as it stands first, then with each edition's short name cut off."""
        yield label, "", ""
        for name in self._catalogue.editions():
            described = self._catalogue.edition(name)
            for suite in ("", *described.suites):
                ending = f"-{described.short}" + (f"-{suite}" if suite else "")
                if label.endswith(ending):
                    yield label.removesuffix(ending), name, suite

    def _order(self) -> list[str]:
        """Editions in the order in which a URL without one is read: the default, then the conformant ones."""
        names = [name for name in self._catalogue.editions() if self._catalogue.edition(name).conformant]
        return sorted(names, key=lambda name: name != self._default_edition)

    def _role(self, edition: str, name: str) -> str:
        """The end-entity role that a label means in an edition, "" for none."""
        described = self._catalogue.edition(edition)
        branch = described.branches.get(BRANCH_ALIASES.get(name, name))
        if branch is not None and branch.leafs:
            return branch.leafs[0]
        return name if name in given_out(self._catalogue, edition) else ""

    def _edition(self, text: str) -> str:
        """``ISO15118-20``, ``iso20`` or a schema's namespace as the edition's name."""
        wanted = text.lower()
        namespace = _NAMESPACE.fullmatch(text)
        if namespace is not None:
            wanted = f"iso15118-{namespace[1]}"
        for name in self._catalogue.editions():
            if wanted in (name, self._catalogue.edition(name).short):
                return name
        raise V2GPKIError(
            "est.unknown_label",
            f"{text[:_SHOWN]!a} is no edition",
            hint="use ISO15118-2 or ISO15118-20",
            clause="OPCP est.v1",
            facts={"edition": text[:_SHOWN]},
        )

    def _family(self, edition: str, role: str, text: str) -> str:
        """``secp521r1``, ``p521`` or ``ed448`` as the family's name."""
        wanted = text.lower()
        families = self._catalogue.suites(edition, role)
        for name in families:
            curve = SUITES[name].curve
            if wanted in (name, curve.name if curve is not None else name):
                return name
        raise V2GPKIError(
            "est.unknown_family",
            f"{role} of {edition} has no key family {text[:_SHOWN]!a}",
            hint=f"it has {', '.join(families)}",
            clause="OPCP est.v1",
            facts={"edition": edition, "family": text[:_SHOWN], "families": families},
        )


def given_out(catalogue: Catalogue, edition: str) -> frozenset[str]:
    """The roles of an edition whose certificates are enrolled: the end-entities of its branches."""
    return frozenset(leaf for branch in catalogue.edition(edition).branches.values() for leaf in branch.leafs)


def _beginnings(base: str) -> Iterator[tuple[str, str]]:
    """(hierarchy, name): without a hierarchy first; a name may have hyphens, and so may a hierarchy."""
    yield "", base
    for at, character in enumerate(base):
        if character == "-":
            yield base[:at], base[at + 1 :]
