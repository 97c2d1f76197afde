"""Errors of the state of a resource, or of the daemon."""

from collections.abc import Sequence
from datetime import timedelta

from proad.errors.root import ProaError, Reason

# Maximum length that fits into the headers of an error.
_MOST_NAMES = 20


class StateError(ProaError):
    """The verb is not legal in the state of the resource.

    The subclasses differ in their reason alone; `model.verbs.refusal` chooses one. `hint` says
    how to reach the verb's purpose from this state.
    """

    reason = Reason.ILLEGAL_STATE

    def __init__(
        self, *, id: str, name: str, state: str, verb: str, allowed_verbs: Sequence[str], hint: str
    ) -> None:
        allowed = ", ".join(allowed_verbs) or "nothing"
        super().__init__(
            f"{verb} is not legal for {name!r}, which is {state}: {hint}; legal now: {allowed}",
            metadata={
                "id": id,
                "name": name,
                "state": state,
                "verb": verb,
                "allowed_verbs": ",".join(allowed_verbs),
            },
        )
        self.name = name


class ResourceNotRunningError(StateError):
    """The verb needs a running resource."""

    reason = Reason.RESOURCE_NOT_RUNNING


class ResourceAlreadyRunningError(StateError):
    """The resource runs already."""

    reason = Reason.RESOURCE_ALREADY_RUNNING


class ResourceRunningError(StateError):
    """The verb needs an inactive resource, or `force`."""

    reason = Reason.RESOURCE_RUNNING


class HasSnapshotsError(ProaError):
    """The domain has snapshots, and the request does not allow to delete them."""

    reason = Reason.HAS_SNAPSHOTS

    def __init__(self, name: str, count: int) -> None:
        super().__init__(
            f"{name!r} has {count} snapshot(s); delete them first or set delete_snapshots",
            metadata={"name": name, "snapshots": str(count)},
        )
        self.name = name


class HasSavedStateError(ProaError):
    """The domain has a saved state that the request does not allow to drop, or that blocks it."""

    reason = Reason.HAS_SAVED_STATE

    def __init__(
        self, name: str, *, hint: str = "start it from there first or set delete_saved_state"
    ) -> None:
        super().__init__(f"{name!r} has a saved state; {hint}", metadata={"name": name})
        self.name = name

    @classmethod
    def of_update(cls, name: str) -> "HasSavedStateError":
        """Return the error of a change that the saved state would undo."""
        return cls(
            name,
            hint="its next start brings this back as it was: start it, stop it, and change it then",
        )


class DeletionProtectedError(ProaError):
    """The resource has deletion protection.

    Args:
        verb: what was refused.
        name: name of the resource.
        volume: the volume that would have gone with the verb; empty: the resource itself.
    """

    reason = Reason.DELETION_PROTECTED

    def __init__(self, verb: str, name: str, *, volume: str = "") -> None:
        what = (
            f"{verb} of volume {volume!r}, a disk of {name!r}," if volume else f"{verb} of {name!r}"
        )
        super().__init__(
            f"{what} is refused: {name!r} has deletion protection; UpdateResource with the mask "
            "deletion_protection takes it off",
            metadata={"name": name, "verb": verb} | ({"volume": volume} if volume else {}),
        )
        self.name = name


class SpecIncompleteError(ProaError):
    """The container has settings that a specification cannot express.

    Args:
        name: name of the container.
        fields: the settings, in the engine's words.
    """

    reason = Reason.SPEC_INCOMPLETE

    def __init__(self, name: str, fields: Sequence[str]) -> None:
        told = ", ".join(fields)
        super().__init__(
            f"{name!r} cannot be made again as it is: its specification has no field for {told}; "
            "create another one, or use the engine's own tools",
            metadata={"name": name, "fields": ",".join(fields)},
        )


class InUseError(ProaError):
    """A volume, image, console, port or address is in use, or may be.

    Args:
        what: "volume", "image", "console", "port" or "address".
        name: its name.
        users: its users.
        unreadable: its possible users, with the reason why that is unknown.
        text: the engine's message.
        hint: what to do about the users.
    """

    reason = Reason.IN_USE

    def __init__(
        self,
        what: str,
        name: str,
        users: Sequence[str] = (),
        *,
        unreadable: Sequence[tuple[str, str]] = (),
        text: str = "",
        hint: str = "delete what uses it first",
    ) -> None:
        metadata = {what: name, "used_by": ",".join(_some(users))}
        if users or not unreadable:
            by = f" by {', '.join(_some(users))}" if users else ""
            said = f"is in use{by}{f' ({text})' if text else ''}; {hint}"
        else:
            by = "; ".join(_some([f"{who}: {why}" for who, why in unreadable]))
            said = (
                f"may be in use, which cannot be told by all that could need it ({by}); "
                "repair or delete that, or name it in ignore_unreadable"
            )
        if unreadable:
            metadata["unreadable"] = ",".join(_some([who for who, _ in unreadable]))
        super().__init__(f"{what} {name!r} {said}", metadata=metadata)
        self.what = what
        self.name = name
        self.users = tuple(users)
        self.hint = hint

    def concealed(self) -> "InUseError":
        """Return the error without the names of the users."""
        concealed = InUseError(self.what, self.name, hint=self.hint)
        concealed.metadata = self.metadata | concealed.metadata
        concealed.metadata.pop("unreadable", None)
        return concealed

    @classmethod
    def of_console(cls, name: str) -> "InUseError":
        """Return the error of a console that somebody else is attached to."""
        return cls("console", name, hint="wait until it is left, or take it over by force")

    @classmethod
    def of_the_host(cls, what: str, name: str, users: Sequence[str] = ()) -> "InUseError":
        """Return the error of a port or an address of the host."""
        return cls(what, name, users, hint="stop what uses it, or take another one")


class SeveralNamesError(ProaError):
    """The request names the image by its id, and the image has several names."""

    reason = Reason.IN_USE

    def __init__(self, name: str, names: Sequence[str]) -> None:
        super().__init__(
            f"image {name!r} has the names {', '.join(_some(names))}; delete each by its name, "
            "or set force to delete the image with all of them",
            metadata={"image": name, "names": ",".join(_some(names))},
        )


def _some(names: Sequence[str]) -> Sequence[str]:
    """Return as many names as fit into an error."""
    if len(names) <= _MOST_NAMES:
        return names
    return [*names[:_MOST_NAMES], f"… and {len(names) - _MOST_NAMES} more"]


class ActivityInProgressError(ProaError):
    """Another verb on the same resource is running."""

    reason = Reason.ACTIVITY_IN_PROGRESS

    def __init__(self, name: str, verb: str) -> None:
        super().__init__(
            f"{verb} of {name!r} is under way; try again when it is done",
            metadata={"name": name, "verb": verb},
            retry_after=timedelta(seconds=1),
        )


class ConsoleTakenError(ProaError):
    """Another caller has taken a console over.

    Args:
        name: what the caller wrote for the resource, or its id.
    """

    reason = Reason.CONSOLE_TAKEN

    def __init__(self, name: str) -> None:
        super().__init__(
            f"somebody else has taken the console of {name!r} over by force; it goes on",
            metadata={"console": name},
        )


class ShuttingDownError(ProaError):
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN

    def __init__(self) -> None:
        super().__init__("the daemon is stopping; try again", retry_after=timedelta(seconds=2))
