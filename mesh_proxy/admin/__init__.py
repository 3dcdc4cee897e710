"""The admin port: pages, Prometheus' text, and what several workers say together."""
