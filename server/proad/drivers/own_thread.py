"""Calls on threads of their own, which they change for good."""

import asyncio
import errno
import threading
from collections.abc import Callable
from typing import TypeVar

from proad.drivers.threads import call_soon_threadsafe

T = TypeVar("T")


async def on_own_thread(
    call: Callable[[], T],
    *,
    name: str,
    dispose: Callable[[T], object] = lambda _: None,
    ended: Callable[[], object] = lambda: None,
) -> T:
    """Run a call on a thread that does nothing else, and return its result.

    When the caller is cancelled, the call goes on.

    Args:
        call: the call. It may enter a namespace, or drop rights: its thread ends with it.
        name: of the thread.
        dispose: called with a result for which nobody waits any more.
        ended: called once on the event loop when the call has ended, or could not begin.

    Raises:
        OSError: ENOMEM: there is no thread left; or as `call` raises.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        ended()
        if result.done():  # nobody waits any more
            if error is None:
                dispose(value)  # type: ignore[arg-type] # without an error it is a T
        elif error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type] # as above

    def work() -> None:
        try:
            value = call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            call_soon_threadsafe(loop, settle, None, error)
        else:
            call_soon_threadsafe(loop, settle, value, None)

    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        ended()
        raise OSError(errno.ENOMEM, "there is no thread left") from None
    return await result
