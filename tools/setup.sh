#!/usr/bin/env bash
# Sets up a checkout: packages of the distribution where they are missing, the virtual environment, the page library.
# Usage: tools/setup.sh VENV   (called by make)
set -euo pipefail
venv=$1
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

missing=()
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || missing+=(python3)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v npm >/dev/null || missing+=(npm)
if [ "$(id -u)" = 0 ]; then
  # The tests try both browsers; one of them, or Google Chrome, is enough to run the daemon.
  for browser in chromium chromium-headless-shell; do command -v "$browser" >/dev/null || missing+=("$browser"); done
else
  command -v chromium >/dev/null || command -v chromium-headless-shell >/dev/null ||
    command -v google-chrome >/dev/null || missing+=(chromium)
fi

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing on this machine: ${missing[*]}"
    say "as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    exit 1
  fi
  say "installing ${missing[*]} from the distribution"
  log=$(mktemp)
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get failed; its whole output is in $log"
    exit 1
  fi
  rm -f "$log"
fi

say "the virtual environment $venv (versions and hashes: requirements.lock)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" -m pip install --quiet --require-hashes -r requirements.lock
"$venv/bin/python" -m pip install --quiet --no-deps --editable .
# As pip does with what it installs: where $PYTHONDONTWRITEBYTECODE is set every start would compile all of it.
"$venv/bin/python" -m compileall -q protocol supervisors daemon

say "the page library wa-js (version and hash: supervisors/whatsapp/package-lock.json)"
npm ci --prefix supervisors/whatsapp --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel error >&2
