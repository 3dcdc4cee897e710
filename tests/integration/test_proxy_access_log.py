import json
import re
from pathlib import Path

import pytest

from mesh_proxy.telemetry.access_log_format import FormatUnknown
from tests.fakes.http_peers import Reply, backend, get
from tests.fakes.proxies import only, proxy


def logging_to(path: Path, mesh_text: str, form: dict[str, object] | None = None) -> str:
    """Return the mesh with an access log of the caller's."""
    document = json.loads(mesh_text)
    file = {"path": str(path)} | ({"format": form} if form else {})
    next(each for each in document["virtualNodes"] if each["virtualNodeName"] == "web")["spec"]["logging"] = {
        "accessLog": {"file": file}
    }
    return json.dumps(document)


async def test_without_a_format_a_line_is_envoys(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with backend(lambda _: Reply(201, b"four")) as one, proxy(logging_to(path, only(one.address)), tmp_path) as running:
        headers = {"user-agent": 'a "quoted" one', "x-request-id": "id-1"}
        await get(running.egress_port, "/pay?amount=3", method="POST", **headers)
        await get(running.egress_port, "/x", host="nobody.local")
    told, refused = path.read_text().splitlines()
    assert re.fullmatch(
        r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "POST /pay\?amount=3 HTTP/1\.1" 201 - 0 4 \d+ \d+ "-" '
        rf'"a \\"quoted\\" one" "id-1" "api\.local" "{re.escape(one.address)}"',
        told,
    )
    assert re.search(r'"GET /x HTTP/1\.1" 404 NR 0 \d+ \d+ - "-" "-" "-" "nobody\.local" "-"', refused)


async def test_json_has_numbers_where_a_value_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    keys = {
        "code": "%RESPONSE_CODE%",
        "what": "%REQ(:METHOD)% of %REQ(X-NONE?X-USER):3%",
        "kind": "%RESP(CONTENT-TYPE)%",
        "none": "%RESP(X-NONE)%",
        "route": "%ROUTE_NAME%/%UPSTREAM_CLUSTER%",
        "day": "%START_TIME(%Y-%m-%d)%",
        "share": "100%%",
    }
    form = {"json": [{"key": key, "value": value} for key, value in keys.items()]}
    plain = Reply(200, b"", headers={"content-type": "text/x"})
    async with backend(lambda _: plain) as one, proxy(logging_to(path, only(one.address), form), tmp_path) as running:
        await get(running.egress_port, "/", **{"x-user": "ada\u00e9"})
    (line,) = path.read_text().splitlines()
    told = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", told.pop("day"))
    assert told == {"code": 200, "what": "GET of ada", "kind": "text/x", "none": None, "route": "all/api", "share": "100%"}


async def test_a_log_that_is_moved_away_goes_on_in_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    async with backend() as one, proxy(logging_to(path, only(one.address), {"text": "%REQ(:PATH)%"}), tmp_path) as running:
        await get(running.egress_port, "/first")
        log = running.egress.access_log
        assert log is not None
        log.second()
        path.rename(tmp_path / "access.log.1")
        await get(running.egress_port, "/second")
        log.second()
        assert (tmp_path / "access.log.1").read_text() == "/first\n"
        assert path.read_text() == "/second\n"


async def test_a_log_that_cannot_be_written_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "access.log"
    form: dict[str, object] = {"text": "%REQ(:PATH)%" + "x" * 900}
    async with backend() as one, proxy(logging_to(path, only(one.address), form), tmp_path) as running:
        for _ in range(1300):  # more than are held
            assert (await get(running.egress_port, "/")).status == 200
        log = running.egress.access_log
        assert log is not None
        assert log.dropped["full"] > 0
        path.parent.mkdir()
        log.second()
        assert log.written > 1_000_000


@pytest.mark.parametrize("form", ["%NO_SUCH_THING%", "%REQ%", "50% of it"])
async def test_a_format_that_is_not_known_is_told_at_the_start(tmp_path: Path, form: str) -> None:
    with pytest.raises(FormatUnknown, match="access log"):
        async with proxy(logging_to(tmp_path / "log", only("127.0.0.1:1"), {"text": form}), tmp_path):
            pass
