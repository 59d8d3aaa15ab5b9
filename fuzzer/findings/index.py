"""`index.parquet`: one row a finding, rebuilt from the journal, never the only copy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from fuzzer.disk import write_atomic
from fuzzer.errors import UserError
from fuzzer.findings import schema
from fuzzer.findings.finding import Finding

FILE = "index.parquet"
SCHEMA_VERSION = schema.VERSION
_LISTS = ("ops", "patterns", "dtypes", "runtimes", "alternatives", "other_causes", "other_keys")


def _schema() -> Any:
    import pyarrow as pa

    kinds: dict[str, Any] = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
    fields = []
    for name, field in Finding.__dataclass_fields__.items():
        kind = pa.list_(pa.string()) if name in _LISTS else kinds.get(str(field.type), pa.string())
        fields.append(pa.field(name, kind, nullable=False, metadata={"description": schema.COLUMNS[name]}))
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})


def write_index(crashes: Path, findings: Sequence[Finding]) -> None:
    """Replaces the index. Raises `OSError` when the disk refuses."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns_of = _schema()
    columns = {name: [_plain(getattr(f, name)) for f in findings] for name in columns_of.names}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=columns_of), buffer)
    write_atomic(crashes / FILE, buffer.getvalue())


def read_index(crashes: Path) -> list[dict[str, Any]]:
    """The rows of the index. Raises `UserError` when it is missing, damaged or newer than this release.

    Rows of an older schema are upgraded (`fuzzer.findings.schema`, which documents every column); columns that they did
    not have yet hold their defaults. The file itself is upgraded whenever the journal is written to it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = crashes / FILE
    try:
        table = pq.read_table(path)
        rows: list[dict[str, Any]] = table.to_pylist()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run a campaign first: python -m fuzzer --minutes 10") from None
    except (pa.ArrowException, OSError, ValueError) as broken:
        raise UserError(
            f"{path} cannot be read ({str(broken)[:80]}); nothing is lost, the journal holds the findings: "
            "`python -m fuzzer status` writes the index anew"
        ) from broken
    stamp = (table.schema.metadata or {}).get(b"schema_version", b"")
    fields = Finding.__dataclass_fields__
    optional = {name: _plain(field.default) for name, field in fields.items() if field.default is not MISSING}
    if not stamp.isdigit() or not set(table.schema.names) >= set(fields) - set(optional):
        raise UserError(f"{path} is no index of findings; `python -m fuzzer status` writes it anew from the journal")
    version = int(stamp)
    if version > SCHEMA_VERSION:
        raise UserError(f"{path} was written by a newer release (schema {version}); update the fuzzer to read it")
    try:
        return [schema.upgraded({**optional, **row}, version) for row in rows]
    except ValueError:
        raise UserError(f"{path} is no index of findings; `python -m fuzzer status` writes it anew") from None


def _plain(value: Any) -> Any:
    """A value as the file takes it: JSON has halves of surrogate pairs, which no UTF-8 has."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
