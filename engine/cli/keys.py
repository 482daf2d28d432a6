"""Commands about the installation's keys: keys rotate, drop-old and forget."""

from engine import keys
from engine.application import opened
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.errors import Refused
from engine.settings import Settings


def rotate_keys(as_json: AsJson = False) -> None:
    """Put a new key in front of the others. Nobody is logged out; servers use it when they start again."""
    settings = settings_from()
    _insist_on_file(settings)
    count = keys.rotate(settings.data_dir)
    _say(f"There is a new key in front of {count - 1} older. Start the servers again.", {"keys": count}, as_json)


def drop_old_keys(as_json: AsJson = False) -> None:
    """Forget all keys but the first, once every server was started with it; what older ones sealed is sealed anew."""
    settings = settings_from()
    _insist_on_file(settings)
    with opened(settings) as dispatcher:
        dispatcher.store.write(lambda transaction: transaction.seal_anew())
    dropped = keys.drop_old(settings.data_dir)
    _say(f"{dropped} older keys are gone.", {"dropped": dropped}, as_json)


def forget_secrets(as_json: AsJson = False) -> None:
    """Go on without what a lost key sealed: shares with people who never signed in, and questions still open."""
    with opened(settings_from()) as dispatcher:
        dispatcher.store.write(lambda transaction: transaction.forget_secrets())
    _say("Forgotten; what is needed is made anew.", {}, as_json)


def _insist_on_file(settings: Settings) -> None:
    if settings.secrets.get_secret_value():
        raise Refused(
            "keys_from_environment",
            "The keys come from TURNKEEPER_SECRETS, which this command cannot change.",
            hint="Put a new key before the others there, and start the servers again.",
        )


def _say(text: str, value: dict[str, int], as_json: bool) -> None:
    if as_json:
        output.print_json(value)
    else:
        output.stdout().print(text)
