"""Putting resources into a picture, and what its journal says of that."""

from unit.core.inventory.scripted import ENGINE


def put(picture, resource, **others):
    return picture.put(ENGINE, "local", resource, **others)


def entries(picture, after=0):
    return picture.journal.after(after, 1000)


def names(found):
    return [known.seen.name for known in found]


def steps(picture, after=0):
    """What the journal says: name or state before and after, None where it is not there."""
    return [
        (entry.before and entry.before.state, entry.after and entry.after.state)
        for entry in entries(picture, after)
    ]
