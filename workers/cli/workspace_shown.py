"""How a workspace is shown."""

from typing import Any

import msgspec

from topics.times import iso_ms
from topics.workspaces import OriginPolicy, OverQuota, Source, Workspace, codec
from workers.cli import output
from workers.cli.workspace_options import FOREVER


def show_one(value: Workspace, as_json: bool) -> None:
    if as_json:
        output.record(as_document(value), as_json=True)
        return
    output.record(
        {
            "workspace": value.id,
            "state": value.state,
            "plan": value.plan,
            "sources": [_source(source) for source in value.sources],
            "allowed origins": value.allowed_origins,
            "copies": "quarantined" if value.origins is OriginPolicy.QUARANTINE else "flagged",
            "retention": retention_words(value.retention_days),
            "legal hold": value.legal_hold,
            "quota a key": _quota_words(value),
            "deletes nothing before": iso_ms(value.effective_from) if value.effective_from else "",
            "contacts": value.contacts,
            "switches": [f"{name}={'on' if on else 'off'}" for name, on in sorted(value.switches.items())],
            "changed": iso_ms(value.changed_at),
        }
    )


def _source(source: Source) -> str:
    own = "".join(f" {pattern}" for pattern in source.allowed_origins)
    kept = "" if source.retention_days is None else f" ({retention_words(source.retention_days)})"
    return f"{source.id}:{source.type}{own}{kept}"


def _quota_words(value: Workspace) -> str:
    limits = [
        f"{limit:,} {unit}/s"
        for limit, unit in ((value.quota_records, "records"), (value.quota_bytes, "bytes"))
        if limit is not None
    ]
    if not limits:
        return "none"
    over = "not held to it" if value.over_quota is OverQuota.OFF else f"over it: {value.over_quota}"
    return f"{', '.join(limits)}, {value.quota_burst} s at once; {over}"


def retention_words(days: int | None) -> str:
    return FOREVER if days is None else f"{days} days"


def as_document(value: Workspace) -> dict[str, Any]:
    """As the topic has it, and as `workspaces set --file` takes it."""
    return msgspec.json.decode(codec.encode(value), type=dict[str, Any])
