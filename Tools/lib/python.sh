# The Python packages of the oracles and the benchmark. Sourced after prepare.sh.

readonly venv=$root/.build/venv requirements=$root/Tools/oracle/requirements.txt

# Makes the environment, anew when the list of packages or Debian's Python changes.
need_venv() {
    local wanted
    wanted=$(/usr/bin/python3 --version && cat "$requirements") || exit $EX_UNAVAILABLE
    [ "$(cat "$venv/han.stamp" 2>/dev/null)" = "$wanted" ] && return
    say "installing the Python packages of Tools/oracle/requirements.txt"
    rm -f "$venv/han.stamp"
    /usr/bin/python3 -m venv --clear "$venv" </dev/null >&2 &&
        "$venv/bin/pip" install -q --disable-pip-version-check --no-input -r "$requirements" \
            </dev/null >&2 ||
        fail $EX_UNAVAILABLE "the Python packages could not be installed; the reason is above"
    printf '%s\n' "$wanted" >"$venv/han.stamp"
}
