"""The values that shell completion offers for an edition, a role, a key family, a scope and the name of a CA.

They are found by what a parameter is called in ``--help``, so that no command declares them. Nothing is asked for and
nothing refused: without profiles or a home there is just nothing to offer. What reads files is imported when a value is
being completed, never to run a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from v2gpki.cli.frame import Frame

if TYPE_CHECKING:
    from v2gpki.profile.load import Catalogue

_Offer: TypeAlias = "Callable[[click.Context, str], Iterable[tuple[str, str]]]"

#: What the first argument of these commands may name; elsewhere every role.
_KINDS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("ca", "create"): ("root", "sub-ca"),
    ("cert", "issue"): ("leaf",),
}
#: The command that is about roles that are enrolled.
_ENROLLED = ("access", "register")
#: Commands that are about roots alone.
_OF_ROOTS = ("rcp", "ctl")


class Suggested(StringParamType):
    """A text for which the shell is offered values; every other one is taken as well."""

    def __init__(self, offer: _Offer) -> None:
        self._offer = offer

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The values that begin as written, with a word about each."""
        offered = dict(self._offer(ctx, incomplete))
        return [CompletionItem(value, help=text) for value, text in offered.items() if value.startswith(incomplete)]


def with_suggestions(parameters: Sequence[click.Parameter]) -> None:
    """Let the shell complete the parameters of a command that are known here; those with a type of their own stay."""
    for parameter in parameters:
        if type(parameter.type) is not StringParamType:
            continue
        offer = _OFFERS.get(parameter.metavar or "") or _OFFERS.get(_called(parameter))
        if offer is not None:
            parameter.type = Suggested(offer)


def _called(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return (parameter.name or "").upper()
    return next(iter(parameter.opts), "")


def _editions(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    catalogue = _catalogue(ctx)
    return [] if catalogue is None else [(name, "") for name in catalogue.editions()]


def _roles(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Those of the edition, if one is given; with the title of the profile."""
    from v2gpki.errors import V2GPKIError
    from v2gpki.services.est.labels import given_out

    catalogue = _catalogue(ctx)
    if catalogue is None:
        return
    path = tuple(ctx.command_path.split()[1:3])
    kinds = ("root",) if path[:1] and path[0] in _OF_ROOTS else _KINDS.get(path, ())
    for edition in _chosen_editions(ctx, catalogue):
        for role in given_out(catalogue, edition) if path == _ENROLLED else catalogue.roles(edition):
            try:
                profile = catalogue.profile(edition, role, catalogue.suites(edition, role)[0])
            except V2GPKIError:
                continue
            if not kinds or profile.kind in kinds:
                yield role, profile.title


def _scopes(_ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    from v2gpki.services.access import SCOPES

    return SCOPES.items()


def _suites(ctx: click.Context, _incomplete: str) -> Iterable[tuple[str, str]]:
    """Those of the edition and the role, as far as they are given."""
    from v2gpki.keys.suites import SUITES

    catalogue = _catalogue(ctx)
    if catalogue is None:
        return
    role = ctx.params.get("role")
    for edition in _chosen_editions(ctx, catalogue):
        roles = catalogue.roles(edition)
        for one in [role] if role in roles else roles:
            for suite in catalogue.suites(edition, one):
                yield suite, SUITES[suite].title


def _authorities(ctx: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Slugs; generations too where one is being named (to bash the @ begins a new word)."""
    from v2gpki.wiring.glance import authority_names

    for name, subject in authority_names(_frame(ctx).home):
        yield (name if "@" in incomplete else name.partition("@")[0]), subject


def _chosen_editions(ctx: click.Context, catalogue: Catalogue) -> Sequence[str]:
    given = ctx.params.get("edition")
    return (given,) if isinstance(given, str) and given in catalogue.editions() else catalogue.editions()


def _catalogue(ctx: click.Context) -> Catalogue | None:
    from v2gpki.errors import V2GPKIError
    from v2gpki.profile.load import Catalogue

    try:
        return Catalogue(_frame(ctx).profiles)
    except (V2GPKIError, OSError):
        return None


def _frame(ctx: click.Context) -> Frame:
    return ctx.ensure_object(Frame)


#: By metavar, else by the name of an option or (in capitals) of an argument.
_OFFERS: dict[str, _Offer] = {
    "EDITION": _editions,
    "--edition": _editions,
    "ROLE": _roles,
    "--role": _roles,
    "SCOPE": _scopes,
    "SUITE": _suites,
    "--suite": _suites,
    "CA": _authorities,
    "CA|SERIAL": _authorities,
}
