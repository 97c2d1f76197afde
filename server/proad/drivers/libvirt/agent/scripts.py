"""What is run by the shells of guests: POSIX alone, and without variables, which might be the
command's own.
"""

SHELL = "/bin/sh"

PROBE = r"""
command -v setsid || echo
cat /proc/$$/environ 2>/dev/null || env | tr '\n' '\0'
"""
"""Say what there is to begin a session with, and the environment of the agent."""

NO_PROGRAM = b"no program\n"
"""What the scripts say where the program is not there."""

NOT_EXECUTABLE = b"not executable\n"
"""What the scripts say where it is there, and cannot be executed."""

# One process alone: to begin one costs as much as the command itself, where that is short. What it
# sets is gone with it.
_CHECK = r"""
(
    IFS=:
    set -f
    case $PROGRAM in
    */*)
        [ -e "$PROGRAM" ] || { echo no program; exit 1; }
        [ -f "$PROGRAM" ] && [ -x "$PROGRAM" ]
        ;;
    *)
        found=
        for at in $PATH; do
            [ -f "${at:-.}/$PROGRAM" ] || continue
            found=file
            [ -x "${at:-.}/$PROGRAM" ] && found=yes && break
        done
        [ "$found" ] || { echo no program; exit 1; }
        [ "$found" = yes ]
        ;;
    esac || { echo not executable; exit 1; }
    THEN
) || exit 1
"""

MAKE_FOLDER = r"""
umask 077
PATH=/usr/bin:/bin:$PATH
exec mkdir "$1"
"""
"""Make the folder $1."""

_INPUT = r"""
exec <"$1/0"
"""

# The file of the standard output comes last: once it is there, the command is about to begin.
_BEGIN = r"""
exec 2>"$1/2" >"$1/1"
shift
"""

# Whoever leads a session already must not begin another: setsid would take another process for it.
_IN_SESSION = r"""
kill -0 -$$ 2>/dev/null && shift
"""

_EXECUTE = r"""
exec "$@"
"""

END = r"""
if [ "$2" ] && { [ -z "$3" ] || [ -d "$1" ]; }; then
    kill -KILL "-$2" 2>/dev/null || kill -KILL "$2" 2>/dev/null
fi
[ -z "$1" ] || rm -rf "$1"
"""
"""Kill the process $2 with its group, and remove the folder $1; either may be empty.

With $3, kill it only if the folder is there: in a guest that was reverted, another may have its number.
"""

SIGNAL = r"""
kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2"
"""
"""Send the signal $1 to the group $2, or to the process if that leads none yet."""

# What a shell begins beside itself ignores SIGINT and SIGQUIT.
_DETACH = r"""
"$@" </dev/null >/dev/null 2>&1 &
echo $!
"""


def run(*, session: bool, input: bool) -> str:
    """Return the script that becomes a command, with its output in files of the folder $1.

    Args:
        session: whether $2 is setsid, so that the command leads a group of its own; the command
            comes after that.
        input: whether the folder is there, with its standard input in it.
    """
    return "".join(
        (
            _check("$3" if session else "$2", "" if input else MAKE_FOLDER),
            _INPUT if input else "",
            _BEGIN,
            _IN_SESSION if session else "",
            _EXECUTE,
        )
    )


def detach(*, session: bool) -> str:
    """Return the script that leaves a command behind, and says its process id.

    Args:
        session: whether $1 is setsid; the command comes after that.
    """
    return _check("$2" if session else "$1", "") + _DETACH


def _check(program: str, then: str) -> str:
    """Return the part that ends a script whose program is not there, and does `then` otherwise."""
    return _CHECK.replace("$PROGRAM", program).replace("THEN", then)
