"""The targets of this proxy: circuits, ejections, balancing, health."""
