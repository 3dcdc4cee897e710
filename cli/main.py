"""The command line: `meshscope COMMAND`."""

import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any

import msgspec
import uvloop
from cyclopts import App, Parameter, validators
from pydantic import ValidationError
from rich.console import Console
from rich.logging import RichHandler

from core.faults import Fault

app = App(name="meshscope", help="See and steer a service mesh on your own machines.")


@app.command
def up(
    *,
    host: str | None = None,
    http_port: int | None = None,
    otlp_grpc_port: int | None = None,
    otlp_http_port: int | None = None,
    data_dir: Path | None = None,
    rules: Path | None = None,
    external_url: str | None = None,
    kafka_bootstrap_servers: str | None = None,
    clickhouse_url: str | None = None,
) -> None:
    """Run everything in one process: OTLP in, embedded ClickHouse, dashboard, query API, alerts.

    Parameters
    ----------
    host
        Address that every listener binds to [127.0.0.1].
    http_port
        Dashboard and query API [8080]; 0 switches them off.
    otlp_grpc_port
        OTLP over gRPC [4317]; 0 switches it off.
    otlp_http_port
        OTLP over HTTP [4318]; 0 switches it off.
    data_dir
        Directory of the embedded store [data]; one process owns it.
    rules
        File of alert rules and webhooks.
    external_url
        Where people reach the dashboard, for links in alerts.
    kafka_bootstrap_servers
        Let telemetry take the way over this Kafka; docs/settings.md names what else it can be told of it.
    clickhouse_url
        Store on this ClickHouse server instead, such as https://host:8443; docs/settings.md names what else it can be told of it.
    """
    from cli.settings import Settings  # noqa: PLC0415 - each command loads only what it needs
    from cli.up import up as serve  # noqa: PLC0415

    uvloop.run(serve(Settings(**_told(locals()))))


@app.command
def collect(
    *,
    kafka_bootstrap_servers: str | None = None,
    host: str | None = None,
    otlp_grpc_port: int | None = None,
    otlp_http_port: int | None = None,
    collect_metrics_port: int | None = None,
) -> None:
    """Take OTLP and put it on Kafka; any number of these may run.

    Parameters
    ----------
    kafka_bootstrap_servers
        Kafka's addresses.
    host
        Address that every listener binds to [127.0.0.1].
    otlp_grpc_port
        OTLP over gRPC [4317]; 0 switches it off.
    otlp_http_port
        OTLP over HTTP [4318]; 0 switches it off.
    collect_metrics_port
        Prometheus text at /metrics [9463]; 0 switches it off.
    """
    from cli.roles import collect as serve  # noqa: PLC0415 - each command loads only what it needs
    from cli.settings import Settings  # noqa: PLC0415

    uvloop.run(serve(Settings(**_told(locals()))))


@app.command
def ingest(
    *,
    kafka_bootstrap_servers: str | None = None,
    kafka_group_id: str | None = None,
    data_dir: Path | None = None,
    clickhouse_url: str | None = None,
    ingest_metrics_port: int | None = None,
) -> None:
    """Store what Kafka holds, each request once; those of one group share the partitions.

    Parameters
    ----------
    kafka_bootstrap_servers
        Kafka's addresses.
    kafka_group_id
        Consumer group [meshscope].
    data_dir
        Directory of the embedded store [data]; one process owns it.
    clickhouse_url
        Store on this ClickHouse server instead, such as https://host:8443.
    ingest_metrics_port
        Prometheus text at /metrics [9464]; 0 switches it off.
    """
    from cli.roles import ingest as serve  # noqa: PLC0415 - each command loads only what it needs
    from cli.settings import Settings  # noqa: PLC0415

    uvloop.run(serve(Settings(**_told(locals()))))


@app.command
def migrate(
    *,
    clickhouse_url: str | None = None,
    clickhouse_user: str | None = None,
    clickhouse_database: str | None = None,
    cluster: str | None = None,
) -> None:
    """Bring a ClickHouse server's schema up to date, and how long it keeps what; running it again changes nothing.

    Parameters
    ----------
    clickhouse_url
        The server, such as https://host:8443.
    clickhouse_user
        Who makes the tables [default]; the password comes from MESHSCOPE_CLICKHOUSE_PASSWORD.
    clickhouse_database
        Database on the server [meshscope].
    cluster
        Make replicated and distributed tables on every node of this cluster, as system.clusters names it.
    """
    from cli.settings import Settings  # noqa: PLC0415 - each command loads only what it needs
    from cli.store import prepare_server  # noqa: PLC0415

    told = {
        "clickhouse_url": clickhouse_url,
        "clickhouse_user": clickhouse_user,
        "clickhouse_database": clickhouse_database,
        "clickhouse_cluster": cluster,
    }
    applied = uvloop.run(prepare_server(Settings(**_told(told))))
    Console(soft_wrap=True).print("\n".join([*(f"applied {file}" for file in applied), f"{len(applied)} applied"]), markup=False)


letters = App(name="dead-letters", help="Look at telemetry that could not be read, and send it again.")
app.command(letters)


@letters.command(name="list")
def list_letters(*, kafka_bootstrap_servers: str | None = None) -> None:
    """Print where each dead letter came from, and why nobody could read it."""
    from cli.dead_letters import show  # noqa: PLC0415 - each command loads only what it needs
    from cli.settings import Settings  # noqa: PLC0415

    uvloop.run(show(Settings(**_told(locals()))))


