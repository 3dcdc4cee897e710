"""What is told of faults to whoever asks."""

from query_api.problems import fault_problem
from storage.telemetry.engine import StoreRefusesUs


def test_who_asks_is_not_told_who_we_are_to_the_store() -> None:
    answer = fault_problem(StoreRefusesUs("ClickHouse at https://db.example:8443 does not let us in; Code: 516, user ingest"))
    assert answer.status_code == 503
    assert b"log says more" in answer.body
    assert b"db.example" not in answer.body
    assert b"ingest" not in answer.body
