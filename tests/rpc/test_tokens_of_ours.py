"""Resume tokens and page tokens: valid only for the daemon and user that they were given to."""

import base64
import secrets

import pytest

from proa import v1
from proad.auth.keys import KeyRing
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from rpc.daemon import RPCS, refusal, running
from rpc.watcher import Watcher

FILTER = {"name_prefix": "w"}


async def resumed(daemon, token, *, username="ann", **request):
    """Return the refusal of a watch with a resume token; None if it resumes."""
    call = daemon.send(
        RPCS["WatchResources"],
        v1.WatchResourcesRequest(resume_token=token, **request),
        token=daemon.token(Scope.BASIC, username=username),
    )
    try:
        refused = await refusal(call.read())
    except AssertionError:
        call.cancel()
        return None
    return refused


@pytest.fixture
async def token(daemon):
    """Return the resume token of a watch by ann."""
    watcher = await Watcher(daemon, filter=FILTER).begin()
    watcher.call.cancel()
    return watcher.resume_token


def refused_as_made_up(refused):
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["resume_token"])
    assert (
        "is not one that WatchResources or ListResources gave you for this filter"
        in refused.message
    )
    return True


async def test_resume_token_of_another_user_or_filter_is_refused(daemon, token):
    await daemon.container("web")

    assert await resumed(daemon, token, filter=FILTER) is None
    assert refused_as_made_up(await resumed(daemon, token, filter=FILTER, username="eve"))
    assert refused_as_made_up(await resumed(daemon, token, filter={"name_prefix": "v"}))
    assert refused_as_made_up(await resumed(daemon, token))


async def test_resume_token_that_was_made_up_is_refused(daemon, token):
    run, revision, incomplete, access, mark = token.split(".")
    other = secrets.token_urlsafe(16)
    for forged in (
        f"{run}.{int(revision) + 1}.{incomplete}.{access}.{mark}",
        f"{run}.0{revision}.{incomplete}.{access}.{mark}",
        f"{run}.{10**60}.{incomplete}.{access}.{mark}",
        f"{run}.{revision}.1.{access}.{mark}",
        f"{run}.{revision}.{access}.{mark}",
        f"{run}.{revision}.{incomplete}.{access}.{other}",
        f"{run}.{revision}.{incomplete}.{access}.{mark[:-2]}",
        f"{run}.{revision}.{incomplete}.{access}.",
        f"{run}.{revision}.{incomplete}.{access}",
        f"{run}.{revision}.{incomplete}.other.{mark}",
        f"{run}.{revision}.{incomplete}.{mark}",
        f"other.{revision}.{incomplete}.{access}.{mark}",
        f"{run}.{revision}.{incomplete}.{access}.{mark}.{mark}",
        f".{token}",
    ):
        assert refused_as_made_up(await resumed(daemon, forged, filter=FILTER)), forged


async def test_resume_token_outlives_a_new_key_as_compacted(settings):
    driver = MemoryDriver()
    async with running(settings(), [("local", driver)]) as daemon:
        token = (await Watcher(daemon).begin()).resume_token
    KeyRing.rotate(settings().keys_dir)

    async with running(settings(), [("local", driver)]) as daemon:
        refused = await resumed(daemon, token)

    assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "REVISION_COMPACTED")


async def page(daemon, token="", *, username="ann"):
    call = daemon.send(
        RPCS["ListResources"],
        v1.ListResourcesRequest(page_size=1, page_token=token),
        token=daemon.token(Scope.BASIC, username=username),
    )
    return await call


async def test_page_token_of_another_user_is_refused(daemon):
    for name in ("aa", "bb", "cc"):
        await daemon.container(name)

    # The same first page is kept encoded for both, and each gets a token of their own.
    anns, eves = [(await page(daemon, username=u)).next_page_token for u in ("ann", "eve")]

    assert anns != eves
    for username, own, foreign in (("ann", anns, eves), ("eve", eves, anns)):
        assert [r.name for r in (await page(daemon, own, username=username)).resources] == ["bb"]
        refused = await refusal(page(daemon, foreign, username=username))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_page_token_that_was_made_up_is_refused(daemon):
    for name in ("aa", "bb", "cc"):
        await daemon.container(name)
    sealed = base64.urlsafe_b64decode((await page(daemon)).next_page_token)

    for forged in (
        sealed[:16] + b'["bb"]',
        bytes(16) + sealed[16:],
        sealed[16:],
        sealed[:16],
        sealed + b" ",
    ):
        refused = await refusal(page(daemon, base64.urlsafe_b64encode(forged).decode()))
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_page_token_outlives_a_restart(settings):
    driver = MemoryDriver()
    async with running(settings(), [("local", driver)]) as daemon:
        for name in ("aa", "bb"):
            await daemon.container(name)
        token = (await page(daemon)).next_page_token

    async with running(settings(), [("local", driver)]) as daemon:
        assert [r.name for r in (await page(daemon, token)).resources] == ["bb"]
