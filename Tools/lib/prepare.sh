# What Tools/han, Tools/test and Tools/bench share: Debian packages, the toolchain, the build and its lock.
# Sourced by bash, with `set -u`. Sets root, binary and swift. Writes to standard error only.

# A descriptor that the caller closed would be handed to the next file that is opened, and that
# file would then receive the messages.
true >&2 || exec 2>/dev/null

say() { printf 'han: %s\n' "$*" >&2; }

# fail CODE MESSAGE: one line, then out. The codes are those of sysexits(3).
fail() {
    local code=$1
    shift
    say "$*"
    exit "$code"
}

readonly EX_UNAVAILABLE=69 EX_SOFTWARE=70 EX_IOERR=74

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/Tools/lib/prepare.sh}
binary=$root/.build/release/han
stamp=$root/.build/han.stamp
readonly root binary stamp

# The toolchain keeps caches in the home, and a service account may have none.
home=${HOME:-}
[ -w "$home" ] || home=$root/.build

# What a bare Debian 12 lacks to build the program. The lib* without -dev are the toolchain's own.
readonly build_packages=(
    binutils ca-certificates git libc6-dev libcurl4-openssl-dev libncurses6 libsqlite3-dev
    libssl-dev libstdc++-12-dev libxml2-dev libxmlsec1-dev libxmlsec1-openssl libzmq3-dev pkgconf
)

