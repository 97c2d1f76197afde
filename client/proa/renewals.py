"""Renewals of the token of a stream of requests."""

import threading
from collections.abc import Callable

from google.protobuf.message import Message

from proa import contract
from proa.backoff import is_transient
from proa.errors import Error
from proa.request_stream import RequestStream
from proa.timing import ClientTiming
from proa.tokens import TokenSource


class RenewalPlan:
    """When a stream of requests asks for the next token, and what it sends then.

    Args:
        method: the path of the method.
        token: the token of the call.
        until_renewal: returns the seconds until there may be another than the given one; None: there
            will be none.
        timing: when to ask for a token.

    Attributes:
        pause: seconds until the next one is asked for; None: no more are.
    """

    def __init__(
        self,
        method: str,
        token: str,
        until_renewal: Callable[[str | None], float | None],
        timing: ClientTiming,
    ) -> None:
        self._method = method
        self._token = token
        self._until_renewal = until_renewal
        self._timing = timing
        self.pause = until_renewal(token)

    def failed(self, error: Error) -> None:
        """Note that there is no token; unless there is one soon, the call ends with its own."""
        self.pause = self._timing.longest_backoff if is_transient(error) else None

    def request(self, token: str | None) -> Message | None:
        """Return the request with a token; None: the call has it, or takes no other."""
        self.pause = self._until_renewal(token)
        if token is None or token == self._token:
            if self.pause is not None:
                # There may never be another.
                self.pause = max(self.pause, self._timing.renewal_check)
            return None
        self._token = token
        renewal = contract.renewal(self._method, token)
        if renewal is None:
            self.pause = None
        return renewal


class Renewals:
    """Sends a stream of requests the next token before its own expires.

    Args:
        tokens: the source of tokens.
        method: the path of the method.
        requests: the requests of the call.
        timing: when to ask for a token.
    """

    def __init__(
        self, tokens: TokenSource, method: str, requests: RequestStream, timing: ClientTiming
    ) -> None:
        self._tokens = tokens
        self._method = method
        self._requests = requests
        self._timing = timing

    def begin(self, token: str | None) -> None:
        """Begin, where there will be another token than that of the call; None: it has none."""
        if token is None or self._tokens.until_renewal(token) is None:
            return
        plan = RenewalPlan(self._method, token, self._tokens.until_renewal, self._timing)
        threading.Thread(
            target=self._renew, args=(plan,), name="proa-renewals", daemon=True
        ).start()

    def _renew(self, plan: RenewalPlan) -> None:
        while plan.pause is not None and not self._requests.wait_closed(plan.pause):
            try:
                request = plan.request(self._tokens.get())
            except Error as error:
                plan.failed(error)
                continue
            if request is None:
                continue
            try:
                self._requests.send(request, urgent=True)
            except BrokenPipeError:
                return
