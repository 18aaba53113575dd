#!/bin/bash
# Runs tests/service/journey.sh under a real systemd: its own process tree, network, mounts and a throw-away layer over this
# machine's root, with a user manager for a user made up for it. Nothing of it is left when it ends.
#
#   run.sh PROGRAMS OUT        PROGRAMS: the folder of coditect-syncd and coditect-sync; OUT: an empty folder for the log
#   run.sh PROGRAMS OUT long   with what takes more than a minute: systemd's patience with a daemon that lacks something
#   run.sh --can               ends well where it can be done, else says what is missing
#
# Needs root, unshare (util-linux), systemd from 252 on, overlayfs and a mounted cgroup2.
set -euo pipefail
NUMBER=4719
HERE=$(dirname "$(readlink -f "$0")")

groups() {
    for mount in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        if [ -e "$mount/cgroup.controllers" ] && [ -w "$mount/cgroup.procs" ]; then echo "$mount"; return; fi
    done
    return 1
}

can() {
    [ "$(id -u)" = 0 ] || { echo "needs root"; return 1; }
    [ -x /usr/lib/systemd/systemd ] && [ -e /lib/systemd/system/systemd-journald.service ] || { echo "needs systemd"; return 1; }
    [ "$(systemctl --version | awk 'NR == 1 { print int($2) }')" -ge 252 ] || { echo "needs systemd 252"; return 1; }
    command -v unshare setpriv pivot_root >/dev/null || { echo "needs unshare, setpriv and pivot_root (util-linux)"; return 1; }
    groups >/dev/null || { echo "needs a mounted cgroup2 that can be written to"; return 1; }
    unshare --mount --pid --net --cgroup --uts --ipc --fork sh -ec \
        'mount --make-rprivate /; mount -t tmpfs none /mnt; mkdir /mnt/a /mnt/b /mnt/c; mount -t overlay none -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c' \
        2>/dev/null || { echo "needs namespaces and overlayfs"; return 1; }
}

# Outside: a control group of its own, namespaces, and the whole of it put away.
outside() {
    local programs out status=0
    programs=$(readlink -f "$1"); out=$(readlink -f "$2")
    if [ "${3:-}" = long ]; then LIMIT=300 && touch "$out/long"; fi
    work=$(mktemp -d /tmp/coditect-service.XXXXXX)
    group=$(groups)/coditect-service.$$
    mkdir "$group"
    trap 'find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true; rm -rf "$work"' EXIT
    (
        echo "$BASHPID" >"$group/cgroup.procs"
        exec timeout --kill-after=5 "${LIMIT:-110}" unshare --mount --pid --net --cgroup --uts --ipc --fork --kill-child \
            "$0" --inside "$work" "$programs" "$out"
    ) >"$out/console" 2>&1 || status=$?
    # An init that powers off is killed by the kernel (SIGINT), which is its way to end well.
    case $status in 0 | 130) ;; *) echo "the system ended with $status"; tail -20 "$out/console" ;; esac
    cat "$out/log"
    [ "$(cat "$out/result" 2>/dev/null)" = 0 ]
}

# Inside: the layer becomes the root, and systemd the first process.
inside() {
    local work=$1 programs=$2 out=$3 root=$1/root node
    mount --make-rprivate /
    mount -t tmpfs none "$work"
    mkdir "$work/upper" "$work/work" "$root"
    mount -t overlay none -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$root"
    mount -t proc none "$root/proc"
    mount -t sysfs -o ro none "$root/sys"
    mount -t cgroup2 none "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 none "$root/run"
    # Where units get their view of the files; a user manager cannot make it itself.
    mkdir -p "$root/run/systemd/unit-root"
    mount -t tmpfs -o mode=1777 none "$root/tmp"
    mount -t tmpfs -o mode=755 none "$root/dev"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mkdir "$root/dev/shm" "$root/dev/pts" "$root/dev/mqueue"
    mount -t tmpfs none "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 none "$root/dev/pts"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    touch "$root/dev/console"
    mkdir -p "$root/out" "$root/opt/coditect/programs"
    chmod 755 "$root/opt" "$root/opt/coditect" "$root/opt/coditect/programs"
    mount --bind "$out" "$root/out"
    cp "$programs/coditect-syncd" "$programs/coditect-sync" "$root/opt/coditect/programs"
    chmod 755 "$root/opt/coditect/programs/"*
    chown -R $NUMBER:$NUMBER "$root/opt/coditect/programs"
    install -m 755 "$HERE/journey.sh" "$root/opt/coditect/journey.sh"
    ip link set lo up 2>/dev/null || true
    echo "traveller:x:$NUMBER:$NUMBER::/home/traveller:/bin/bash" >>"$root/etc/passwd"
    echo "traveller:x:$NUMBER:" >>"$root/etc/group"
    echo "traveller:*:19000:0:99999:7:::" >>"$root/etc/shadow"
    local units=$root/etc/systemd/system
    cat >"$units/traveller.service" <<X
[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket systemd-journald.service
After=systemd-journald.service
[Service]
Type=notify
User=traveller
PAMName=systemd-user
Environment=XDG_RUNTIME_DIR=/run/user/$NUMBER HOME=/home/traveller
ExecStartPre=+/bin/sh -c 'install -d /run/user; install -d -o traveller -g traveller -m 700 /run/user/$NUMBER /home/traveller'
ExecStart=/usr/lib/systemd/systemd --user
Delegate=yes
KillMode=mixed
X
    cat >"$units/journey.service" <<X
[Unit]
DefaultDependencies=no
Requires=traveller.service
After=traveller.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh -c 'setpriv --reuid=$NUMBER --regid=$NUMBER --clear-groups env -i PATH=/usr/bin:/bin HOME=/home/traveller USER=traveller XDG_RUNTIME_DIR=/run/user/$NUMBER /opt/coditect/journey.sh; result=\$?; journalctl --quiet --no-pager --output=cat _UID=$NUMBER >/out/journal; echo \$result >/out/result'
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:/out/log
StandardError=inherit
X
    printf '[Unit]\nWants=journey.service\n' >"$units/journey.target"
    cd "$root"
    mkdir .before
    pivot_root . .before
    umount -l /.before
    exec env -i container=coditect PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux \
        /usr/lib/systemd/systemd --system --unit=journey.target --show-status=no --log-target=journal
}

case ${1:-} in
--can) can ;;
--inside) shift; inside "$@" ;;
*) outside "$@" ;;
esac