# missing_packages NAME...: sets `missing` to those that are not installed. Elsewhere than on
# Debian nothing can be asked, and the build itself tells what is not there.
missing_packages() {
    missing=()
    command -v dpkg-query >/dev/null || return 0
    local known name
    known=$(dpkg-query -Wf '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null)
    known=$'\n'$known$'\n'
    for name; do
        [[ $known == *$'\n'"installed $name"$'\n'* ]] || missing+=("$name")
    done
}

# Installs what missing_packages found, as root or through sudo, or says who has to do it.
install_missing() {
    local as
    local apt=(apt-get -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)
    local line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$EUID" -eq 0 ]; then
        as=(env)
    elif ! command -v sudo >/dev/null; then
        fail $EX_UNAVAILABLE "Debian packages are missing, and this is neither root nor is there" \
            "sudo; run as root: $line"
    elif sudo -n true 2>/dev/null; then
        as=(sudo -n env)
    elif [ -t 0 ] && [ -t 2 ]; then
        as=(sudo env)
    else
        fail $EX_UNAVAILABLE "Debian packages are missing, and sudo wants a password but there is" \
            "no terminal to ask at; run as root: $line"
    fi
    say "installing Debian packages: ${missing[*]}"
    as+=(DEBIAN_FRONTEND=noninteractive)
    # A dead third-party source fails the update and need not matter to these packages. What a
    # package starts in the background must not inherit the lock.
    "${as[@]}" "${apt[@]}" -q update </dev/null >&2 9>&- ||
        say "apt-get update failed; trying all the same"
    "${as[@]}" "${apt[@]}" -q install -y --no-install-recommends "${missing[@]}" \
        </dev/null >&2 9>&- ||
        fail $EX_UNAVAILABLE "the packages could not be installed (apt-get's reason is above);" \
            "run as root: $line"
}

# Installs those of the packages that are not there; only one at a time for this checkout.
need_packages() {
    missing_packages "$@"
    [ ${#missing[@]} -gt 0 ] || return 0
    take_lock
    missing_packages "$@"
    [ ${#missing[@]} -eq 0 ] || install_missing
}

locked=
# Waits for whoever else prepares this checkout. Descriptor 9 is the lock; it is inherited by the
# build, so that a build which outlives a killed script still keeps others out.
take_lock() {
    [ -z "$locked" ] || return 0
    mkdir -p "$root/.build" 2>/dev/null
    [ -w "$root/.build" ] || return 0
    { exec 9>"$root/.build/han.lock"; } 2>/dev/null || return 0
    if ! flock -n 9; then
        say "another Tools/han or Tools/test is preparing this checkout; waiting for it"
        flock 9
    fi
    locked=yes
}

drop_lock() {
    [ -z "$locked" ] || exec 9>&-
    locked=
}

# The toolchain that would build, if there is one, and what tells it from another one.
find_swift() {
    swift=${SWIFT:-$(type -P swift)}
    toolchain=
    [ -x "$swift" ] || return 0
    toolchain=$(stat -Lc '%s %Y' -- "$swift")
    # swiftly's `swift` is the same file for every toolchain; its choice is in this one.
    if [[ $(readlink -f -- "$swift") == */swiftly ]]; then
        local home=${SWIFTLY_HOME_DIR:-${HOME:-}/.local/share/swiftly}
        toolchain+=" $(stat -Lc '%s %Y' -- "$home/config.json" 2>/dev/null)"
    fi
    export SWIFT=$swift
}

# Whether the binary is what the sources and the toolchain would give. Without a toolchain a
# binary that is newer than the sources is good enough.
is_built() {
    [ -x "$binary" ] && [ -f "$stamp" ] || return 1
    [ -z "$toolchain" ] || [ "$(<"$stamp")" = "$toolchain" ] || return 1
    # What cannot be looked through may be newer.
    local newer
    newer=$(find "$root/Package.swift" "$root/Sources" "$root/Tools/lib" -newer "$stamp" \
        -print -quit) && [ -z "$newer" ]
}

# The toolchain must be there, start and be new enough before it is let loose on the sources.
check_swift() {
    [ -n "$toolchain" ] ||
        fail $EX_UNAVAILABLE "no Swift toolchain: put the swift of Swift 6.3 on PATH, or name it" \
            "in the variable SWIFT (https://www.swift.org/install)"
    local version
    version=$("$swift" --version </dev/null 2>&1)
    [[ $version =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]] ||
        fail $EX_UNAVAILABLE "$swift does not work: ${version%%$'\n'*}"
    ((BASH_REMATCH[1] * 100 + BASH_REMATCH[2] >= 603)) ||
        fail $EX_UNAVAILABLE "$swift is Swift ${BASH_REMATCH[1]}.${BASH_REMATCH[2]}; 6.3 or later" \
            "is needed"
}

# compile PRODUCT [OPTION...]: builds in release mode. The compiler gets a process group of its own, so that
# a signal to this script ends all of it before the script goes.
compile() {
    local child code received=
    trap 'received=INT' INT
    trap 'received=TERM' TERM
    trap 'received=HUP' HUP
    set -m
    HOME=$home "$swift" build -c release --package-path "$root" --product "$@" </dev/null >&2 &
    child=$!
    set +m
    wait "$child"
    code=$?
    if [ -n "$received" ]; then
        # SIGINT is the one that swift build passes on to the compilers it has started.
        kill -INT -- "-$child" 2>/dev/null
        wait "$child" 2>/dev/null
        say "the build was interrupted; the next start carries on with it"
        trap - INT TERM HUP
        kill -s "$received" "$$"
    fi
    trap - INT TERM HUP
    [ "$code" -eq 0 ] ||
        fail $EX_SOFTWARE "the build failed (swift build ended with $code); the errors are above"
}

# Builds the program if it is older than what it is made from.
need_han() {
    find_swift
    is_built && return
    check_swift
    take_lock
    is_built && return
    [ -n "$locked" ] ||
        fail $EX_IOERR "$root/.build cannot be written, and the program in it is missing or older" \
            "than its sources"
    if [ -x "$binary" ]; then
        say "the sources have changed; building"
    else
        say "building for the first time, which takes some minutes"
    fi
    # Compiled modules name the folder they were made in and are useless in a moved checkout.
    local place=$root/.build/han.root
    if [ -f "$place" ] && [ "$(<"$place")" != "$root" ]; then
        rm -rf "$root"/.build/*-linux-*/release
    fi
    printf '%s\n' "$root" >"$place"
    # The stamp is as old as the start of the build: what is edited meanwhile is newer.
    rm -f "$stamp"
    printf '%s\n' "$toolchain" >"$stamp.new"
    SECONDS=0
    compile han
    mv "$stamp.new" "$stamp"
    say "built in $SECONDS s"
}
