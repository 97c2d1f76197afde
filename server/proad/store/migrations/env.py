"""Run by Alembic: migrates on the connection that `proad.store.migrate` hands over."""

from alembic import context

from proad.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
# No transaction of its own: the caller's holds the lock as well.
context.run_migrations()
