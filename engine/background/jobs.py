"""Which jobs a process has, of the worlds and hooks that it loaded."""

from collections.abc import Mapping
from functools import partial

import anyio

from engine.background import hooked
from engine.background.clock import Clock
from engine.background.deliveries import MOST, Deliveries, sweep_delivered
from engine.background.effects import Effects
from engine.background.news import News
from engine.background.spreading import spreading
from engine.background.sweeping import Sweeping, Task, tasks_of
from engine.background.worker import Job
from engine.dispatch import Dispatcher
from engine.effects import ToolCaller
from engine.outbound import Outbound, networks_of
from engine.settings import Settings
from engine.store import webhooks


def jobs_of(
    dispatcher: Dispatcher, settings: Settings, swept: Mapping[str, Task], tools: ToolCaller | None = None
) -> list[Job]:
    """The jobs of a process, each of which takes only what it has loaded; `swept` is what it tidies up, too.

    `tools` calls the tools of other servers, for effects.
    """
    deliveries = Deliveries(dispatcher.store, webhook_outbound(settings))
    kinds = {hooked.KIND: hooked.serving(dispatcher.registry), webhooks.KIND: spreading}
    delivered: dict[str, Task] = {"deliveries": partial(sweep_delivered, dispatcher.store)}
    tasks = {**tasks_of(dispatcher, settings.journal_retention, settings.expired_for), **delivered, **swept}
    news = News(dispatcher.store, dispatcher.registry, kinds, deliveries.soon)
    jobs: list[Job] = [Clock(dispatcher), news, deliveries, Sweeping(tasks)]
    if any(world.effects for world in dispatcher.registry.worlds.values()):
        jobs.append(Effects(dispatcher, tools))
    return jobs


def webhook_outbound(settings: Settings) -> Outbound:
    """What webhooks are asked through: it reaches public addresses, and the networks that the settings list."""
    return Outbound(networks_of(settings.networks), threads=anyio.CapacityLimiter(MOST))
