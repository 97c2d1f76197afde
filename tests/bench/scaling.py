"""Calls among many resources against the same calls among few, while others write."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import Any

import grpc

from bench.daemon import Daemon, running
from bench.interleaved import Act, p50, time_interleaved
from bench.plan import Plan
from bench.populated import IMAGE, name
from bench.report import Row, Target
from bench.workers import working
from proa import v1

_CREATE = "/proa.v1.ContainerService/CreateContainer"
_DELETE = "/proa.v1.ResourceService/DeleteResource"
_GET = "/proa.v1.ResourceService/GetResource"
_LIST = "/proa.v1.ResourceService/ListResources"
_PAGE = 100
_WRITE_EVERY = 0.02
_NOTE = (
    "Two daemons over the memory driver, called alternately by the bare HTTP/2 client; 'bare' is the "
    "one with few containers. A page has 100 of them. Meanwhile a process of its own creates and "
    "deletes containers in both, some {rate:.0f} changes a second in each."
)


def scaling(plan: Plan) -> Iterator[Row]:
    """List, get and create in a daemon with few resources and in one with many."""
    with ExitStack() as stack:
        few = stack.enter_context(_populated(plan.few_resources))
        many = stack.enter_context(_populated(plan.many_resources))
        targets = [(f"unix:{daemon.socket}", daemon.token) for daemon in (few, many)]
        writer = stack.enter_context(working(_write, targets))
        acts = {"few": _acts(few, plan.few_resources), "many": _acts(many, plan.many_resources)}
        rows: list[tuple[str, float, float]] = []
        writer.ask("begin")
        for work in acts["few"]:
            times = time_interleaved({side: acts[side][work] for side in acts}, plan.scaling)
            rows.append((work, p50(times["many"]), p50(times["few"])))
        rate = writer.ask("end")
    for work, ours, bare in rows:
        yield Row.ratio(
            f"{work}, of {plan.many_resources} : of {plan.few_resources}",
            ours,
            bare,
            Target("≤", 1.5),
            note=_NOTE.format(rate=rate),
        )


def _populated(count: int) -> Any:
    return running("-m", "bench.populated", str(count))


def _acts(daemon: Daemon, count: int) -> dict[str, Act]:
    """Return the calls to time. Each asks for another resource every time."""
    ids, middle = _ids_and_middle(daemon, count)
    draw, numbers = random.Random(count), itertools.count()

    def anyone() -> str:
        return name(draw.randrange(count))

    def page(request: v1.ListResourcesRequest) -> None:
        daemon.wire.call(_LIST, request.SerializeToString())

    def get(id: str) -> None:
        request = v1.GetResourceRequest(id=id, view=v1.RESOURCE_VIEW_SUMMARY)
        daemon.wire.call(_GET, request.SerializeToString())

    def create() -> None:
        spec = v1.ContainerSpec(image=IMAGE, name=f"new-{next(numbers)}")
        daemon.wire.call(_CREATE, v1.CreateContainerRequest(spec=spec).SerializeToString())

    nothing = v1.ListResourcesRequest(filter=v1.ResourceFilter(name_prefix="nobody"))
    by_name = v1.ListResourcesRequest(page_size=_PAGE, page_token=middle)
    newest = v1.ListResourcesRequest(page_size=_PAGE, order_by="create_time desc")
    return {
        "ListResources, a page by name": lambda: page(by_name),
        "ListResources, the newest": lambda: page(newest),
        "ListResources, a prefix of nothing": lambda: page(nothing),
        "GetResource by name": lambda: get(anyone()),
        "GetResource by id prefix": lambda: get(ids[anyone()][:16]),
        "CreateContainer": create,
    }


def _ids_and_middle(daemon: Daemon, count: int) -> tuple[dict[str, str], str]:
    """Return the ids of all containers by their names, and the token of the middle page."""
    ids: dict[str, str] = {}
    middle = ""
    request = v1.ListResourcesRequest(page_size=min(count // 2, 1000))
    while True:
        answer = v1.ListResourcesResponse.FromString(
            daemon.wire.call(_LIST, request.SerializeToString())
        )
        ids |= {resource.name: resource.id for resource in answer.resources}
        request.page_token = answer.next_page_token
        if len(ids) == count // 2:
            middle = request.page_token
        if not request.page_token:
            break
    if len(ids) != count or not middle:
        raise RuntimeError(f"the daemon lists {len(ids)} of {count}")
    return ids, middle


def _write(connection: "Connection[Any, Any]", targets: list[tuple[str, str]]) -> None:
    asyncio.run(_write_until_told(connection, targets))


async def _write_until_told(
    connection: "Connection[Any, Any]", targets: list[tuple[str, str]]
) -> None:
    await asyncio.to_thread(connection.recv)
    connection.send("begun")
    clock = asyncio.get_running_loop().time
    begin, rounds, told = clock(), 0, asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), told.set)
    channels = [(grpc.aio.insecure_channel(address), token) for address, token in targets]
    while not told.is_set():
        await asyncio.gather(*(_change(channel, token, rounds) for channel, token in channels))
        rounds += 1
        await asyncio.sleep(_WRITE_EVERY)
    connection.recv()
    connection.send(2 * rounds / (clock() - begin))


async def _change(channel: grpc.aio.Channel, token: str, number: int) -> None:
    metadata = [("authorization", f"Bearer {token}")]
    create = channel.unary_unary(
        _CREATE,
        v1.CreateContainerRequest.SerializeToString,
        v1.CreateContainerResponse.FromString,
    )
    delete = channel.unary_unary(
        _DELETE, v1.DeleteResourceRequest.SerializeToString, v1.DeleteResourceResponse.FromString
    )
    spec = v1.ContainerSpec(image=IMAGE, name=f"other-{number}")
    created = await create(v1.CreateContainerRequest(spec=spec), metadata=metadata)
    await delete(v1.DeleteResourceRequest(id=created.resource.id), metadata=metadata)
