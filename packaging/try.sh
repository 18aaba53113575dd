#!/usr/bin/env bash
# Tries a package as somebody would who sees it for the first time: in a Debian that has nothing else, as an ordinary user.
#
#   packaging/try.sh [PACKAGE [NEWER]]     installs, uses, kills, upgrades and removes a .deb or .rpm, by hand and under a
#                                          real systemd user manager; by itself the .deb in target/dist
#
# With a newer one of another version (`packaging/package.sh next` makes it) there is an upgrade in place while registrations
# wait for a cloud that is off, the way back to the older one, and an older one before data of a newer kind.
#
# An .rpm is put in place by rpm itself, in a Debian that has rpm; what it needs is held against the libraries that are there,
# named by rpm's own tool for that (rpmbuild makes a package of these names).
#
# Needs root, debootstrap and a mirror of Debian the first time; the clean root is kept in target/try. The network is cut off
# while the package is tried. Without root or debootstrap it says SKIPPED and ends well; without cgroup2 it leaves out the part
# with the user manager and says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1:-} in
    *.rpm) kind=rpm base=$PWD/target/try/base-rpm with=systemd,rpm ;;
    *) kind=deb base=$PWD/target/try/base with=systemd ;;
esac
suite=${SUITE:-bookworm}

skip() {
    echo "SKIPPED: $*"
    exit 0
}

say() { printf '\n== %s\n' "$*"; }

[[ $(id -u) == 0 ]] || skip 'needs root, to make a clean root'
command -v unshare >/dev/null || skip 'needs unshare, to cut the trial off from this machine'

# Everything below happens in namespaces of its own: mounts, processes and network end with it.
if [[ ${INSIDE:-} != 1 ]]; then
    [[ $kind != rpm ]] || command -v rpmbuild >/dev/null || skip 'there is no rpmbuild, to name the libraries of a clean Debian'
    if [[ ! -e $base/etc/debian_version ]]; then
        command -v debootstrap >/dev/null || skip 'there is no debootstrap, to make a clean Debian'
        say "making a clean Debian ($suite) in $base"
        mkdir -p "$base"
        debootstrap --variant=minbase "--include=$with" "$suite" "$base" "${MIRROR:-http://deb.debian.org/debian}" >"$base.log" 2>&1 ||
            { rm -rf "$base"; tail -n 5 "$base.log"; skip 'no clean Debian could be made'; }
    fi
    cgroup=
    for folder in /sys/fs/cgroup /sys/fs/cgroup/unified; do
        if [[ -e $folder/cgroup.controllers ]]; then
            cgroup=$folder/coditect-try.$$
        fi
    done
    status=0
    (
        if [[ -n $cgroup ]]; then
            mkdir "$cgroup" && echo "$BASHPID" >"$cgroup/cgroup.procs"
        fi
        INSIDE=1 HAS_CGROUP=$cgroup exec unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child -- "$0" "$@"
    ) || status=$?
    if [[ -n $cgroup ]]; then
        find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    fi
    exit "$status"
fi

root=$(mktemp -d)
mount -t tmpfs none "$root"
mkdir -p "$root"/{upper,work,new}
new=$root/new
ip link set lo up 2>/dev/null || true

