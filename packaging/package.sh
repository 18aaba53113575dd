#!/usr/bin/env bash
# Makes everything that is handed out, by one command: `packaging/package.sh all`, or a part of it by name.
#
#   programs      the release build, without a path of this machine in it
#   tar           programs, manual pages, completions, unit and documents for this platform
#   deb, rpm      the same as a package of Debian and of RPM's family
#   source        the source of the last commit, as it is built by others
#   sbom          what is linked in: a bill of materials (CycloneDX) and the licences' texts
#   formula       the Homebrew formula of the source
#   unit          prints the packaged systemd user unit
#   reproducible  makes it all once more in another folder and compares every byte
#   next          the deb and the rpm of the last commit under the next version's name, in target/next: something to upgrade to
#
# The results and their checksums are in target/dist. Needs git, cargo, a C compiler and python3; `deb` needs dpkg-deb, `rpm`
# needs rpmbuild, and both readelf. The same commit gives the same bytes wherever, whenever and by whomever it is built with
# the same Rust and C compiler; SOURCE_DATE_EPOCH is the commit's time unless it is given. PROFILE=dev packs an ordinary debug
# build instead, to work on the packages themselves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export LC_ALL=C TZ=UTC
umask 022

name=coditect-sync
programs=(coditect-sync coditect-syncd coditect-devcloud)
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
dist=$root/target/dist
stage=$dist/stage
profile=${PROFILE:-release}
# Where the programs are built; a folder that another checkout has built in has what it needs of others already.
build=${BUILD:-$root/target}
built=$build/${profile/dev/debug}
work=$dist/work
if [[ -z "${SOURCE_DATE_EPOCH:-}" ]]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "package.sh: $*"
    exit 1
}

needs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "there is no $program; install it and try again"
    done
}

host() { rustc -vV | sed -n 's/^host: //p'; }

# Gives every file below a folder the time of the commit, so that archives of it are equal.
date_all() { find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +; }

# A tar of a folder's content that depends on nothing but the content.
packed() {
    local folder=$1
    tar --directory "$folder" --sort=name --mtime "@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=gnu --create . | gzip -9n
}

make_programs() {
    needs cargo rustc
    if [[ $profile == dev ]]; then
        CARGO_TARGET_DIR="$build" cargo build --locked "${programs[@]/#/--package=}"
        return
    fi
    local cargo_home=${CARGO_HOME:-$HOME/.cargo} separator=$'\x1f'
    local places=("$root=/$name" "$cargo_home=/cargo" "$(rustc --print sysroot)=/rust")
    local place rust=() c=()
    for place in "${places[@]}"; do
        [[ $place != *' '* ]] || fail "a C compiler cannot be told of a folder with a space in its name: ${place%%=*}"
        rust+=("--remap-path-prefix=$place")
        c+=("-ffile-prefix-map=$place")
    done
    # Names of functions that are the same with another compiler, but for what order.py leaves out of them.
    rust+=("-Csymbol-mangling-version=v0")
    local flags
    flags=$(IFS=$separator; printf '%s' "${rust[*]}")
    built_with() {
        env -u RUSTFLAGS CARGO_ENCODED_RUSTFLAGS="$flags" CFLAGS="${c[*]} ${CFLAGS:-}" CARGO_INCREMENTAL=0 \
            CARGO_TARGET_DIR="$build" CODITECT_SYNC_ORDER="$1" \
            cargo build --release --locked "${programs[@]/#/--package=}"
    }
    built_with ''
    # The daemon once more with what it touches side by side, where the linker can do that; see ADR 37.
    if readelf -p .comment "$built/coditect-syncd" 2>/dev/null | grep LLD >/dev/null && command -v python3 nm >/dev/null; then
        mkdir -p "$work"
        nm -S "$built/coditect-syncd" | python3 packaging/order.py find packaging/touched.txt >"$work/order"
        built_with "$work/order"
    else
        say 'the functions of the daemon stay in their order: no LLD, readelf, nm or python3'
    fi
}

make_sbom() {
    needs python3 cargo
    mkdir -p "$work"
    python3 packaging/linked.py --target "$(host)" --version "$version" \
        --sbom "$dist/$name-$version.cdx.json" --licences "$work/third-party-licences.txt" -- "${programs[@]}"
}

# The unit that packages bring: the one of `service install`, with the program's place and nothing that is one user's.
print_unit() {
    sed -e '/^# @MARKER@$/d' \
        -e '/^# User unit of/,/^# `coditect-sync service`/c\# User unit of the coditect-sync daemon, not enabled by itself: `systemctl --user enable --now coditect-sync`.\n# `coditect-sync service install` writes one of the same name for its user that takes precedence, and hardens it further.' \
        -e 's|^ExecStart=.*|ExecStart=/usr/bin/coditect-syncd|' \
        -e '/^# Shared with other coditect tools/d' \
        -e '/^Environment="CODITECT_DATA_DIR=/d' \
        systemd/coditect-sync.service >"$1"
    if grep -n '@[A-Z_]*@' "$1" >&2; then
        fail 'systemd/coditect-sync.service has a place that the packaged unit does not know'
    fi
}

