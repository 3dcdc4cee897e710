"""Where Alembic finds the connection and the tables; run by storage.state.migrate."""

from alembic import context

from storage.state.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
