"""Putting resources into a picture, and what its journal says of that."""

from unit.core.inventory.scripted import ENGINE


def put(store, resource, **others):
    return store.put(ENGINE, "local", resource, **others)


def entries(store, after=0):
    return store.journal.after(after, 1000)


def names(found):
    return [entry.observed.name for entry in found]


def steps(store, after=0):
    """What the journal says: name or state before and after, None where it is not there."""
    return [
        (entry.before and entry.before.state, entry.after and entry.after.state)
        for entry in entries(store, after)
    ]
