#!/usr/bin/env bash
# Installs what the tests need beyond Python, or says in one line how to get it; then fetches Apache Kafka.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v java >/dev/null || missing+=(default-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v openssl >/dev/null || missing+=(openssl)
command -v iptables /usr/sbin/iptables >/dev/null || missing+=(iptables iproute2)
command -v nginx /usr/sbin/nginx >/dev/null || missing+=(nginx)
command -v wrk >/dev/null || missing+=(wrk)
command -v h2load >/dev/null || missing+=(nghttp2-client)

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "The tests need more than Python. Install it with: sudo apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
fi

[ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ] || deploy/kafka/kafka fetch
