#!/usr/bin/env bash
# Writes the lock files anew (needs `uv`): run.lock is what `make run` installs, worker.lock what the image does, dev.lock what
# `make test` does. All hold the same versions: what was tested is what runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
lock() { uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -q "$@" > /dev/null; }
lock --extra embedded -o deploy/locks/run.lock
# --no-annotate: its comments would name the descriptor that the constraints are read from
as_in_run() { lock -c <(grep -E "^[a-z0-9.-]+==" deploy/locks/run.lock | tr -d "\\\\") --no-annotate "$@"; }
as_in_run -o deploy/locks/worker.lock
as_in_run --all-extras -o deploy/locks/dev.lock
