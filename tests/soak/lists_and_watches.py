"""Lists page by page while engines change, each with a watch that goes on from its token."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import proa
from proa import v1
from soak.external_actors import DockerExternalActor, ExternalActor, LibvirtExternalActor, work
from soak.setting import Setting, wait_through_outages


@dataclass(frozen=True)
class Plan:
    """How many changes are made on each engine, and how many lists meanwhile."""

    changes: int
    lists: int


SHORT = Plan(changes=80, lists=6)
FULL = Plan(changes=1000, lists=60)


@dataclass
class Picture:
    """What the pages of a list and the watch from its token show."""

    call: Any
    there: dict[str, v1.Resource] = field(default_factory=dict)
    heard: int = 0

    def follow(self) -> None:
        for response in self.call:
            for event in response.events:
                if not event.HasField("change"):
                    continue
                self.heard += 1
                change = event.change
                if change.type == v1.CHANGE_TYPE_REMOVED:
                    self.there.pop(change.resource.path, None)
                else:
                    self.there[change.resource.path] = change.resource

    def states(self) -> dict[str, tuple[str, int]]:
        return {each.id: (each.name, each.state) for each in list(self.there.values())}


def lists_and_watches(setting: Setting, plan: Plan, seed: int) -> str:
    """Check that each list, with the watch from its token, becomes what the engines have."""
    chance = random.Random(seed)
    actors: list[ExternalActor] = [
        DockerExternalActor(setting, random.Random(chance.random())),
        LibvirtExternalActor(setting, random.Random(chance.random())),
    ]
    listed = threading.Event()

    def change(actor: ExternalActor) -> None:
        work(actor, lambda: listed.is_set() and sum(actor.done.values()) >= plan.changes)

    with setting.client() as client, ThreadPoolExecutor(len(actors) + plan.lists) as pool:
        working = [pool.submit(change, actor) for actor in actors]
        pictures = []
        try:
            for _ in range(plan.lists):
                picture = _list(client)
                pictures.append(picture)
                pool.submit(_until_cancelled, picture)
            listed.set()
            for each in working:
                each.result()
            settled = wait_through_outages(lambda: _agree(actors, pictures), "all agree", 30)
        finally:
            listed.set()
            for picture in pictures:
                picture.call.cancel()
    heard = [picture.heard for picture in pictures]
    return f"{plan.lists} lists, {heard} changes told after them; all agree {settled:.2f} s later"


def _list(client: proa.Client) -> Picture:
    there: dict[str, v1.Resource] = {}
    request, points = v1.ListResourcesRequest(page_size=2), set()
    while True:
        page = client.resources.ListResources(request)
        there |= {resource.path: resource for resource in page.resources}
        points.add((page.epoch, page.revision, page.resume_token))
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert len(points) == 1, points
    ((_, _, token),) = points
    watch = v1.WatchResourcesRequest(resume_token=token)
    return Picture(client.resources.WatchResources(watch), there)


def _until_cancelled(picture: Picture) -> None:
    try:
        picture.follow()
    except proa.Cancelled:
        return


def _agree(actors: list[ExternalActor], pictures: list[Picture]) -> bool:
    truth = {id: state for actor in actors for id, state in actor.states().items()}
    return all(picture.states() == truth for picture in pictures)
