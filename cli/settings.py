"""Settings: command line, then MESHSCOPE_* environment variables, then one TOML file, then defaults."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class ThinningRule(BaseModel):
    """What one span of a trace must be like for thinning to keep the trace; what is not said fits all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str = ""
    route: str = ""
    min_duration_ms: float = Field(0, ge=0)
    attribute: str = Field("", pattern="^([^=]+=.*)?$")


class Settings(BaseSettings):
    """What Meshscope can be told; each command uses what concerns it."""

    model_config = SettingsConfigDict(env_prefix="MESHSCOPE_", toml_file="meshscope.toml", extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address that every listener binds to.")
    http_port: int = Field(8080, ge=0, le=65535, description="Dashboard and query API; 0 switches them off.")
    otlp_grpc_port: int = Field(4317, ge=0, le=65535, description="OTLP over gRPC; 0 switches it off.")
    otlp_http_port: int = Field(4318, ge=0, le=65535, description="OTLP over HTTP; 0 switches it off.")
    data_dir: Path = Field(Path("data"), description="Directory of the embedded store; one process owns it.")
    max_disk_bytes: int = Field(
        50 * 1024**3, gt=0, description="Most that the store may take on the disk; beyond it the oldest days go, today's never."
    )
    keep_traces_days: int = Field(7, gt=0, le=3650, description="How long spans are kept.")
    thin_traces_after_hours: float = Field(
        0, ge=0, le=87600, description="Age from which only the traces worth it are kept; 0 keeps all, see below."
    )
    thin_traces_share: float = Field(0.05, ge=0, le=1, description="Random share of traces that outlives thinning.")
    thin_traces_slower_than: Literal["p95", "p99"] = Field(
        "p99", description="Traces slower than this quantile of their route outlive thinning."
    )
    thin_traces_except: tuple[ThinningRule, ...] = Field((), description="Rules; traces that fit one outlive thinning.")
    keep_rollups_days: int = Field(7, gt=0, le=3650, description="How long golden signals by 10 s and edges are kept.")
    keep_rollups_1m_days: int = Field(30, gt=0, le=3650, description="How long golden signals by the minute are kept.")
    keep_rollups_1h_days: int = Field(400, gt=0, le=3650, description="How long golden signals by the hour are kept.")
    keep_logs_days: int = Field(7, gt=0, le=3650, description="How long logs are kept.")
    keep_metrics_days: int = Field(7, gt=0, le=3650, description="How long metrics are kept.")
    keep_events_days: int = Field(30, gt=0, le=3650, description="How long mesh events are kept.")
    max_operations_per_service: int = Field(
        500, gt=0, description="Most operations (routes) of a service that golden signals tell apart; the rest is `__other__`."
    )
    max_spans_per_trace: int = Field(
        100_000,
        gt=0,
        description="Most spans of a trace that are stored; all are counted, and the trace says how many are missing.",
    )
    rules: Path | None = Field(None, description="File of alert rules and webhooks.")
    external_url: str = Field("http://127.0.0.1:8080", description="Where people reach the dashboard, for links in alerts.")
    max_body_bytes: int = Field(16 * 1024 * 1024, gt=0, description="Largest OTLP request taken, before and after gzip.")
    max_items_per_request: int = Field(100_000, gt=0, description="Most spans, log records or metric points in one OTLP request.")
    max_values_per_request: int = Field(
        250_000, gt=0, description="Most attributes, events, links, buckets and the like in one OTLP request."
    )
    max_copied_bytes: int = Field(
        64 * 1024 * 1024,
        gt=0,
        description="Most bytes that resources, scopes and names of one OTLP request may come to, copied to each row.",
    )
    max_in_flight_bytes: int = Field(128 * 1024 * 1024, gt=0, description="Memory for requests that wait for the store.")

    collect_metrics_port: int = Field(9463, ge=0, le=65535, description="Metrics of `meshscope collect`; 0 switches them off.")
    ingest_metrics_port: int = Field(9464, ge=0, le=65535, description="Metrics of `meshscope ingest`; 0 switches them off.")

    clickhouse_url: str | None = Field(
        None, description="ClickHouse server, such as https://host:8443; without it the store is embedded."
    )
    clickhouse_user: str = Field("default", description="Who we are to ClickHouse, unless its URL says so.")
    clickhouse_password: SecretStr | None = Field(
        None, description="Our password for ClickHouse; better by environment than by file."
    )
    clickhouse_database: str = Field("meshscope", description="Database on the server; made if it is not there.")
    clickhouse_cluster: str | None = Field(None, description="Cluster that the server belongs to, as system.clusters names it.")
    clickhouse_verify: bool = Field(True, description="Whether the server must have a certificate that we trust.")
    clickhouse_ca_file: Path | None = Field(
        None, description="Certificate authorities to trust ClickHouse by; the system's if not given."
    )
    clickhouse_cert_file: Path | None = Field(None, description="Our certificate for ClickHouse.")
    clickhouse_key_file: Path | None = Field(None, description="The key of our certificate for ClickHouse.")

    kafka_bootstrap_servers: str | None = Field(None, description="Kafka's addresses; without them telemetry takes no detour.")
    kafka_group_id: str = Field("meshscope", description="Consumer group of those who store from Kafka.")
    kafka_group_instance_id: str | None = Field(
        None, description="A name that one `ingest` keeps when it is started again: its partitions wait for it for 45 s."
    )
    kafka_partitions: int = Field(4, gt=0, description="Partitions of topics that do not exist yet.")
    kafka_replication_factor: int = Field(1, gt=0, description="Replicas of topics that do not exist yet.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How Kafka is spoken to."
    )
    kafka_ssl_cafile: Path | None = Field(
        None, description="Certificate authorities to trust Kafka by; the system's if not given."
    )
    kafka_ssl_certfile: Path | None = Field(None, description="Our certificate for Kafka.")
    kafka_ssl_keyfile: Path | None = Field(None, description="The key of our certificate for Kafka.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How we log in to Kafka."
    )
    kafka_sasl_username: str | None = Field(None, description="Who we are to Kafka.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Our password for Kafka; better by environment than by file.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources, the strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