@letters.command
def replay(*origins: str, kafka_bootstrap_servers: str | None = None) -> None:
    """Send dead letters to their topics again.

    Parameters
    ----------
    origins
        Which: topic:partition:offset, as `list` names them; all if none is named.
    """
    from cli.dead_letters import send_again  # noqa: PLC0415 - each command loads only what it needs
    from cli.settings import Settings  # noqa: PLC0415

    uvloop.run(send_again(Settings(**_told({"kafka_bootstrap_servers": kafka_bootstrap_servers})), list(origins)))


@app.command
def proxy(
    mesh_file: Path,
    virtual_node: str | None = None,
    *,
    virtual_gateway: str | None = None,
    host: str = "127.0.0.1",
    ingress_port: int = 15000,
    egress_port: int = 15001,
    admin_port: int = 9901,
    otlp_endpoint: Annotated[str | None, Parameter(help="Where telemetry goes, e.g. http://127.0.0.1:4318 [none].")] = None,
    zone: Annotated[str, Parameter(help="Where this proxy runs, e.g. eu-west-1a, for nodes that prefer their zone.")] = "",
    dns_server: Annotated[str | None, Parameter(help="A name server to ask, e.g. 127.0.0.1:8600 [the system's].")] = None,
    trace_share: Annotated[
        float, Parameter(validator=validators.Number(gte=0, lte=1), help="Of the traces that begin here, how many are recorded.")
    ] = 1.0,
    workers: Annotated[
        int | None,
        Parameter(
            validator=validators.Number(gte=1), help="How many processes share the ports; SIGUSR2 renews them [this one alone]."
        ),
    ] = None,
    listener: Annotated[tuple[str, ...], Parameter(help="Where a further listener is served, e.g. 8081=15002.")] = (),
) -> None:
    """Run the companion proxy beside one virtual node, or as a virtual gateway.

    Parameters
    ----------
    mesh_file
        The mesh in App Mesh's terms, YAML or JSON; or a folder of such files.
    virtual_node
        The virtual node whose application this proxy stands beside.
    virtual_gateway
        The virtual gateway that this proxy stands for, instead; its clients call the ingress port, there is no egress.
    """
    from cli.proxy_process import become  # noqa: PLC0415
    from mesh_proxy.settings import ProxySettings  # noqa: PLC0415

    name = virtual_node or virtual_gateway
    if name is None or (virtual_node and virtual_gateway):
        raise Fault("expected either --virtual-node or --virtual-gateway: the one resource that this proxy stands for")
    become(
        ProxySettings(
            instance_id=f"{name}@{socket.gethostname()}:{os.getpid()}",
            mesh_file=mesh_file,
            virtual_node=name,
            gateway=virtual_gateway is not None,
            host=host,
            ingress_port=ingress_port,
            egress_port=egress_port,
            admin_port=admin_port,
            otlp_endpoint=otlp_endpoint,
            zone=zone,
            dns_server=dns_server,
            trace_share=trace_share,
            listener_ports=tuple(_ports(each) for each in listener),
        ),
        workers,
    )


def _ports(text: str) -> tuple[int, int]:
    listener, _, port = text.partition("=")
    if not (listener.isdecimal() and port.isdecimal()):
        raise Fault(f"--listener {text} is not understood; expected the listener's port and the proxy's, such as 8081=15002")
    return int(listener), int(port)


@app.command
def demo(*, duration: float | None = None, http_port: int = 8080, directory: Path | None = None) -> None:
    """Run a small fintech mesh through real proxies, with traffic, a canary and a failing ledger.

    Parameters
    ----------
    duration
        Stop after so many seconds of traffic and exit with 0 only if everything was seen; until Ctrl-C if not given.
    http_port
        Dashboard and query API.
    directory
        Where data, configuration and logs of the run are kept; a temporary directory if not given.
    """
    from cli.demo.run import run  # noqa: PLC0415

    if not uvloop.run(run(http_port=http_port, duration=duration, directory=directory)):
        sys.exit(1)


@app.command(show=False)
def demo_services(plan: Path, otlp_endpoint: str, control_port: int) -> None:
    """Run the demo's applications; `meshscope demo` starts this.

    Parameters
    ----------
    plan
        The nodes of the mesh, as JSON.
    """
    from cli.demo.plan import Node  # noqa: PLC0415
    from cli.demo.services import serve  # noqa: PLC0415

    uvloop.run(serve(msgspec.json.decode(plan.read_bytes(), type=list[Node]), otlp_endpoint, control_port))


def main() -> None:
    """Run the command line; a fault is told in its own words, with exit status 2 for input to mend, else 1."""
    console = Console(stderr=True)  # what a command answers goes to standard output
    _log_to(console)
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            console.print(f"settings: {where}: {problem['msg']}, got {problem['input']!r}", markup=False, soft_wrap=True)
        sys.exit(2)
    except TOMLDecodeError as error:
        console.print(f"meshscope.toml: expected TOML: {error}", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Fault as fault:
        console.print(str(fault), style="red", markup=False, soft_wrap=True)
        sys.exit(1 if fault.retryable else 2)


def _told(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if isinstance(value, str | int | Path)}


def _log_to(console: Console) -> None:
    """Log for people at a terminal, in whole lines for everything else."""
    if console.is_terminal:
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)])
    else:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for chatty in ("httpx", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # They warn of each error that they also raise, which we tell in our own words.
    for doubling in ("clickhouse_connect", "urllib3.connectionpool"):
        logging.getLogger(doubling).setLevel(logging.ERROR)
