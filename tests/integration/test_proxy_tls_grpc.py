"""gRPC through two companion proxies with mutual TLS between them: HTTP/2 by ALPN."""

from pathlib import Path
from typing import Any

import grpc

from tests.fakes.certificates import Authority
from tests.fakes.tls_pairs import API, WEB, listener, policy, two


async def test_grpc_passes_with_mutual_tls(tmp_path: Path) -> None:
    callers: list[str] = []

    async def double(request: bytes, context: Any) -> bytes:
        callers.append(dict(context.invocation_metadata())["x-forwarded-client-cert"])
        return request * 2

    authority = Authority(tmp_path)
    server = grpc.aio.server()
    methods = {"Double": grpc.unary_unary_rpc_method_handler(double)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("api.Api", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    own = listener(authority.sign(API), trust=authority, names=(WEB,))
    client = policy(authority, authority.sign(WEB), names=(API,))
    try:
        async with (
            two(tmp_path, port, own, client, protocol="grpc") as pair,
            grpc.aio.insecure_channel(
                f"127.0.0.1:{pair.web.egress_port}", options=[("grpc.default_authority", "api.local")]
            ) as channel,
        ):
            ask = channel.unary_unary("/api.Api/Double")
            assert [await ask(b"x" * size, timeout=60) for size in (1, 100_000)] == [b"xx", b"x" * 200_000]
            tls = pair.web.live.targets[0].tls
            assert tls is not None
            assert (tls.handshakes, dict(tls.refused)) == (1, {})
    finally:
        await server.stop(None)
    assert [caller.endswith(f";URI={WEB}") for caller in callers] == [True, True]
