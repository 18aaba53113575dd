#!/bin/bash
# What a user does with the service, under a real user manager: each step says what it saw, the first one that is not so
# ends it. Started by run.sh, as that user.
set -u
PATH=/opt/coditect/programs:$PATH
cd
UNIT=coditect-sync.service
FILES=$HOME/.config/systemd/user
STATE=$HOME/.local/state/coditect-sync
START=$SECONDS

fail() {
    echo "FAILED after $((SECONDS - START)) s: $*"
    coditect-sync service status
    systemctl --user status --no-pager --lines=30 $UNIT coditect-sync.socket
    tail -n 30 "$STATE"/logs/* 2>/dev/null
    exit 1
}
say() { echo "ok $((SECONDS - START)) s  $*"; }
expect() { # WORDS, then a command whose output is to have them
    local words=$1 said
    shift
    said=$("$@" 2>&1) || fail "$*: $said"
    case $said in *"$words"*) ;; *) fail "$*: no \"$words\" in: $said" ;; esac
}
until_so() { # WHAT, then a command that succeeds when it is so
    local what=$1 tries
    shift
    for tries in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    fail "waited in vain until $what"
}
pid() { systemctl --user show $UNIT --property=MainPID --value; }
shows() { systemctl --user show $UNIT --property="$1" --value; }
is_another() { [ "$(pid)" != 0 ] && [ "$(pid)" != "$1" ] && coditect-sync --quiet status; }
is_known() { coditect-sync projects | grep -q "PROJECTS/$1"; }

# A cloud of one's own would need a second program; without one, projects are found and wait, which shows as much here.
mkdir -p PROJECTS/one/src .coditect/config .ssh
echo secret >.ssh/id
printf '[package]\nname = "one"\n' >PROJECTS/one/Cargo.toml
echo '{"cloud_sync": {"api_url": "http://127.0.0.1:9"}}' >.coditect/config/config.json
chmod 600 .coditect/config/config.json

expect "enable --now $UNIT" coditect-sync service install --dry-run
[ ! -e "$FILES/$UNIT" ] || fail "a dry run wrote"
expect "installed and runs" coditect-sync service install
[ "$(shows ActiveState)" = active ] || fail "not active: READY was not said"
say "service install: active, pid $(pid), $(shows StatusText)"
expect "enabled" coditect-sync service status
first=$(pid)
expect "installed and runs" coditect-sync service install
[ "$(pid)" = "$first" ] || fail "a second install restarted it"
say "service install again: nothing changes"
until_so "the first project is found" is_known one
say "the first project is known: $(coditect-sync projects | tail -1)"
grep -q "there is no worker" "$STATE"/logs/* && fail "under the unit no worker can be started: $(grep "no worker" "$STATE"/logs/*)"
if [ -e "$FILES/$UNIT.d/50-sandbox.conf" ]; then
    say "the stricter sandbox is in force"
else
    fail "the stricter sandbox was left out: $(coditect-sync service install --dry-run 2>&1 | grep sandbox)"
fi
case $(coditect-sync doctor) in *"(Landlock "*"system calls are filtered"*) ;; *) fail "doctor: $(coditect-sync doctor)" ;; esac
say "doctor: $(coditect-sync doctor | grep daemon.sandbox)"

# The same home as the daemon sees it.
if nsenter --target "$(pid)" --user --mount --preserve-credentials true 2>/dev/null; then
    nsenter --target "$(pid)" --user --mount --preserve-credentials cat "$HOME/.ssh/id" >/dev/null 2>&1 && fail "~/.ssh can be read"
    nsenter --target "$(pid)" --user --mount --preserve-credentials touch "$HOME/PROJECTS/one/x" 2>/dev/null && fail "a project can be written"
    say "as the daemon sees it, ~/.ssh cannot be read and no project be written"
    for figure in /proc/sys/fs/inotify/max_user_watches /proc/loadavg; do
        nsenter --target "$(pid)" --user --mount --preserve-credentials cat $figure >/dev/null || fail "$figure cannot be read"
    done
    say "as the daemon sees it, the system says how many watches there are and how loaded it is"
fi

# The logs on another disk, as far as the drop-in can tell: outside of every folder that it names by itself.
mkdir -m 700 disk
mv "$STATE/logs" disk/logs
ln -s "$HOME/disk/logs" "$STATE/logs"
expect "installed and runs" coditect-sync service install
before=$(pid)
expect "runs" coditect-sync service restart
[ "$(pid)" != "$before" ] || fail "not restarted"
grep -q "$HOME/disk/logs" "$FILES/$UNIT.d/50-sandbox.conf" || fail "the drop-in does not let it write to its logs"
say "logs that are a link: written under the drop-in, to $HOME/disk/logs"

before=$(pid)
kill -KILL "$before"
until_so "it is started again after kill -9" is_another "$before"
say "kill -9: started again, pid $(pid), NRestarts=$(shows NRestarts)"

before=$(pid)
expect "runs" coditect-sync service restart
[ "$(pid)" != "$before" ] || fail "not restarted"
say "service restart: pid $(pid)"

echo '{"cloud_sync": {"api_url": "http://127.0.0.1:19"}}' >.coditect/config/config.json
before=$(pid)
systemctl --user reload $UNIT || fail "no reload"
new_address() { coditect-sync status --json | grep -q '127.0.0.1:19'; }
until_so "the configuration is read again" new_address
[ "$(pid)" = "$before" ] || fail "a reload restarted it"
say "reload: the configuration is read again by the same process"

mkdir -p "$FILES/$UNIT.d"
printf '[Service]\nWatchdogSec=2\n' >"$FILES/$UNIT.d/90-watchdog.conf"
expect "runs" coditect-sync service restart
before=$(pid)
kill -STOP "$before"
until_so "the watchdog ends a stopped daemon" is_another "$before"
say "SIGSTOP: the watchdog started it again, pid $(pid)"
rm "$FILES/$UNIT.d/90-watchdog.conf"
systemctl --user daemon-reload


# The pulse is a third of the watchdog's time, and the program is looked at with it; 6 s stand for the ordinary minute.
printf '[Service]\nWatchdogSec=6\n' >"$FILES/$UNIT.d/90-watchdog.conf"
expect "runs" coditect-sync service restart
before=$(pid)
cp /opt/coditect/programs/coditect-syncd /opt/coditect/programs/new
mv /opt/coditect/programs/new /opt/coditect/programs/coditect-syncd
until_so "a replaced program starts itself again" is_another "$before"
grep -q "was replaced" "$STATE"/logs/* || fail "the log does not say why"
say "upgrade in place: it noticed its new program and was started again, pid $(pid), Result=$(shows Result)"
rm "$FILES/$UNIT.d/90-watchdog.conf"
systemctl --user daemon-reload


# Wrong configuration: it ends with 78 and is not tried again.
echo '{"cloud_sync": {"batch_size": 0}}' >.coditect/config/config.json
systemctl --user restart $UNIT 2>/dev/null
is_failed() { [ "$(shows ActiveState)" = failed ]; }
until_so "a wrong configuration is a failure" is_failed
[ "$(shows ExecMainStatus)" = 78 ] || fail "it ended with $(shows ExecMainStatus)"
[ "$(shows NRestarts)" = 0 ] || fail "it was tried again"
said=$(coditect-sync service start 2>&1) && fail "a wrong configuration started"
case $said in *batch_size*) ;; *) fail "service start does not say why: $said" ;; esac
say "wrong configuration: exit 78, not tried again; service start says why"
echo '{"cloud_sync": {"api_url": "http://127.0.0.1:9"}}' >.coditect/config/config.json
expect "runs" coditect-sync service start

# A lack that lasts, and is over at last; it takes more than a minute to see that systemd does not give up.
if [ -e /out/long ]; then
    printf '[Service]\nLimitNOFILE=8\n' >"$FILES/$UNIT.d/90-lack.conf"
    systemctl --user daemon-reload
    systemctl --user restart --no-block $UNIT
    begun=$SECONDS
    tries_again() { case $(shows StatusText) in "tries again in"*"too many open files"* | "tries again in"*"Too many open files"*) ;; *) return 1 ;; esac }
    until_so "it says what it lacks" tries_again
    lacks=$(shows StatusText)
    failed_six_times() { [ "$(shows NRestarts)" -ge 6 ]; }
    for _ in 1 2 3; do failed_six_times || sleep 20; done
    until_so "it failed six times" failed_six_times
    [ $((SECONDS - begun)) -ge 60 ] || fail "it is started again too soon: $(shows NRestarts) times in $((SECONDS - begun)) s"
    rm "$FILES/$UNIT.d/90-lack.conf"
    systemctl --user daemon-reload
    until_so "it runs again by itself" coditect-sync --quiet status
    say "no descriptors: \"$lacks\"; started again $(shows NRestarts) times, and runs by itself when there are some"
fi

before=$(pid)
expect "installed and runs" coditect-sync service install --socket-activated
[ "$(pid)" != "$before" ] || fail "it still runs with a socket of its own"
[ "$(systemctl --user is-enabled $UNIT)" = disabled ] || fail "the service is enabled as well"
expect "the daemon has stopped" coditect-sync stop
expect "started for the first who asks" coditect-sync service status
[ "$(pid)" = 0 ] || fail "asking for the service's status started it"
begun=$(date +%s%N)
expect "daemon" coditect-sync status
say "socket-activated: the first question started it and was answered in $((($(date +%s%N) - begun) / 1000000)) ms, pid $(pid)"
kill -KILL "$(pid)"
expect "daemon" coditect-sync status
say "socket-activated: asked right after kill -9, it answers, pid $(pid)"
expect "has stopped" coditect-sync service stop
[ ! -e "$STATE/sync.sock" ] || fail "the socket is left"
expect "runs" coditect-sync service start
expect "installed and runs" coditect-sync service install
[ ! -e "$FILES/coditect-sync.socket" ] || fail "the socket's unit is left"
[ "$(systemctl --user is-enabled $UNIT)" = enabled ] || fail "the service is not enabled"
say "service install without it: the service is started with the session again"
expect "installed and runs" coditect-sync service install --socket-activated

expect "the data stays" coditect-sync service uninstall
left=$(find .config -type f -o -type l | grep -c coditect)
[ "$left" = 0 ] || fail "left: $(find .config)"
[ "$(systemctl --user list-units --all --plain --no-legend 'coditect-sync*' | wc -l)" = 0 ] || fail "the manager still knows it"
[ ! -e "$STATE/sync.sock" ] && [ -e "$STATE/sync.db" ] || fail "not just the data is left"
say "service uninstall: nothing is left but data: $(cd && echo .coditect* .local/state/*)"

# The same from where `cargo install` puts programs: inside the home, and found there by the search path alone.
mkdir -p .cargo/bin
cp /opt/coditect/programs/coditect-sync /opt/coditect/programs/coditect-syncd .cargo/bin
PATH=$HOME/.cargo/bin:/usr/bin:/bin
hash -r
expect "installed and runs" coditect-sync service install
run_by=$(shows ExecStart)
case $run_by in *"path=$HOME/.cargo/bin/coditect-syncd ;"*) ;; *) fail "the unit starts another program: $run_by" ;; esac
[ -e "$FILES/$UNIT.d/50-sandbox.conf" ] || fail "the stricter sandbox was left out: $(coditect-sync service install --dry-run 2>&1 | grep sandbox)"
program() { readlink "/proc/$(pid)/exe"; }
[ "$(program)" = "$HOME/.cargo/bin/coditect-syncd" ] || fail "another program runs: $(program)"
before=$(pid)
kill -KILL "$before"
until_so "it is started again after kill -9" is_another "$before"
[ "$(program)" = "$HOME/.cargo/bin/coditect-syncd" ] || fail "another program runs: $(program)"
say "from ~/.cargo/bin: kill -9: started again, pid $(pid), $(grep ^ExecStart= "$FILES/$UNIT")"
cp "$FILES/$UNIT" unit
expect "the data stays" coditect-sync service uninstall
left=$(find .config -type f -o -type l | grep -c coditect)
[ "$left" = 0 ] || fail "left: $(find .config)"
[ "$(systemctl --user list-units --all --plain --no-legend 'coditect-sync*' | wc -l)" = 0 ] || fail "the manager still knows it"
[ -x .cargo/bin/coditect-syncd ] || fail "the program itself is gone"
say "from ~/.cargo/bin: service uninstall: the programs are left to cargo"

# A unit that is not of `service install`, where packages may put one too.
mkdir -p .local/share/systemd/user
mv unit .local/share/systemd/user/$UNIT
systemctl --user daemon-reload
systemctl --user --quiet enable --now $UNIT || fail "not enabled"
until_so "it runs" coditect-sync --quiet status
expect ".local/share/systemd/user/$UNIT\`, not of" coditect-sync service status
before=$(pid)
expect "runs" coditect-sync service restart
[ "$(pid)" != "$before" ] || fail "not restarted"
case $(coditect-sync doctor) in *"service is installed"*".local/share"*) ;; *) fail "doctor: $(coditect-sync doctor)" ;; esac
said=$(coditect-sync service uninstall 2>&1) && fail "a unit of somebody else was uninstalled"
case $said in *".local/share"*"disable --now"*) ;; *) fail "service uninstall: $said" ;; esac
said=$(XDG_CONFIG_HOME=$HOME/xdg coditect-sync service install 2>&1) && fail "installed where nobody looks"
case $said in *XDG_CONFIG_HOME*) ;; *) fail "service install: $said" ;; esac
[ ! -e xdg ] || fail "written where nobody looks: $(find xdg)"
expect "installed and runs" coditect-sync service install
case $(shows FragmentPath) in "$FILES/$UNIT") ;; *) fail "the other unit is in force: $(shows FragmentPath)" ;; esac
expect "the data stays" coditect-sync service uninstall
case $(shows FragmentPath) in *.local/share*) ;; *) fail "the other unit is gone: $(shows FragmentPath)" ;; esac
expect "the daemon runs" coditect-sync service start
expect "has stopped" coditect-sync service stop
say "a unit that a package brought: status, restart, doctor and stop know it, uninstall leaves it alone"
