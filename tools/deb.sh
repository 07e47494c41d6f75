#!/usr/bin/env bash
# Makes a Debian package of the installed files. Usage: tools/deb.sh VENV [OUTPUT DIRECTORY]   (called by make)
# $MAINTAINER: who publishes it, "Name <address>"; $DIST: where the wheel lies.
set -euo pipefail
venv=$1 output=$(realpath -m "${2:-dist}")
cd "$(dirname "$0")/.."
command -v dpkg-deb >/dev/null || { echo "deb: dpkg-deb is missing" >&2; exit 1; }

version=$("$venv/bin/python" -c 'import daemon; print(daemon.__version__)')
maintainer=${MAINTAINER:-Whoever built it <wasup@localhost>}
minor=$("$venv/bin/python" -c 'import sys; print(sys.version_info[1])')
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
umask 022
mkdir -p "$root/DEBIAN" "$output"

COMPILE=no bash tools/install.sh install "$venv" /usr "$root"
doc=$root/usr/share/doc/wasup
find "$root/usr/lib/wasup" -type f ! -name '*.so*' -exec chmod 644 {} +
{
  printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: wasup\n\n'
  printf 'Files: *\nCopyright: 2026 The wasup developers\nLicense: Apache-2.0\n'
  printf ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\nComment:\n'
  printf ' The licences of the bundled libraries lie beside them, in /usr/lib/wasup/*.dist-info.\n'
} >"$doc/copyright"
[ ! -d "$root/usr/share/man" ] || find "$root/usr/share/man" -type f -exec gzip -9n {} +
date=$(git log -1 --format=%cD 2>/dev/null || date -R)
printf 'wasup (%s) unstable; urgency=medium\n\n  * Built from the source tree.\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$date" | gzip -9n >"$doc/changelog.gz"
install -Dm644 systemd/debian/lintian-overrides "$root/usr/share/lintian/overrides/wasup"
chmod 644 "$root/etc/wasup/config.toml" # tmpfiles.d gives it to the daemon's group

echo /etc/wasup/config.toml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m755 "systemd/debian/$script" "$root/DEBIAN/$script"; done
sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@PYTHON@/3.$minor/; s/@PYTHON_NEXT@/3.$((minor + 1))/" \
  -e "s/@MAINTAINER@/$maintainer/; s/@SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" systemd/debian/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group --build -Zxz -z3 "$root" "$output/wasup_${version}_$architecture.deb" >/dev/null
echo "$output/wasup_${version}_$architecture.deb"
