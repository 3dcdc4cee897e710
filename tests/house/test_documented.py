"""What can be set and asked is documented, and stays so."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from cli.settings import Settings
from collector.counts import Counts
from collector.metrics import COUNTED
from mesh_proxy.admin.prometheus import METRICS
from storage.telemetry.engine import Engine

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_documented_with_its_default(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.default is not PydanticUndefined
    default = "none" if field.default is None else f"`{field.default}`"
    row = f"| `{name}` | `MESHSCOPE_{name.upper()}` | {default} | {field.description} |"
    assert row in (ROOT / "docs/settings.md").read_text("utf-8")


def test_each_metric_is_documented() -> None:
    told = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = [f"| `meshscope_{name}_total` | `{label}` | {meaning} |" for name, (label, meaning) in COUNTED.items()]
    assert not [row for row in rows if row not in told]


def test_each_metric_of_the_proxy_is_documented() -> None:
    told = (ROOT / "docs/metrics.md").read_text("utf-8")
    for name, (kind, meaning) in METRICS.items():
        assert re.search(rf"\| `meshscope_proxy_{name}` \| {kind} \| [^|]+ \| {re.escape(meaning)} \|", told), name


def test_what_is_counted_is_published() -> None:
    assert COUNTED.keys() == Counts().as_dict().keys()


def test_each_package_is_in_the_map_of_the_house() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    told = (ROOT / "docs/ARCHITECTURE.md").read_text("utf-8") + (ROOT / "README.md").read_text("utf-8")
    assert packages
    assert not {package for package in packages if f"{package}/" not in told}


def test_each_decision_is_numbered_once() -> None:
    numbers = [file.name[:4] for file in sorted((ROOT / "docs/adr").glob("*.md"))]
    assert len(set(numbers)) == len(numbers)


def test_every_table_is_bounded_in_time(engine: Engine) -> None:
    tables = engine.query(
        """SELECT name, engine_full FROM system.tables
           WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_migrations'""",
        {},
    )
    assert tables
    assert not [table["name"] for table in tables if " TTL " not in table["engine_full"]]


def test_no_file_of_code_has_outgrown_its_room() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for package in ROOT.glob("*/__init__.py")
        for file in package.parent.rglob("*.py")
        if (lines := len(file.read_text("utf-8").splitlines())) > 400
    }
    assert not long
