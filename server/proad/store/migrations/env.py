"""Alembic's environment: migrates on the connection of `proad.store.migrate`."""

from alembic import context

from proad.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
# No transaction of its own: that of the caller holds the lock.
context.run_migrations()
