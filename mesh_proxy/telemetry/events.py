"""What happened in the mesh, as OTLP log records."""

from dataclasses import dataclass

from mesh_proxy.targets.circuit import Change
from mesh_proxy.telemetry import otlp

RECORDS_FIELD, ATTRIBUTES_FIELD = 2, 6
INFO, WARN = 9, 13
_WARNINGS = frozenset({"opened", "ejected", "overflow", "rejected", "denied"})


@dataclass(frozen=True, slots=True)
class MeshEvent:
    """A change, seen by ``source`` on its way to ``destination`` (services); the ids are an example trace's, or empty."""

    change: Change
    source: str
    destination: str = ""
    target: str = ""
    trace_id: bytes = b""
    span_id: bytes = b""

    def encoded(self, at_ns: int) -> bytes:
        """Return the event as an element of ``ScopeLogs.log_records``; ``at_ns`` is nanoseconds since the epoch."""
        change = self.change
        level, name = (WARN, "WARN") if change.action in _WARNINGS else (INFO, "INFO")
        attributes: dict[str, str | bool | float] = {
            "mesh.event.action": change.action,
            "mesh.source": self.source,
            "mesh.destination": self.destination,
            "mesh.endpoint": change.address,
            "mesh.target": self.target,
            "mesh.event.reason": change.reason,
            "mesh.event.enforced": True,
            **{f"mesh.event.{key}": value for key, value in change.numbers},
        }
        record = b"".join(
            (
                otlp.fixed64(1, at_ns),
                otlp.number(2, level),
                otlp.message(3, name.encode()),
                otlp.message(5, otlp.message(1, self._sentence().encode())),
                b"".join(otlp.attribute(ATTRIBUTES_FIELD, key, value) for key, value in attributes.items()),
                otlp.message(9, self.trace_id) if self.trace_id else b"",
                otlp.message(10, self.span_id) if self.span_id else b"",
                otlp.fixed64(11, at_ns),
                otlp.message(12, change.name.encode()),
            )
        )
        return otlp.message(RECORDS_FIELD, record)

    def _sentence(self) -> str:
        change = self.change
        what = change.name.removeprefix("mesh.").replace("_", " ")
        where = f" of {self.target or self.destination}" if self.target or self.destination else ""
        return f"{what}{where}: {change.action}{f' {change.address}' if change.address else ''} ({change.reason})"