# A package that provides what is in the clean Debian anyway: its shell and its libraries, by the names that rpm gives them.
name_libraries() {
    local into=$1 finder
    finder=$(rpm --eval '%{_rpmconfigdir}')/elfdeps
    {
        printf '%s\n' 'Name: libraries-of-this-system' 'Version: 1' 'Release: 1' 'Summary: What is here anyway' 'License: none' \
            'BuildArch: noarch' 'Provides: /bin/sh' 'Provides: rtld(GNU_HASH)'
        # A name may come from more than one file.
        find "$base"/usr/lib/*-linux-gnu -maxdepth 1 \( -name 'libc.so*' -o -name 'libm.so*' -o -name 'libgcc_s.so*' -o -name 'ld-linux*' \) |
            "$finder" --provides | sort -u | sed 's/^/Provides: /'
        printf '%s\n' '%description' 'What is here anyway.' '%files'
    } >"$into/libraries.spec"
    rpmbuild --quiet -bb --define "_topdir $into" "$into/libraries.spec" >&2
    mv "$into"/RPMS/noarch/*.rpm "$into/libraries.rpm"
}

# From here on the clean Debian is all there is.
enter() {
    mount -t overlay none -o "lowerdir=$base,upperdir=$root/upper,workdir=$root/work" "$new"
    mount -t proc none "$new/proc"
    mount -t tmpfs none "$new/tmp" -o mode=1777
    mount -t tmpfs none "$new/run" -o mode=755
    mount --rbind /dev "$new/dev"
    cp "$1" "$new/tmp/package"
    if [[ -n ${2:-} ]]; then
        cp "$2" "$new/tmp/newer"
    fi
    if [[ $kind == rpm ]]; then
        mkdir "$root/build"
        name_libraries "$root/build"
        cp "$root/build/libraries.rpm" "$new/tmp/libraries"
    fi
    mkdir -p "$new/sys/fs/cgroup"
    if [[ -n ${HAS_CGROUP:-} ]]; then
        mount -t cgroup2 none "$new/sys/fs/cgroup"
    fi
    cd "$new"
    mkdir -p run/old
    pivot_root . run/old
    cd /
    umount -l /run/old
    rmdir /run/old
}

by_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }

# What the two kinds of package managers call the same things. Debian's rpm has its database elsewhere by itself.
rpm_does() { by_root rpm --dbpath /var/lib/rpm "$@"; }

# Installs, upgrades or goes back.
put_in_place() {
    case $kind in
        deb) by_root dpkg --install "$1" ;;
        rpm) rpm_does --upgrade --oldpackage --replacepkgs --nosignature "$1" ;;
    esac
}

verify() {
    case $kind in
        deb) by_root dpkg --verify coditect-sync ;;
        rpm) rpm_does --verify coditect-sync ;;
    esac
}

list() {
    case $kind in
        deb) by_root dpkg --listfiles coditect-sync ;;
        rpm) rpm_does --query --list coditect-sync ;;
    esac
}

take_away() {
    case $kind in
        deb) by_root dpkg --remove coditect-sync ;;
        rpm) rpm_does --erase coditect-sync ;;
    esac
}

by_ada() {
    setpriv --reuid=ada --regid=ada --init-groups env -i PATH=/usr/bin:/bin LANG=C.UTF-8 HOME=/home/ada USER=ada \
        XDG_RUNTIME_DIR="/run/user/$(id -u ada)" sh -c "cd && $1"
}

# A command as the user would type it; printed with what it prints.
types() {
    printf '$ %s\n' "$*"
    by_ada "{ $*
} 2>&1" | sed 's/^/  /'
    return "${PIPESTATUS[0]}"
}

wants() {
    local status=$1
    shift
    local got=0
    types "$@" || got=$?
    [[ $got == "$status" ]] || fail "\`$*\` ended with $got and not with $status"
}

fail() {
    echo "FAILED: $*"
    exit 1
}

# Waits for a condition, without a word.
until_so() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 300; tries++)); do
        if by_ada "$*" >/dev/null 2>&1; then
            return
        fi
        sleep 0.1
    done
    fail "waited in vain until $what"
}

starts() {
    printf '$ coditect-syncd --dev --quiet &\n'
    by_ada 'exec coditect-syncd --dev --quiet' &
    until_so 'the daemon answers' coditect-sync status
}

pid_of_daemon() { by_ada 'coditect-sync --json status' | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*$'; }

# Waits until a daemon of another process answers.
until_another() {
    local before=$1 tries now
    for ((tries = 0; tries < 300; tries++)); do
        now=$(pid_of_daemon || true)
        if [[ -n $now && $now != "$before" ]]; then
            echo "the daemon was process $before and is $now"
            return
        fi
        sleep 0.1
    done
    fail "waited in vain for another daemon than $before"
}

everything() { find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /run \) -prune -o -print | sort; }

try_package() {
    # The package manager's own books, the loader's cache and the trial's user are not the package's.
    local not_its='^/(var/lib/(dpkg|rpm)|var/log|var/cache/ldconfig|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$)'
    by_root useradd --create-home --shell /bin/sh ada
    if [[ $kind == rpm ]]; then
        mkdir -p /var/lib/rpm
        rpm_does --initdb
        rpm_does --install --nosignature /tmp/libraries
        say 'what it says of itself'
        rpm_does --query --package --nosignature --info /tmp/package | sed -n '/^Name/,/^License/p;/^Description/,$p'
        rpm_does --query --package --nosignature --requires /tmp/package
    fi
    everything >/tmp/before

    say 'install'
    put_in_place /tmp/package
    verify && echo 'every file is as the package says'
    list | grep -v '/man1/' | grep '[a-z]\.\|bin/\|/_'
    echo "and $(list | grep -c '/man1/.*gz') manual pages"

    say 'a look around, before anything runs'
    wants 0 'coditect-sync --version; coditect-syncd --version; coditect-devcloud --version'
    wants 69 coditect-sync status
    wants 1 coditect-sync doctor

    say 'the first project'
    types 'mkdir -p PROJECTS/engine && printf "[package]\nname = \"analytical-engine\"\n" >PROJECTS/engine/Cargo.toml'
    starts
    until_so 'the project is registered' coditect-sync resolve /home/ada/PROJECTS/engine
    wants 0 coditect-sync status
    wants 0 coditect-sync projects
    local uuid
    uuid=$(by_ada 'coditect-sync resolve PROJECTS/engine')
    wants 0 coditect-sync doctor

    say 'killed, and started again'
    local pid
    pid=$(pid_of_daemon)
    echo "kill -KILL $pid"
    kill -KILL "$pid"
    until_so 'nobody answers' '! coditect-sync status'
    wants 69 'coditect-sync resolve PROJECTS/engine'
    starts
    wants 0 'coditect-sync resolve PROJECTS/engine'
    [[ $(by_ada 'coditect-sync resolve PROJECTS/engine') == "$uuid" ]] || fail 'another UUID'

    say 'stopped'
    wants 0 coditect-sync stop

    if [[ -n ${HAS_CGROUP:-} ]]; then
        try_service
    else
        say 'SKIPPED: the part with a user manager, because there is no cgroup2 here'
    fi

    say 'removed'
    take_away
    until_so 'no daemon runs any more' '! grep -qx coditect-syncd /proc/[0-9]*/comm'
    if [[ $kind == deb ]]; then
        by_root dpkg --purge coditect-sync
    fi
    everything | grep -v -E "$not_its" >/tmp/after
    comm -13 /tmp/before /tmp/after | sed 's/^/left: /'
    if comm -13 /tmp/before /tmp/after | grep -v '^/home/ada/'; then
        fail 'the package left something outside the home'
    fi
    if find /home/ada/.config/systemd -type f 2>/dev/null | grep .; then
        fail 'the service left something in the home'
    fi
    say "the .$kind is in order: nothing is left but data"
}

# One cloud for the whole trial, which remembers what it was told.
cloud_on() {
    by_ada 'exec coditect-devcloud --listen 127.0.0.1:8787 --database cloud.db' >/dev/null &
    until_so 'the cloud listens' 'coditect-devcloud --version && bash -c "exec 3<>/dev/tcp/127.0.0.1/8787"'
}

cloud_off() {
    # The kernel knows a process by the first fifteen letters of its name; in here there is no other of that name.
    kill "$(grep -lx coditect-devclo /proc/[0-9]*/comm | cut -d/ -f3)"
    until_so 'the cloud is gone' '! grep -qx coditect-devclo /proc/[0-9]*/comm'
}

version_of() { by_ada 'coditect-sync --json status' | grep -o '"version": *"[^"]*"' | head -n 1 | cut -d'"' -f4; }

waiting() { by_ada 'coditect-sync --json queue' | tr -d ' \n' | grep -o '"\(ready\|delayed\|in_flight\|parked\)":[0-9]*' | awk -F: '{ sum += $2 } END { print sum + 0 }'; }

# From one version to the next and back, with registrations waiting for a cloud that is off.
try_versions() {
    local uuid before older newer database=/home/ada/.local/state/coditect-sync/sync.db tables
    uuid=$(by_ada 'coditect-sync resolve PROJECTS/engine')
    older=$(version_of)
    say "upgraded from $older while the cloud is off and two registrations wait"
    cloud_off
    types 'mkdir -p PROJECTS/loom PROJECTS/mill && printf "[package]\nname = \"loom\"\n" | tee PROJECTS/loom/Cargo.toml >PROJECTS/mill/Cargo.toml'
    until_so 'both wait' '[ "$(coditect-sync --json projects | grep -o "\"pending\"" | wc -l)" = 2 ]'
    [[ $(waiting) == 2 ]] || fail "$(waiting) wait, not 2"
    wants 0 coditect-sync queue
    before=$(pid_of_daemon)
    put_in_place /tmp/newer
    until_another "$before"
    newer=$(version_of)
    [[ $newer != "$older" ]] || fail "the daemon is still of version $older"
    [[ $(waiting) == 2 ]] || fail "$(waiting) wait, not 2"
    wants 0 coditect-sync --version
    wants 0 coditect-sync status
    [[ $(by_ada 'coditect-sync resolve PROJECTS/engine') == "$uuid" ]] || fail 'another UUID'
    cloud_on
    until_so 'what waited is delivered' 'coditect-sync resolve PROJECTS/loom && coditect-sync resolve PROJECTS/mill'
    [[ $(waiting) == 0 ]] || fail "$(waiting) wait still"
    wants 0 coditect-sync projects

    say "back from $newer to $older"
    before=$(pid_of_daemon)
    put_in_place /tmp/package
    until_another "$before"
    [[ $(version_of) == "$older" ]] || fail "the daemon is of version $(version_of)"
    wants 0 coditect-sync projects
    [[ $(by_ada 'coditect-sync resolve PROJECTS/engine') == "$uuid" ]] || fail 'another UUID'

    say 'an older version before data of a newer kind'
    wants 0 coditect-sync service stop
    # SQLite's `user_version`, four bytes at this place of the file, is the version of the tables.
    tables=$(od --address-radix=n --format=u1 --skip-bytes=63 --read-bytes=1 "$database" | tr -d ' ')
    printf '\x63' | dd of="$database" bs=1 seek=63 conv=notrunc status=none
    cp "$database" /tmp/as-it-was
    wants 1 coditect-sync service start
    wants 1 coditect-sync doctor
    by_ada 'systemctl --user show coditect-sync --property=ExecMainStatus,NRestarts'
    cmp "$database" /tmp/as-it-was || fail 'data of a newer kind was changed'
    printf "\\x$(printf %02x "$tables")" | dd of="$database" bs=1 seek=63 conv=notrunc status=none
    wants 0 coditect-sync service start
    [[ $(by_ada 'coditect-sync resolve PROJECTS/engine') == "$uuid" ]] || fail 'another UUID'
}

# The same daemon under a real user manager: installed, killed and brought back, upgraded, uninstalled.
try_service() {
    local uid pid before
    uid=$(id -u ada)
    say 'a user manager, as a login starts one'
    install -d -m 755 /run/user /run/systemd/system
    install -d -m 700 -o ada -g ada "/run/user/$uid"
    mkdir /sys/fs/cgroup/ada
    chown -R ada:ada /sys/fs/cgroup/ada
    (
        echo "$BASHPID" >/sys/fs/cgroup/ada/cgroup.procs
        by_ada 'exec /lib/systemd/systemd --user --log-level=warning'
    ) &
    until_so 'the user manager answers' systemctl --user show-environment
    wants 0 'systemctl --user --version | head -n 1'

    say 'a cloud, and its token'
    cloud_on
    types 'mkdir -p .coditect/config && echo "{\"cloud_sync\": {\"api_url\": \"http://127.0.0.1:8787\"}}" >.coditect/config/config.json'
    types 'chmod 600 .coditect/config/config.json && coditect-devcloud --print-token | coditect-sync auth set-token'

    say 'service install'
    wants 0 'coditect-sync service install --dry-run | head -n 12'
    wants 0 coditect-sync service install
    until_so 'the project is registered' coditect-sync resolve /home/ada/PROJECTS/engine
    wants 0 coditect-sync status
    wants 0 coditect-sync service status
    wants 0 coditect-sync doctor

    say 'killed, and started again by its manager'
    pid=$(pid_of_daemon)
    echo "kill -KILL $pid"
    kill -KILL "$pid"
    until_another "$pid"
    wants 0 'coditect-sync resolve PROJECTS/engine'

    say 'upgraded in place while it runs'
    before=$(pid_of_daemon)
    put_in_place /tmp/package
    until_another "$before"
    wants 0 'coditect-sync resolve PROJECTS/engine'

    if [[ -e /tmp/newer ]]; then
        try_versions
    fi

    say 'service uninstall'
    wants 0 coditect-sync service uninstall
    wants 69 coditect-sync status

    say 'the unit of the package itself'
    wants 0 systemctl --user enable --now coditect-sync
    until_so 'the daemon answers' coditect-sync status
    wants 0 'systemctl --user show coditect-sync --property=FragmentPath,ActiveState,StatusText'
    wants 0 systemctl --user disable coditect-sync
    echo '(it is left running: removing the package stops it)'
}

newer=
[[ -z ${2:-} ]] || newer=$(realpath "$2")
enter "$(realpath "${1:-$(ls target/dist/*.deb)}")" "$newer"
try_package
