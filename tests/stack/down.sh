#!/usr/bin/env bash
# down.sh: removes the containers and processes of this project's test stack, and stops the Docker daemon that up.sh started.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
st=$(cd "${TEST_STACK_DIR:-$here/../../.stack}" 2>/dev/null && pwd) || exit 0
setting() { sed -n "s/^$1=//p" "$st/env" 2>/dev/null; }
host=$(setting DOCKER_HOST)
if [ -n "$host" ] && command -v docker >/dev/null; then
  DOCKER_HOST=$host timeout 30 docker ps -aq --filter "label=strongroom.stack=$st" 2>/dev/null | DOCKER_HOST=$host xargs -r docker rm -fv >/dev/null 2>&1
fi
for file in "$st"/run/*/pid; do
  pid=$(cat "$file" 2>/dev/null) || continue
  # a number may have gone to another process since: ours has its folder among its arguments
  tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF "$(dirname "$file")" && kill -9 "$pid" 2>/dev/null
  rm -rf "$(dirname "$file")"
done
own_run=/run/strongroom-$(printf %s "$st" | sha256sum | cut -c1-8)
[ "$host" = "unix://$own_run/docker.sock" ] && DOCKER_HOST=$host timeout 30 docker network rm strongroom >/dev/null 2>&1
if pid=$(cat "$own_run/dockerd.pid" 2>/dev/null) && kill "$pid" 2>/dev/null; then
  for _ in $(seq 300); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$pid" 2>/dev/null
  [ -e "$own_run/docker0-is-ours" ] && ip link del docker0 >/dev/null 2>&1
  sed -i '/^DOCKER_/d; /_IMAGE=/d' "$st/env" 2>/dev/null
fi
rm -rf "$own_run"
exit 0
