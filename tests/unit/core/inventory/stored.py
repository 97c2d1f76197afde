"""Apply resources to a store, and read the history's entries about them."""

from unit.core.inventory.scripted import ENGINE


def put(store, resource, engine=ENGINE, **others):
    """Apply a read that begins now."""
    with store.reading() as begun:
        assert store.apply(engine, resource, begun, **others)
    return store.entries.get(engine, resource.id)


def take(store, id, engine=ENGINE):
    """Apply a read that begins now and finds nothing."""
    with store.reading() as begun:
        assert store.apply_absence(engine, id, begun)


def apply_list(store, found, begun):
    """Apply a list and return the ids that overtook it."""
    applied = store.apply_list(ENGINE, found, begun)
    return [id for id, current in applied if not current]


def keep(store, entry, detail):
    """Keep a FULL view whose read begins now."""
    with store.reading() as begun:
        store.keep_detail(entry, detail, begun)


def entries(store, after=0):
    return store.history.after(after, 1000)


def names(found):
    return [entry.observed.name for entry in found]


def steps(store, after=0):
    """Return state or name before and after each change; None where the resource is absent."""
    return [
        (entry.before and entry.before.state, entry.after and entry.after.state)
        for entry in entries(store, after)
    ]
