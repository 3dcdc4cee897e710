"""Pictures of the mesh; asks the query API over HTTP only."""
