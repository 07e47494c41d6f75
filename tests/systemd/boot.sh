#!/bin/bash
# boot.sh [TREE]   boots a real systemd on an overlay of this machine's /, and of the files of a TREE put into it, in
# namespaces of its own: pid, mount, uts, ipc, cgroup; the network is shared. Nothing that it does reaches the disk.
# Prints the pid of its init when it is up, keeps it until standard input ends, and powers it off.
# Exits 77 where that cannot be had, with a reason on standard error. Needs root.
set -eu
added=${1:-}
unable() { echo "$*" >&2; exit 77; }
[ "$(id -u)" = 0 ] || unable "a private systemd needs root"
[ -x /usr/lib/systemd/systemd ] || unable "there is no systemd on this machine"
tree=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[ -n "$tree" ] || unable "no cgroup2 is mounted"

work=$(mktemp -d /var/tmp/wasup-systemd.XXXXXX)
group=$tree/wasup-systemd-$$
init=
unshare=

finish() {
  set +e
  if [ -n "$init" ] && kill -0 "$init" 2>/dev/null; then
    kill -s RTMIN+4 "$init" # poweroff.target
    timeout 20 tail --pid="$init" -f /dev/null
  fi
  [ -z "$unshare" ] || { kill -9 "$unshare" 2>/dev/null; wait "$unshare" 2>/dev/null; }
  [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
  for _ in 1 2 3 4 5; do # the kernel takes a moment to let them go
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    [ -d "$group" ] || break
    read -rt 0.2 <> <(:) || :
  done
  rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

mkdir "$group" || unable "no control group can be made in $tree"
[ -e "$group/cgroup.kill" ] || unable "this kernel has no cgroup.kill"

cat >"$work/init.sh" <<'INIT'
#!/bin/bash
# The first process of the namespaces: builds the root and becomes systemd.
set -eu
work=$1 added=$2 root=$1/root
mount --make-rprivate /
mkdir "$work/upper" "$root"
mount -t tmpfs -o mode=755 upper "$work/upper"
mkdir "$work/upper/data" "$work/upper/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper/data,workdir=$work/upper/work" "$root"
[ -z "$added" ] || cp -a "$added/." "$root/" # an overlay takes no lower directory that lies below another
hostname wasup-test
mount -t proc -o nosuid,noexec,nodev proc "$root/proc"
for path in sys sysrq-trigger irq bus; do
  [ ! -e "$root/proc/$path" ] || { mount --bind "$root/proc/$path" "$root/proc/$path"; mount -o remount,bind,ro "$root/proc/$path"; }
done
mount -t sysfs -o ro,nosuid,noexec,nodev sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o nosuid,mode=755 dev "$root/dev"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<<"$node"
  mknod -m 666 "$root/dev/$name" c "$major" "$minor"
done
ln -s /proc/self/fd "$root/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%:*}" "$root/dev/${n#*:}"; done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue" # PrivateDevices= wants all of them
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o nosuid,nodev,mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$root/run"
mkdir -p "$root/run/lock"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp "$root/tmp"
rm -rf "$root/var/log/journal"
mkdir -p "$root/var/log/journal" "$root/etc/systemd/journald.conf.d" "$root/etc/tmpfiles.d"
printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nForwardToSyslog=no\nSeal=no\n' \
  >"$root/etc/systemd/journald.conf.d/test.conf"
# What belongs to a machine with devices, disks and a clock of its own, and what cleans up by itself.
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
  systemd-firstboot.service systemd-timesyncd.service systemd-modules-load.service systemd-sysctl.service \
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-remount-fs.service systemd-networkd.service \
  systemd-resolved.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
  e2scrub_reap.service systemd-journald-audit.socket systemd-hwdb-update.service ldconfig.service dev-hugepages.mount \
  dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount sys-fs-fuse-connections.mount \
  tmp.mount getty.target console-getty.service systemd-tmpfiles-clean.timer man-db.timer; do
  ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
: >"$root/etc/fstab"
echo wasup-test >"$root/etc/hostname"
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
mount --make-rshared / # as nspawn does; without it LoadCredential= does not reach the services
exec env -i container=wasup-test TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
  /usr/lib/systemd/systemd --system --unit=basic.target --show-status=no --log-target=journal
INIT

(
  echo 0 >"$group/cgroup.procs"
  exec setpriv --pdeathsig KILL unshare --fork --kill-child --pid --mount --uts --ipc --cgroup --propagation private \
    bash "$work/init.sh" "$work" "$added"
) </dev/null >"$work/console" 2>&1 &
unshare=$!
for _ in {1..500}; do
  init=$(tr -d ' ' 2>/dev/null <"/proc/$unshare/task/$unshare/children") || :
  [ -n "$init" ] && break
  read -rt 0.01 <> <(:) || :
done
[ -n "$init" ] || { cat "$work/console" >&2; unable "namespaces cannot be made here"; }
echo "$unshare" >"$tree/cgroup.procs" || { cat "$work/console" >&2; exit 1; } # only init may stay: a control group with children holds no processes itself
state=
for _ in {1..600}; do
  kill -0 "$init" 2>/dev/null || { cat "$work/console" >&2; unable "systemd ended while it booted"; }
  state=$(nsenter -t "$init" -m -u -i -p -C env -i PATH="$PATH" systemctl is-system-running 2>/dev/null) || :
  case $state in running | degraded) break ;; esac
  read -rt 0.05 <> <(:) || :
done
case $state in running | degraded) ;; *) cat "$work/console" >&2; echo "systemd did not come up: $state" >&2; exit 1 ;; esac
mkdir "$group/commands"
echo "$init $group/commands"
cat >/dev/null
