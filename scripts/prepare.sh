#!/bin/sh
# Make sure of the programs that the checks need and pip cannot bring: venv, Mosquitto and
# its clients; with the word `interop` those of `nox -s interop` as well, with the word
# `browser` what `nox -s browser` looks at pages with.
# Installs what is missing where there is apt-get, and says what is missing elsewhere.
# What it installs is neither started nor started at the next boot: the tests start their
# own, and nothing is left that listens on port 1883.
set -eu

# Debian puts servers where the PATH of an ordinary user does not look.
PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/lib/rabbitmq/bin"

missing=""
need() { # PROGRAM PACKAGE
  command -v "$1" >/dev/null || missing="$missing $2"
}
need mosquitto mosquitto
need mosquitto_sub mosquitto-clients
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
if [ "${1:-}" = interop ]; then
  need nats-server nats-server
  need rabbitmq-server rabbitmq-server
  need node nodejs
  need npm npm
fi
if [ "${1:-}" = browser ]; then
  need chromium chromium
  need node nodejs
  need npm npm
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "please install:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  as_root="sudo"
  if ! command -v sudo >/dev/null; then
    echo "please install, as root: apt-get install$missing" >&2
    exit 1
  fi
fi
echo "installing:$missing"

# Debian asks this file whether a package that is being installed may start its service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '$as_root rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null
services="$missing"
case "$missing" in *rabbitmq*) services="$services epmd" ;; esac
for service in $services; do
  if command -v systemctl >/dev/null; then
    $as_root systemctl disable "$service"
  else
    $as_root update-rc.d "$service" disable
  fi
done >/dev/null 2>&1 || true # not each of them is a service
