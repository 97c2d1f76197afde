"""Renewals of the token of a stream of requests, of the synchronous client."""

import threading

from proa import contract
from proa.backoff import is_transient
from proa.errors import Error
from proa.request_stream import RequestStream
from proa.timing import ClientTiming
from proa.tokens import TokenSource


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
        if token is None or self._tokens.until_renewal() is None:
            return
        threading.Thread(
            target=self._renew, args=(token,), name="proa-renewals", daemon=True
        ).start()

    def _renew(self, token: str) -> None:
        pause = self._tokens.until_renewal()
        while pause is not None and not self._requests.wait_closed(pause):
            try:
                fresh = self._tokens.get()
            except Error as error:
                if not is_transient(error):
                    return  # the call ends with its token
                pause = self._timing.longest_backoff
                continue
            if is_new := fresh is not None and fresh != token:
                token = fresh
                request = contract.renewal(self._method, token)
                if request is None:
                    return
                try:
                    self._requests.send(request, urgent=True)
                except BrokenPipeError:
                    return
            pause = self._tokens.until_renewal()
            if pause is not None and not is_new:
                pause = max(pause, self._timing.renewal_check)  # there may never be another
