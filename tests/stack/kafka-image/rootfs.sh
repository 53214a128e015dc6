#!/usr/bin/env bash
# rootfs.sh LIBS ROOT: lays out the root file system of the Kafka image in ROOT, from the jars in LIBS and this machine's JDK.
# Needs jlink with the JDK's jmods, ldd, and a static busybox (or apt-get to download Debian's .deb of it: nothing is installed).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); libs=$1; root=$2; work=$(dirname "$root")
rm -rf "$root"
mkdir -p "$root"/{bin,usr/bin,etc/kafka/docker,etc/kafka/secrets,etc/ssl,opt/kafka/{bin,config,logs},mnt/shared/config,tmp,var/lib/kafka/data,home/appuser,dev,proc,lib64,lib/x86_64-linux-gnu}
cp -r "$libs" "$root/opt/kafka/libs"

jdk=$(dirname "$(dirname "$(readlink -f "$(command -v jlink)")")")
"$jdk/bin/jlink" --no-header-files --no-man-pages --output "$root/opt/java" --add-modules \
  java.base,java.logging,java.management,java.naming,java.rmi,java.security.jgss,java.security.sasl,java.sql,java.xml,jdk.crypto.ec,jdk.management,jdk.management.agent,jdk.unsupported,jdk.security.auth,jdk.net

busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then  # ldd succeeds on a dynamic one, which would miss its libraries in there
  (cd "$work" && rm -f busybox-static_*.deb && apt-get download -q busybox-static >/dev/null && dpkg -x busybox-static_*.deb busybox)
  busybox=$work/busybox/bin/busybox
fi
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do [ "$applet" = busybox ] || ln -sf /bin/busybox "$root/bin/$applet"; done
ln -s /bin/env "$root/usr/bin/env"

# the shared libraries that the JRE and the natives inside the zstd, snappy and lz4 jars ask for
find "$root/opt/java" \( -name '*.so' -o -path '*/bin/java' \) -print0 | xargs -0 ldd 2>/dev/null \
  | awk '$2 == "=>" && $3 ~ "^/(usr/)?lib" {print $3}' | grep -v "$jdk" | sort -u \
  | while read -r file; do cp -L "$file" "$root/lib/x86_64-linux-gnu/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
cp -L /lib/x86_64-linux-gnu/{libdl.so.2,libpthread.so.0,librt.so.1,libresolv.so.2} "$root/lib/x86_64-linux-gnu/"

printf '%s\n' 'root:x:0:0:root:/:/bin/sh' 'appuser:x:1000:1000::/home/appuser:/bin/sh' > "$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'appuser:x:1000:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
cp "$here/scripts/run" "$root/etc/kafka/docker/run"
cp "$here"/scripts/kafka-*.sh "$root/opt/kafka/bin/"
printf '%s\n' node.id=1 process.roles=broker,controller controller.listener.names=CONTROLLER > "$root/etc/kafka/docker/server.properties"
: > "$root/etc/kafka/docker/log4j2.yaml"; : > "$root/etc/kafka/docker/tools-log4j2.yaml"
(cd "$root" && printf '%s\n' opt/kafka/libs/*.jar | LC_ALL=C sort | sed 's,^,/,' | paste -sd:) > "$root/opt/kafka/classpath"
chmod -R a+rX "$root"
chmod a+x "$root"/opt/kafka/bin/* "$root/etc/kafka/docker/run"
chmod 1777 "$root/tmp"
