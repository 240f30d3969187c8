"""`logship completion`."""

import click
from click.shell_completion import get_completion_class

from logship.cli.output import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the code with which SHELL completes commands, options and field names.

    bash: eval "$(logship completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc; fish: logship completion fish >
    ~/.config/fish/completions/logship.fish"""
    completer = get_completion_class(shell)
    assert completer is not None
    root = click.get_current_context().find_root().command
    say(completer(root, {}, "logship", "_LOGSHIP_COMPLETE").source())
    return 0
