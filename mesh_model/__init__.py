"""What a mesh is: App Mesh resources as frozen objects, compiled to route tables (pure)."""
