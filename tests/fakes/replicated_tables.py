"""Makes the replicated tables of the schema in a chDB with ClickHouse's own test Keeper, and says how many there are.

python -m tests.fakes.replicated_tables DIRECTORY    (with a config.xml in it)
"""

import os
import sys
from pathlib import Path

import chdb

from storage.telemetry import migrate
from storage.telemetry.clustered import Cluster, on_node

if __name__ == "__main__":
    home = Path(sys.argv[1])
    handle = chdb.connect(f"{home / 'store'}?config-file={home / 'config.xml'}")
    mesh = Cluster("mesh", "meshscope", replicated=True)
    for database in (mesh.database, mesh.local):
        handle.query(f"CREATE DATABASE {database}")
    handle.query(f"USE {mesh.local}")
    for file in migrate._files():
        for statement in migrate.statements(migrate._read(file)):
            if "MergeTree" in statement:
                handle.query(on_node(statement, mesh)[0])
    made = handle.query("SELECT count() FROM system.replicas WHERE database = 'meshscope_local'", "TabSeparated").bytes()
    print(f"{made.decode().strip()} replicated tables", flush=True)  # noqa: T201
    os._exit(0)
