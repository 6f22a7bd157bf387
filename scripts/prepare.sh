#!/bin/sh
# Make sure of the programs that pip cannot bring: Mosquitto, its clients, and venv.
# Installs what is missing where there is apt-get, and says what is missing elsewhere.
set -eu

# Debian puts servers where the PATH of an ordinary user does not look.
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=""
command -v mosquitto >/dev/null || missing="$missing mosquitto"
command -v mosquitto_sub >/dev/null || missing="$missing mosquitto-clients"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "please install:$missing" >&2
  exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
# shellcheck disable=SC2086 # a list of words on purpose
$as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null
