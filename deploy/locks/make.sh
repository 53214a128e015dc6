#!/usr/bin/env bash
# Writes the two lock files anew (needs `uv`): run.lock is what `make run` and the image install, dev.lock what `make test` does.
set -euo pipefail
cd "$(dirname "$0")/../.."
lock() { uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header -q "$@" > /dev/null; }
lock --extra embedded -o deploy/locks/run.lock
# the same versions in both: what was tested is what runs
lock --all-extras -c <(grep -E "^[a-z0-9.-]+==" deploy/locks/run.lock | tr -d "\\\\") -o deploy/locks/dev.lock --no-annotate
