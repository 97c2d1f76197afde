"""Redaction: what a caller without the scope `advanced` does not read.

The options `secret` and `redaction` of the contract say which fields it is, so that a new field
needs nothing here.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from proa import v1
from proad.model.scope import Scope
from proad.rpc import caller
from proad.rpc.methods import Method

Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncIterator[Any]]
Redact = Callable[[Any], object]
"""Leaves out of a message what its readers may not read."""

# Redacts the value of a field in its message; returns whether something was left out.
_Action = Callable[[Any, Any], bool]

# Characters of a command line that are looked through; a longer one is left out unseen, since the
# event loop would be held up.
_MOST_LOOKED_AT = 2**13

_FLAG = "redacted"


def nothing(message: Message) -> None:
    """Leave nothing out, for callers with the scope `advanced`."""


class Redactor:
    """Leaves out of messages what callers without the scope `advanced` may not read.

    Args:
        secret_patterns: regular expressions; a command line in which one is found is taken for
            one that carries a secret.
    """

    def __init__(self, secret_patterns: Sequence[str]) -> None:
        self._patterns = [re.compile(pattern) for pattern in secret_patterns]
        self._actions: dict[str, dict[str, _Action]] = {}

    def redact(self, message: Any) -> bool:
        """Redact a message, at any depth, and set `redacted` where a message in it has that field.

        Return whether something was left out.
        """
        actions = self._of(message.DESCRIPTOR)
        if not actions:
            return False
        found = False
        for field, value in message.ListFields():
            action = actions.get(field.name)
            if action is not None and action(message, value):
                found = True
        if found and _FLAG in message.DESCRIPTOR.fields_by_name:
            message.redacted = True
        return found

    def unary(self, method: Method, serve: Unary) -> Unary:
        """Return a function that serves a method, its response redacted for the caller."""
        if not self._concerns(method):
            return serve

        async def redacted(request: Any, context: Any) -> Any:
            return self._for_caller(await serve(request, context))

        return redacted

    def stream(self, method: Method, serve: Stream) -> Stream:
        """Return a function that serves a method, its responses redacted for the caller."""
        if not self._concerns(method):
            return serve

        async def redacted(request: Any, context: Any) -> AsyncIterator[Any]:
            async with aclosing(serve(request, context)) as responses:  # type: ignore[type-var]
                async for response in responses:
                    yield self._for_caller(response)

        return redacted

    def _concerns(self, method: Method) -> bool:
        """Return whether a caller without the scope `advanced` can get what is to be redacted.

        What a change answers, such as a token, is meant for its caller.
        """
        if method.changes or Scope.ADVANCED in method.access.scopes:
            return False
        return bool(self._of(method.response.DESCRIPTOR))

    def _for_caller(self, response: Any) -> Any:
        """Return a response redacted; bytes were encoded for this caller already."""
        if type(response) is not bytes and not caller.reads_all():
            self.redact(response)
        return response

    def _of(self, descriptor: Any) -> dict[str, _Action]:
        """Return the actions on messages of a type, by field, made once for each type."""
        known = self._actions.get(descriptor.full_name)
        if known is None:
            known = self._actions[descriptor.full_name] = {}
            for field in descriptor.fields:
                if (action := self._action(field)) is not None:
                    known[field.name] = action
        return known

    def _action(self, field: FieldDescriptor) -> _Action | None:
        options: Any = field.GetOptions().Extensions
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        if options[v1.secret] or options[v1.redaction] == v1.REDACTION_HOST:
            return _emptied if is_map else _cleared(field)
        if options[v1.redaction] == v1.REDACTION_COMMAND:
            clear = _cleared(field)
            return lambda message, value: self._looks_secret(value) and clear(message, value)
        if is_map:
            inner = inner.fields_by_name["value"].message_type  # type: ignore[union-attr]
        if inner is None or not self._of(inner):
            return None
        if is_map:
            return lambda _message, value: sum(map(self.redact, value.values())) > 0
        if field.is_repeated:
            return lambda _message, value: sum(map(self.redact, value)) > 0
        return lambda _message, value: self.redact(value)

    def _looks_secret(self, line: Any) -> bool:
        text = line if isinstance(line, str) else " ".join(line)
        return len(text) > _MOST_LOOKED_AT or any(found.search(text) for found in self._patterns)


def _emptied(_message: Any, entries: Any) -> bool:
    found = any(entries.values())
    for key in list(entries):
        entries[key] = ""
    return found


def _cleared(field: FieldDescriptor) -> _Action:
    name = field.name

    def clear(message: Any, _value: Any) -> bool:
        message.ClearField(name)
        return True

    def empty(message: Any, _value: Any) -> bool:
        # To clear a member of a oneof would change which of its members is set.
        setattr(message, name, "")
        return True

    return clear if field.is_repeated or field.message_type is not None else empty
