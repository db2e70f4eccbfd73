#!/usr/bin/env bash
# Run the tests as an ordinary user: what pgusher may not read, it must say, and nothing may need root by accident.
# The user is made for it, works in a copy of the tree (this one may lie where it may not look), and is removed again
# with all that it left. A process that it leaves running is a failure, as a test must stop what it starts.
set -euo pipefail

[ "$(id -u)" -eq 0 ] || { echo "test-as-user: only root can make the user; as an ordinary user run make test" >&2; exit 2; }
cd "$(dirname "$0")/.."

user="pgu-$$"
home=$(mktemp -d /tmp/pgu.XXXX) # short: paths of unix sockets below it may have 107 bytes

# A zombie runs no more: who adopted it has not waited for it yet.
left() { { ps -o stat=,pid=,args= -u "$user" || true; } | sed -n 's/^[^Z ][^ ]* *//p'; }
clean_up() {
    # By pid, and only those of the user that we made; until the last is gone, as a user in use cannot be removed.
    local tries
    for tries in $(seq 50); do
        [ -n "$(left)" ] || break
        left | while read -r pid _; do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.2
    done
    userdel "$user" || echo "test-as-user: could not remove the user $user after $tries tries" >&2
    rm -rf "$home"
}
useradd --system --user-group --home-dir "$home" --shell /bin/sh "$user"
trap clean_up EXIT
trap 'exit 130' INT TERM

# The files that git knows or would add, and the fetched servers, which need not be fetched twice.
mkdir "$home/tree"
git ls-files -z --cached --others --exclude-standard | { xargs -0r ls -d 2>/dev/null || true; } \
    | tar --no-recursion -cf - -T - | tar -xf - -C "$home/tree"
if [ -d .cache/postgres ]; then mkdir "$home/tree/.cache"; cp -a .cache/postgres "$home/tree/.cache/"; fi
git -C "$home/tree" init -q 2>/dev/null && git -C "$home/tree" add -A
chown -R "$user:" "$home"
chmod 755 "$home"

# root's own Python may lie in its home; the user takes what the system offers to everybody.
status=0
runuser -u "$user" -- env -u PYENV_ROOT -u MAKEFLAGS -u MAKELEVEL -u PYTHON \
    HOME="$home" TMPDIR="$home" PATH=/usr/local/bin:/usr/bin:/bin \
    make -C "$home/tree" --no-print-directory test ARGS="${ARGS:-}" ${PYTHONS:+PYTHONS="$PYTHONS"} || status=$?

survivors=$(left)
if [ -n "$survivors" ]; then
    printf 'test-as-user: these processes were left running:\n%s\n' "$survivors" >&2
    status=1
fi
exit "$status"
