"""The command line: the table of commands, the lazy group, and the outermost border.

A command is known here by name, place and one line of help; its module is imported when it runs, so
that ``--version``, ``--help`` and shell completion load nothing heavy. ``main`` is the only place where
an unexpected exception is caught: it becomes exit code 70 and never a traceback, unless ``--debug``.
A command returns None or its exit code, and raises ``V2GPKIError`` to refuse.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from v2gpki.cli import options, streams
from v2gpki.cli.failure import Interrupted, ReaderGone, report
from v2gpki.cli.frame import Frame
from v2gpki.errors import EXIT_OK
from v2gpki.version import __version__

#: name -> (module:attribute, one line of help). Names are a contract.
COMMANDS: dict[str, tuple[str, str]] = {
    "init-root": ("v2gpki.cli.root:init_root", "Create a root: V2G, MO, OEM or private."),
    "init": ("v2gpki.cli.root:init", "Create a whole Plug & Charge ecosystem."),
    "ca": ("v2gpki.cli.ca:ca", "Create, list and show certification authorities."),
    "cert": ("v2gpki.cli.cert:cert", "Issue, list, show, revoke and export certificates."),
    "contract": ("v2gpki.cli.contract:contract", "Create, list and end contracts; prepare what vehicles install."),
    "installation": ("v2gpki.cli.installation:installation", "Ask for, answer, verify, open and explain contracts."),
    "crl": ("v2gpki.cli.crl:crl", "Issue certificate revocation lists."),
    "ocsp": ("v2gpki.cli.ocsp:ocsp", "Ask OCSP responders; sign answers ahead; staples; hash data."),
    "ctl": ("v2gpki.cli.ctl:ctl", "Trust lists: create, sign, show, compare, import."),
    "rcp": ("v2gpki.cli.rcp:rcp", "Root pool: which roots are trusted."),
    "pcp": ("v2gpki.cli.pcp:pcp", "Provisioning pool: register vehicles."),
    "tree": ("v2gpki.cli.tree:tree", "Show the hierarchy, as text or as an SVG picture."),
    "verify": ("v2gpki.cli.verify:verify", "Verify a chain: RFC 5280 and the rules of its role."),
    "lint": ("v2gpki.cli.lint:lint", "Check certificate files against a profile."),
    "id": ("v2gpki.cli.id:identifier", "Check and make EMAID, PCID, EVSEID and SECCID."),
    "exi": ("v2gpki.cli.exi:exi", "Show, write and trace V2G messages in EXI."),
    "export": ("v2gpki.cli.export:export", "Write the PKI in the layout of another stack."),
    "key": ("v2gpki.cli.key:key", "Export a private key, encrypted again for others."),
    "audit": ("v2gpki.cli.audit:audit", "Show, verify and anchor the audit log."),
    "serve": ("v2gpki.cli.serve:serve", "Serve OCSP, CRLs, EST and the pools over HTTP."),
    "secc": ("v2gpki.cli.secc:secc", "Be a charging station."),
    "evcc": ("v2gpki.cli.evcc:evcc", "Be a vehicle."),
    "probe": ("v2gpki.cli.probe:probe", "Look at real stations and vehicles from the other side."),
    "token": ("v2gpki.cli.token:token", "Create, list and revoke credentials for the services."),
    "webhook": ("v2gpki.cli.webhook:webhook", "List and remove the webhook endpoints of every party."),
    "access": ("v2gpki.cli.access:access", "Register who may enrol what."),
    "completion": ("v2gpki.cli.completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when one of them is needed, and not to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the module of one command and give it the global options."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command = getattr(import_module(module), attribute)
            command.name = cmd_name
            self.commands[cmd_name] = options.with_global_options(command)
        return self.commands[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look a command up; an unknown one is a usage error that names the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            advice = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{args[0]}'.{advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The list of commands in ``--help``, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names from the table and options from the group."""
        names = [
            CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a reader that closed the pipe ends it quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as problem:
            raise ReaderGone from problem
        except KeyboardInterrupt as problem:
            raise Interrupted from problem


@click.group(
    name="v2gpki",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="v2gpki", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Plug & Charge (ISO 15118) PKI toolkit and certificate authority.

    Global options stand before or after the command. A value is taken from the option, else from
    the V2GPKI_* variable, else from v2gpki.toml in the home, else from the default.
    """
    ctx.ensure_object(Frame)


options.with_global_options(cli)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is already reported."""
    try:
        status = cli.main(args=list(arguments), prog_name="v2gpki", standalone_mode=False)
        sys.stdout.flush()
    except Exception as problem:  # noqa: BLE001 - the outermost border: a bug must become exit code 70
        return report(problem, arguments)
    return status if type(status) is int else EXIT_OK


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command ``v2gpki``: run and leave the process with the exit code."""
    streams.prepare()
    if not sys.warnoptions:
        # What a library says to programmers about a foreign certificate is a finding of ours, or nothing.
        warnings.simplefilter("ignore")
    try:
        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        status = report(Interrupted(), ())
    streams.release()
    sys.exit(status)