make_stage() {
    make_programs
    make_sbom
    rm -rf "$stage"
    mkdir -p "$stage/bin" "$stage/share/man/man1" "$stage/share/doc/$name"
    local program
    for program in "${programs[@]}"; do
        install -m 755 "$built/$program" "$stage/bin/$program"
    done
    local man=$stage/share/man/man1
    "$stage/bin/coditect-sync" --quiet man --dir "$man"
    "$stage/bin/coditect-syncd" man >"$man/coditect-syncd.1"
    "$stage/bin/coditect-devcloud" --man >"$man/coditect-devcloud.1"
    gzip -9n "$man"/*.1
    local shell file
    for shell in bash:bash-completion/completions/$name zsh:zsh/site-functions/_$name fish:fish/vendor_completions.d/$name.fish; do
        file=$stage/share/${shell#*:}
        mkdir -p "$(dirname "$file")"
        "$stage/bin/coditect-sync" completions "${shell%%:*}" >"$file"
    done
    case $(host) in
        *linux*)
            mkdir -p "$stage/lib/systemd/user"
            print_unit "$stage/lib/systemd/user/$name.service"
            ;;
    esac
    local doc=$stage/share/doc/$name
    install -m 644 README.md LICENSE LICENSE-APACHE LICENSE-MIT docs/OPERATIONS.md docs/exit-codes.md docs/json.md \
        docs/control-api.yaml config/config.example.json config/config.schema.json \
        "$work/third-party-licences.txt" "$doc"
    gzip -9n "$doc/third-party-licences.txt"
    gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
    install -m 644 "$dist/$name-$version.cdx.json" "$doc/sbom.cdx.json"
    find "$stage" -type d -exec chmod 755 {} +
    find "$stage" -type f ! -path '*/bin/*' -exec chmod 644 {} +
    date_all "$stage"
}

make_tar() {
    local into=$work/tar
    rm -rf "$into"
    mkdir -p "$into"
    cp -a "$stage" "$into/$name-$version"
    packed "$into" >"$dist/$name-$version-$(host).tar.gz"
}

# The oldest C library that has all that the programs ask for.
oldest_libc() {
    needs readelf
    readelf --version-info --wide "$stage"/bin/* | grep -o 'GLIBC_2\.[0-9]*' | sort -t. -k2 -nu | tail -n 1 | cut -d_ -f2
}

make_deb() {
    needs dpkg-deb readelf
    local into=$work/deb arch
    case $(host) in
        x86_64-*linux-gnu) arch=amd64 ;;
        aarch64-*linux-gnu) arch=arm64 ;;
        *) fail "there is no Debian architecture for $(host)" ;;
    esac
    rm -rf "$into"
    mkdir -p "$into/DEBIAN"
    cp -a "$stage" "$into/usr"
    mv "$into/usr/share/zsh/site-functions" "$into/usr/share/zsh/vendor-completions"
    local doc=$into/usr/share/doc/$name
    rm "$doc/LICENSE" "$doc/LICENSE-APACHE"
    install -m 644 packaging/deb/copyright "$doc/copyright"
    mkdir -p "$into/usr/share/lintian/overrides"
    install -m 644 packaging/deb/lintian-overrides "$into/usr/share/lintian/overrides/$name"
    printf '%s (%s-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- %s  %s\n' "$name" "$version" \
        "$(sed -n 's/^Maintainer: //p' packaging/deb/control.in)" "$(date --rfc-email --date "@$SOURCE_DATE_EPOCH")" |
        gzip -9n >"$doc/changelog.Debian.gz"
    local needs="libc6 (>= $(oldest_libc))"
    # To its end: one that stops reading ends readelf by a signal now and then, which is no answer.
    if readelf --dynamic --wide "$into"/usr/bin/* | grep 'NEEDED.*libgcc_s' >/dev/null; then
        needs+=', libgcc-s1'
    fi
    local size
    size=$(find "$into/usr" -type f -printf '%s\n' | awk '{ sum += int(($1 + 1023) / 1024) } END { print sum }')
    sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@DEPENDS@/$needs/" -e "s/@SIZE@/$size/" \
        packaging/deb/control.in >"$into/DEBIAN/control"
    local script
    for script in postinst prerm; do
        sed -e '/^@USER_SERVICES@$/{r packaging/linux/user-services.sh
d}' "packaging/deb/$script.in" >"$into/DEBIAN/$script"
    done
    (cd "$into" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$into/DEBIAN/md5sums"
    chmod 644 "$into/DEBIAN"/{control,md5sums}
    chmod 755 "$into/DEBIAN"/{postinst,prerm}
    find "$into" -type d -exec chmod 755 {} +
    date_all "$into"
    local effort=9
    [[ $profile == dev ]] && effort=0
    dpkg-deb --root-owner-group -Zxz "-z$effort" --threads-max=1 --build "$into" "$dist/${name}_$version-1_$arch.deb" >&2
}

make_rpm() {
    needs rpmbuild
    local into=$work/rpm arch
    arch=$(host)
    arch=${arch%%-*}
    rm -rf "$into"
    mkdir -p "$into/SPECS"
    sed -e "s/@VERSION@/$version/" -e "s|@STAGE@|$stage|" -e "s/@DATE@/$(date --date "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')/" \
        -e '/^@USER_SERVICES@$/{r packaging/linux/user-services.sh
d}' packaging/rpm/$name.spec.in >"$into/SPECS/$name.spec"
    local payload=w6.xzdio
    [[ $profile == dev ]] && payload=w1.gzdio
    rpmbuild --quiet -bb --target "$arch-linux" --define "_topdir $into" --define '_buildhost localhost' \
        --define 'use_source_date_epoch_as_buildtime 1' --define 'clamp_mtime_to_source_date_epoch 1' \
        --define "_binary_payload $payload" --define '_build_id_links none' --define 'debug_package %{nil}' \
        --define '__os_install_post %{nil}' --define '_docdir /usr/share/doc' "$into/SPECS/$name.spec" >&2
    cp "$into"/RPMS/*/*.rpm "$dist/"
}

