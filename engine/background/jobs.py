"""Which jobs a process has, of the worlds and hooks that it loaded."""

from engine.background import hooked
from engine.background.clock import Clock
from engine.background.news import News
from engine.background.worker import Job
from engine.dispatch import Dispatcher
from engine.settings import Settings


def jobs_of(dispatcher: Dispatcher, settings: Settings) -> list[Job]:
    """The jobs of a process, each of which takes only what it has loaded."""
    kinds = {hooked.KIND: hooked.serving(dispatcher.registry)}
    return [Clock(dispatcher), News(dispatcher.store, dispatcher.registry, kinds)]
