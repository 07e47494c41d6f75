#!/usr/bin/env bash
# Puts wasup where systemd finds it, or takes it away again. Called by make after `make dist`.
# Usage: tools/install.sh install|uninstall VENV PREFIX [DESTDIR]   ($DIST: where the wheel lies; $COMPILE=no: without bytecode)
set -euo pipefail
verb=$1 venv=$2 prefix=$3 dest=${4:-}
cd "$(dirname "$0")/.."

lib=$dest$prefix/lib bundle=$dest$prefix/lib/wasup bin=$dest$prefix/bin share=$dest$prefix/share
doc=$share/doc/wasup
zsh=$share/zsh/site-functions
[ "$prefix" != /usr ] || zsh=$share/zsh/vendor-completions  # where Debian's zsh looks for what packages bring
units=$lib/systemd/system
files=("$bin/wasupd" "$bin/wasupctl" "$units/wasupd.service" "$units/wasupd.socket" "$lib/sysusers.d/wasup.conf"
  "$lib/tmpfiles.d/wasup.conf" "$lib/systemd/catalog/wasup.catalog"
  "$share/man/man1/wasupctl.1" "$share/man/man8/wasupd.8" "$share/man/man5/wasup-config.toml.5"
  "$share/bash-completion/completions/wasupctl" "$zsh/_wasupctl"
  "$share/fish/vendor_completions.d/wasupctl.fish")

say() { printf '%s: %s\n' "$verb" "$*" >&2; }
live() { [ -z "$dest" ] && [ -d /run/systemd/system ]; }

if [ "$verb" = uninstall ]; then
  if live; then systemctl disable --quiet --now wasupd.socket wasupd.service || :; fi
  rm -rf "$bundle" "$doc" "${files[@]}"
  if live; then
    systemctl daemon-reload
    journalctl --quiet --update-catalog
  fi
  say "left as they are: $dest/etc/wasup, $dest/var/lib/wasup (the logins!), the user wasup and its groups"
  exit
fi

# A program of its own: the interpreter sees the standard library and this bundle, nothing else of the machine's.
program() {
  printf '#!%s -IS\nimport sys\n\nsys.path.append("%s/lib/wasup")\nfrom %s import main\n\nsys.exit(main())\n' \
    "$python" "$prefix" "$2" >"$bin/$1"
  chmod 755 "$bin/$1"
}

umask 022
# The system's interpreter where it is of the version that the bundle is made for: the service sees no home directories.
version() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null; }
python=/usr/bin/python3
[ "$(version "$python")" = "$(version "$venv/bin/python")" ] ||
  python=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)')
case $python in /home/* | /root/*)
  say "the service cannot run $python: set up with an interpreter outside of /home and /root (PYTHON=… make setup)"
  exit 1
  ;;
esac
rm -rf "$bundle"
mkdir -p "$bundle" "$bin" "$doc"
requirements=$(mktemp) # only what the daemon runs on, out of what was set up
trap 'rm -f "$requirements"' EXIT
"$venv/bin/python" tools/runtime_requirements.py >"$requirements"
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --no-compile
  --target "$bundle")
"${pip[@]}" --require-hashes -r "$requirements"
"${pip[@]}" "${DIST:-dist}"/wasup-*.whl
# No programs but ours, and nobody who downloads browsers: the service could not run one from where it may write.
rm -rf "$bundle/bin" "$bundle/share" "$bundle"/selenium/webdriver/common/{linux*,macos,windows}
[ "${COMPILE:-yes}" = no ] || # the service may not write there; without this every start would compile everything
  "$venv/bin/python" -m compileall -q -j0 -s "$dest" "$bundle" || : # what is for other versions of Python does not compile
program wasupd daemon.__main__
program wasupctl daemon.cli
install -Dm644 -t "$units" systemd/wasupd.service systemd/wasupd.socket
sed -i "s|/usr/bin/wasupd|$prefix/bin/wasupd|; s|/usr/share/doc|$prefix/share/doc|" "$units/wasupd.service"
install -Dm644 systemd/sysusers.conf "$lib/sysusers.d/wasup.conf"
install -Dm644 systemd/tmpfiles.conf "$lib/tmpfiles.d/wasup.conf"
install -Dm644 systemd/wasup.catalog "$lib/systemd/catalog/wasup.catalog"
manual=$(mktemp -d)
trap 'rm -rf "$requirements" "$manual"' EXIT
"$venv/bin/python" -m daemon.manual "$manual"
for page in "$manual"/*; do install -Dm644 -t "$share/man/man${page##*.}" "$page"; done
mkdir -p "$share/bash-completion/completions" "$zsh" "$share/fish/vendor_completions.d"
complete() { "$venv/bin/python" -m daemon.cli completion "$1" >"$2"; }
complete bash "$share/bash-completion/completions/wasupctl"
complete zsh "$zsh/_wasupctl"
complete fish "$share/fish/vendor_completions.d/wasupctl.fish"
install -m644 README.md CHANGELOG.md config.example.toml docs/*.md docs/demo.svg "$doc"
sed -i 's|](docs/|](|g; s|](\.\./|](|g' "$doc"/*.md # one directory there
cp -R --no-preserve=mode,ownership examples docs/monitoring "$doc"
# An administrator's file is never replaced.
[ -e "$dest/etc/wasup/config.toml" ] || install -Dm640 config.example.toml "$dest/etc/wasup/config.toml"

if live; then
  systemd-sysusers "$lib/sysusers.d/wasup.conf"
  systemd-tmpfiles --create "$lib/tmpfiles.d/wasup.conf"
  journalctl --quiet --update-catalog
  systemctl daemon-reload
  say "done; systemctl enable --now wasupd.socket wasupd.service starts it"
fi
