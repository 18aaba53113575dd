# Says something about a unit to every user manager that runs. One that does not answer holds up nothing and fails nothing:
# the package is in order without it.
tell_user_managers() {
    command -v systemctl >/dev/null 2>&1 && command -v runuser >/dev/null 2>&1 || return 0
    for folder in /run/user/*; do
        [ -S "$folder/systemd/private" ] || continue
        user=$(id -nu "${folder##*/}" 2>/dev/null) || continue
        timeout 20 runuser -u "$user" -- env XDG_RUNTIME_DIR="$folder" systemctl --user --quiet "$@" </dev/null || true
    done
}
