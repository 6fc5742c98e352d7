"""``v2gpki completion``: print the completion script of a shell (click's own). It writes nothing."""

from __future__ import annotations

import os

import click
from click.shell_completion import ShellComplete, get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the completion script of SHELL (default: the login shell, else bash).

    \b
    bash:  eval "$(v2gpki completion bash)"          in ~/.bashrc
    zsh:   eval "$(v2gpki completion zsh)"           in ~/.zshrc
    fish:  v2gpki completion fish | source           in ~/.config/fish/config.fish
    """
    login = os.path.basename(os.environ.get("SHELL", ""))
    name = shell or (login if login in SHELLS else "bash")
    shell_class = get_completion_class(name)
    if shell_class is None:
        raise click.UsageError(f"there is no completion for the shell {name}", ctx)
    script = shell_class(ctx.find_root().command, {}, "v2gpki", "_V2GPKI_COMPLETE")
    click.echo(ShellComplete.source(script), nl=False)
