"""Pages: one module each, with a layout and the callbacks that fill it."""
