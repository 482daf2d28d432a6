"""Which jobs a process has, of the worlds and hooks that it loaded."""

from collections.abc import Mapping

from engine.background import hooked
from engine.background.clock import Clock
from engine.background.news import News
from engine.background.sweeping import Sweeping, Task, tasks_of
from engine.background.worker import Job
from engine.dispatch import Dispatcher
from engine.settings import Settings


def jobs_of(dispatcher: Dispatcher, settings: Settings, swept: Mapping[str, Task]) -> list[Job]:
    """The jobs of a process, each of which takes only what it has loaded; `swept` is what it tidies up, too."""
    kinds = {hooked.KIND: hooked.serving(dispatcher.registry)}
    tasks = {**tasks_of(dispatcher, settings.journal_retention, settings.expired_for), **swept}
    return [Clock(dispatcher), News(dispatcher.store, dispatcher.registry, kinds), Sweeping(tasks)]
