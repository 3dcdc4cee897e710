"""The tables of the state database, each column said once; times are seconds since the Unix epoch."""

from sqlalchemy import JSON, Column, Double, Index, Integer, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
)

alerts = Table(
    "alerts",
    metadata,
    Column("rule", String(200), primary_key=True),
    Column("fingerprint", String(16), primary_key=True),
    Column("labels", JSON, nullable=False),
    Column("annotations", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("value", Double),
    Column("threshold", Double, nullable=False),
    Column("active_since", Double, nullable=False),
    Column("fired_at", Double),
    Column("resolved_at", Double),
    Column("notified_at", Double),
    Column("receivers", JSON, nullable=False),
    Column("updated_at", Double, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("rule", String(200), nullable=False),
    Column("fingerprints", JSON, nullable=False),
    Column("webhook", String(200), nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Double, nullable=False),
    Column("last_error", Text),
    Column("created_at", Double, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_deliveries_status_webhook", "status", "webhook", "seq"),
    sqlite_autoincrement=True,
)
