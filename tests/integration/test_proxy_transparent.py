import json
import subprocess
import sys
from pathlib import Path


def test_an_application_that_knows_of_no_proxy_is_led_to_it(tmp_path: Path) -> None:
    world = ["unshare", "-rn", sys.executable, "-m", "tests.fakes.redirected_world", str(tmp_path)]
    done = subprocess.run(world, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["http"].endswith("\r\n\r\nrouted"), "HTTP to a port of the mesh goes by its Host"
    assert got["bytes"] == "HELLO", "the port tells whose tcp routes are meant"
    assert got["dropped"].startswith("HTTP/1.1 404 ")
    assert got["direct"].endswith("\r\n\r\nrouted")
    assert got["beyond"] == ["10.9.9.9:6000"], "ALLOW_ALL: straight on to where it was going"
    assert (got["refused"], got["allowed"]) == ("", "HELLO")
    assert got["flags"] == {"NR": 1, "UF": 1}
