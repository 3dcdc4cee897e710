"""Pictures of the mesh: a Dash app that asks the query API over HTTP only."""
