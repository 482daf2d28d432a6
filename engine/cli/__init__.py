"""The command line `turnkeeper`: every command, and where it is carried out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engine.cli.change import fork_session, redo_last, undo_last
from engine.cli.checks import check_world
from engine.cli.clients import add_client, list_clients, remove_client, renew_secret
from engine.cli.effects import drop_effect, list_effects, retry_effect
from engine.cli.files import export_session, import_session, query_session
from engine.cli.hooks import forget_hook, list_hooks, resume_hook, show_hook, skip_change
from engine.cli.inspect import list_sessions, list_worlds, show_difference, show_history, show_session
from engine.cli.keeping import backup_database
from engine.cli.keys import drop_old_keys, forget_secrets, rotate_keys
from engine.cli.migrating import migrate_database
from engine.cli.offered import Offering
from engine.cli.people import add_account, link_account, list_accounts, remove_account, reset_password
from engine.cli.personal import delete_person, export_person
from engine.cli.play import play_world
from engine.cli.reporting import reporting
from engine.cli.serve import serve_http, serve_stdio
from engine.cli.timers import list_timers, resume_timers
from engine.cli.tokens import create_token, list_tokens, revoke_token
from engine.cli.webhooks import (
    add_webhook,
    disable_webhook,
    enable_webhook,
    list_deliveries,
    list_webhooks,
    remove_webhook,
    replay_deliveries,
    rotate_webhook,
    show_webhook,
    try_webhook,
)
from engine.settings import own_version

Command = Callable[..., None]

COMMANDS: Mapping[str, Mapping[str, Command]] = {
    "Play and serve": {"play": play_world, "serve": serve_http, "stdio": serve_stdio},
    "Look": {
        "worlds": list_worlds,
        "sessions": list_sessions,
        "show": show_session,
        "history": show_history,
        "diff": show_difference,
        "sql": query_session,
    },
    "Files": {"export": export_session, "import": import_session},
    "Change": {"undo": undo_last, "redo": redo_last, "fork": fork_session},
    "Care": {"migrate": migrate_database, "backup": backup_database, "check": check_world},
}
"""Every command by its name, in the order and under the headings of the help."""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands about one thing, such as `turnkeeper token list`; if it `lists`, the word `list` may be left out."""

    about: str
    commands: Mapping[str, Command]
    lists: bool = False


GROUPS: Mapping[str, Mapping[str, Group]] = {
    "After the commit": {
        "timers": Group("What sessions wait for.", {"list": list_timers, "resume": resume_timers}, lists=True),
        "effects": Group(
            "What sessions asked for outside, such as payments: effects [H], and what became of each.",
            {"list": list_effects, "retry": retry_effect, "drop": drop_effect},
            lists=True,
        ),
        "hooks": Group(
            "Hooks: which there are, and where they wait, fail or are parked.",
            {"list": list_hooks, "show": show_hook, "resume": resume_hook, "skip": skip_change, "forget": forget_hook},
            lists=True,
        ),
        "webhooks": Group(
            "Webhooks: who is told of changes over HTTP, and what came of it.",
            {
                "add": add_webhook,
                "list": list_webhooks,
                "show": show_webhook,
                "test": try_webhook,
                "rotate": rotate_webhook,
                "enable": enable_webhook,
                "disable": disable_webhook,
                "remove": remove_webhook,
                "deliveries": list_deliveries,
                "replay": replay_deliveries,
            },
            lists=True,
        ),
    },
    "Who may": {
        "user": Group(
            "People: their accounts, and what is held about them.",
            {
                "add": add_account,
                "list": list_accounts,
                "link": link_account,
                "password": reset_password,
                "remove": remove_account,
                "export": export_person,
                "delete": delete_person,
            },
        ),
        "token": Group(
            "Personal access tokens, for scripts.",
            {"create": create_token, "list": list_tokens, "revoke": revoke_token},
        ),
        "keys": Group(
            "The keys that seal what a stolen database must not show.",
            {"rotate": rotate_keys, "drop-old": drop_old_keys, "forget": forget_secrets},
        ),
        "client": Group(
            "OAuth clients.",
            {"add": add_client, "list": list_clients, "remove": remove_client, "secret": renew_secret},
        ),
    },
}
"""Groups of commands, likewise."""


class Listing(TyperGroup):
    """A group of commands that lists where no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what names no command for what `list` gets."""
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


app = typer.Typer(name="turnkeeper", cls=Offering, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"turnkeeper {own_version()}")
        raise typer.Exit


@app.callback(
    epilog="A world may have commands of its own: turnkeeper WORLD --help. Exit codes: 0 done, 1 refused or a problem"
    " found, 2 wrong usage, 3 the database cannot be used."
)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Durable, owned, undoable sessions for MCP."""


for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(reporting(command))

for panel, groups in GROUPS.items():
    for title, group in groups.items():
        inner = typer.Typer(
            cls=Listing if group.lists else None,
            help=group.about,
            no_args_is_help=not group.lists,
            pretty_exceptions_enable=False,
        )
        for name, command in group.commands.items():
            inner.command(name)(reporting(command))
        app.add_typer(inner, name=title, rich_help_panel=panel)


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    app(prog_name="turnkeeper")
