"""All certificates that one proxy needs, each kept once and followed wherever it comes from."""

from collections import Counter
from collections.abc import Callable, Iterable

from mesh_model.resources import PortProtocol
from mesh_model.tls import Certificate, ListenerTls, Origination, Trust
from mesh_proxy.targets.circuit import Change
from mesh_proxy.tls.context import LiveContext, client_context, server_context
from mesh_proxy.tls.ends import ClientEnd, ServerEnd
from mesh_proxy.tls.source import CertificateSource, source_of

SERVED = ("h2", "http/1.1")
"""What ALPN offers to clients, the best first."""

_SPOKEN: dict[PortProtocol, tuple[str, ...]] = {"http": ("http/1.1",), "http2": ("h2",), "grpc": ("h2",), "tcp": ()}
Key = tuple[Certificate | None, Trust | None, tuple[str, ...], bool]
Find = Callable[[Certificate | None, Trust | None], CertificateSource]


class Keyring:
    """Makes the ends of TLS connections. Raises CertificateUnusable for a certificate that never could be used."""

    def __init__(self, find: Find = source_of) -> None:
        self._find = find
        self._contexts: dict[Key, LiveContext] = {}

    def __repr__(self) -> str:
        return f"<Keyring {list(self._contexts.values())}>"

    @property
    def contexts(self) -> Iterable[LiveContext]:
        """Every certificate that is followed."""
        return self._contexts.values()

    def server(self, tls: ListenerTls, refused: Counter[str]) -> ServerEnd:
        """Return the end for a listener; what it refuses is counted in ``refused``."""
        validation = tls.validation
        live = self._live((tls.certificate, validation.trust if validation else None, SERVED, True))
        return ServerEnd(live, tls, refused)

    def client(self, tls: Origination, protocol: PortProtocol) -> ClientEnd:
        """Return the end for calling a target."""
        live = self._live((tls.certificate, tls.trust, _SPOKEN[protocol], False))
        return ClientEnd(live, tls.names if tls.trust else (), tls.server_name)

    def look(self, *, certain: bool = False) -> list[tuple[LiveContext, Change]]:
        """Follow every source; return what there is to tell. ``certain``: as LiveContext.look has it."""
        changes = [(live, live.look(certain=certain)) for live in self._contexts.values()]
        return [(live, change) for live, change in changes if change is not None]

    def keep(self, used: Iterable[LiveContext]) -> None:
        """Let go of the certificates that nothing uses any more."""
        kept = set(used)
        self._contexts = {key: live for key, live in self._contexts.items() if live in kept}

    def _live(self, key: Key) -> LiveContext:
        live = self._contexts.get(key)
        if live is None:
            certificate, trust, alpn, for_server = key
            make = server_context if for_server else client_context
            live = LiveContext(self._find(certificate, trust), lambda material: make(material, alpn))
            self._contexts[key] = live
        return live