make_source() {
    git archive --format=tar --prefix="$name-$version/" HEAD | gzip -9n >"$dist/$name-$version.tar.gz"
}

make_formula() {
    local sum
    sum=$(sha256sum "$dist/$name-$version.tar.gz" | cut -d' ' -f1)
    sed -e "s/@VERSION@/$version/g" -e "s/@SHA256@/$sum/" packaging/homebrew/$name.rb.in >"$dist/$name.rb"
}

sums() {
    rm -f "$dist/SHA256SUMS"
    (cd "$dist" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
    cat "$dist/SHA256SUMS"
}

# Makes everything of the last commit, and makes it again from nothing in a clone elsewhere, with another time zone and umask.
compare_builds() {
    git diff --quiet HEAD || fail 'there are uncommitted changes, which a clone does not have'
    # Not local: it is needed at the very end.
    elsewhere=$(mktemp -d)
    trap 'rm -rf "$elsewhere"' EXIT
    make_all >"$elsewhere/first"
    git clone --quiet --no-hardlinks "$root" "$elsewhere/in-a-place-with-a-longer-name/clone"
    (umask 077 && env -u SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=Asia/Tokyo \
        "$elsewhere/in-a-place-with-a-longer-name/clone/packaging/package.sh" all) >"$elsewhere/second"
    if ! diff "$elsewhere/first" "$elsewhere/second"; then
        fail 'the two builds differ'
    fi
    cat "$elsewhere/first"
    say 'both builds are equal, byte for byte'
}

# The last commit with a higher version and nothing else changed, packed from a clone of its own.
make_next() {
    local clone=$root/target/next/clone next=${version%.*}.$((${version##*.} + 1))
    rm -rf "$root/target/next"
    git clone --quiet --no-hardlinks "$root" "$clone"
    sed -i "/^\[workspace.package\]/,/^\[/s/^version = .*/version = \"$next\"/" "$clone/Cargo.toml"
    (cd "$clone" && cargo update --quiet --offline --workspace)
    local kind
    for kind in deb rpm; do
        BUILD=$build "$clone/packaging/package.sh" "$kind" >/dev/null
    done
    mv "$clone"/target/dist/*.{deb,rpm} "$root/target/next/"
    rm -rf "$clone"
    ls "$root/target/next"
}

make_all() {
    rm -rf "$dist"
    mkdir -p "$dist" "$work"
    make_source
    make_formula
    make_stage
    make_tar
    case $(host) in
        *linux*)
            make_deb
            make_rpm
            ;;
    esac
    sums
}

mkdir -p "$dist" "$work"
case "${1:-}" in
    programs) make_programs ;;
    sbom) make_sbom ;;
    tar | deb | rpm)
        make_stage
        "make_$1"
        sums
        ;;
    source) make_source ;;
    formula)
        make_source
        make_formula
        ;;
    unit)
        print_unit "$work/unit"
        cat "$work/unit"
        ;;
    all) make_all ;;
    reproducible) compare_builds ;;
    next) make_next ;;
    *)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
        exit 64
        ;;
esac
