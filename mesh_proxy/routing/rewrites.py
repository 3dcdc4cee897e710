"""What a gateway changes in a request before it goes on: its host, its path."""

from collections.abc import Callable

from mesh_model.matches import PathMatch
from mesh_model.resources import NO_REWRITE, Rewrite
from mesh_proxy.http.request import RequestHead

Rewriter = Callable[[RequestHead], RequestHead]


def rewriter(rewrite: Rewrite | None, matched: PathMatch) -> Rewriter | None:
    """Return what makes the request that goes on out of the one that came; None when nothing is changed."""
    if rewrite is None or rewrite == NO_REWRITE:
        return None
    host = rewrite.host.encode() if rewrite.host is not None else None
    path = _path_rewriter(rewrite, matched)

    def rewritten(head: RequestHead) -> RequestHead:
        return head._replace(host=head.host if host is None else host, path=head.path if path is None else path(head.path))

    return rewritten


def _path_rewriter(rewrite: Rewrite, matched: PathMatch) -> Callable[[bytes], bytes] | None:
    """Return what changes a path; its query stays."""
    if rewrite.path is not None:
        whole = rewrite.path.encode()
        return lambda path: whole + b"".join(path.partition(b"?")[1:])
    if rewrite.prefix is None or matched.kind != "prefix" or rewrite.prefix == matched.text:
        return None
    new, length = rewrite.prefix.encode(), len(matched.text.encode())
    return lambda path: new + path[length:].lstrip(b"/")  # `/` for `/api` makes `/x` of `/api/x`, not `//x`
