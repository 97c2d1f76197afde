"""What the shells of guests do with files: POSIX, with `stat -c` and `readlink`."""

from proad.drivers.posix_files import script

STAT = script(
    r"""
[ -e "$1" ] || [ -L "$1" ] || exit 91
stat -c "STATUS" -- "$1" || exit 1
[ ! -L "$1" ] || exec readlink -- "$1"
""",
    "stat",
    "readlink",
)
"""Tell of the file $1, and of a link where it leads."""

REGULAR = script(
    r"""
[ -e "$1" ] || exit 91
[ -f "$1" ] || exit 94
exec stat -L -c "STATUS" -- "$1"
""",
    "stat",
)
"""Tell of the regular file $1."""

# That of busybox takes a relative link that leads nowhere for one of its working folder when it is
# to follow links. What readlink ends with, and the x behind it, are no part of a name.
BEGIN = script(
    r"""
at=$1
count=0
while [ -L "$at" ]; do
    count=$((count + 1))
    [ "$count" -le 40 ] || exit 91
    next=$(readlink -- "$at" && echo x) || exit 91
    next=${next%??}
    case $next in
    /*) at=$next ;;
    *) at=${at%/*}/$next ;;
    esac
done
folder=${at%/*}
[ -e "$folder/" ] || [ -e "${folder:-/}" ] || exit 91
[ -d "$folder/" ] || exit 92
if [ -e "$at" ]; then
    [ -f "$at" ] || exit 94
    [ "$3" ] || exit 95
fi
umask 077
set -C
: >"$folder/$2" || exit 1
printf '%s\0' "$folder/$2" "$at"
""",
    "readlink",
)
"""Make an empty file of the name $2 beside the file $1, and say its path and where $1 leads.

With an empty $3, there must be no $1.
"""

PLACE = script(
    r"""
[ "$(stat -c %s -- "$2")" = "$7" ] || { echo "the file has another size by now" >&2; exit 1; }
[ -z "$5" ] || chown -- "$5" "$2" || exit 1
[ -z "$6" ] || chgrp -- "$6" "$2" || exit 1
chmod -- "$4" "$2" || exit 1
[ ! -d "$1" ] || exit 94
if [ -z "$3" ]; then
    if ln -- "$2" "$1" 2>/dev/null; then
        exec rm -f -- "$2"
    fi
    [ ! -e "$1" ] || exit 95
fi
exec mv -f -- "$2" "$1"
""",
    *("stat", "chown", "chgrp", "chmod", "ln", "rm", "mv"),
)
"""Put the file $2 in the place of $1, with the permissions $4, the owner $5, the group $6 and the
size $7. With an empty $3, there must be no $1."""

MAKE = script(
    r"""
if [ -e "$1" ] || [ -L "$1" ]; then
    [ "$2" ] && [ -d "$1" ] && exit 0
    exit 95
fi
above=${1%/*}/
[ "$2" ] || [ -e "${1%/*}" ] || [ "$above" = / ] || exit 91
[ "$2" ] || [ -d "$above" ] || exit 92
mode=$3
make() {
    if [ -z "$1" ] || [ -d "$1" ]; then
        return 0
    fi
    make "${1%/*}" && mkdir -m "$mode" -- "$1"
}
make "$1"
""",
    "mkdir",
)
"""Make the directory $1 with the permissions $3, and those above it unless $2 is empty."""

REMOVE = r"""
rm -f -- "$1"
"""
"""Remove the file $1."""
