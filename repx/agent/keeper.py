"""The shell that starts a job inside of a sandbox, tells its process group to end, and waits for it; starts nothing.

A sandbox ends with its first process, and everything in it with that. So somebody in there has to wait for what a
script has started, as is done outside for a job that runs natively.
"""

from __future__ import annotations

OUT_OF_MEMORY = ".repx-out-of-memory"
"""A file in a sandbox's /tmp that says that the kernel has ended one of its processes for its memory."""

UNFINISHED = ".repx-unfinished"
"""A file in a sandbox's /tmp with the names of what still ran long after the script had ended, one a line."""

_GRACE_S = 4
_UNFINISHED_S = 30
"""Seconds to wait for a group to end: less than its worker has patience. By the clock, for a look may take long."""

# Job control is on only to start the job: it makes the group, and keeps SIGINT from being ignored in it.
_START = (
    # Whether a member of the group lives: what has ended and has nobody to reap it counts for nothing.
    "lives() { local place line rest; "
    'kill -0 -- "-$job" || return; for place in /proc/[0-9]*; do '
    'read -r line < "$place/stat" || continue; rest=(${line##*) }); '
    '[[ ${rest[2]} == "$job" && ${rest[0]} != Z ]] && return; done; return 1; }; '
    "job=; told=; status=; trap 'told=1; [[ $job ]] && kill -TERM -- \"-$job\"' TERM; "
    'set -m; "$@" %s & job=$!; set +m; exec 2>/dev/null; [[ $told ]] && kill -TERM -- "-$job"; '
)

# A pipe from which nothing comes is how a shell sleeps without another program.
_WAIT_FOR_GROUP = (
    "within() { last=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)); }; "
    "last=0; [[ $status == 0 ]] && within %d; [[ $told ]] && within %d; is_told=$told; "
    "if lives; then exec 4<> <(:); "
    "while lives && (( ${EPOCHREALTIME/[.,]/} < last )); do read -r -t 0.05 _ <&4; "
    "[[ $told && ! $is_told ]] && within %d && is_told=1; %sdone; "
    "if [[ ! $told && $status == 0 ]] && lives; then "
    "for place in /proc/[0-9]*; do read -r line < $place/stat; rest=(${line##*) }); "
    '[[ ${rest[2]} == "$job" && ${rest[0]} != Z ]] && name=${line#*\\(} && '
    'echo "${name%%)*} (process ${place#/proc/})"; done > /tmp/%s; fi; fi; '
    'if [[ ! $status ]]; then if kill -0 "$job"; then status=137; else wait "$job"; status=$?; fi; fi; '
)


def _wait_for_group(alive: str) -> str:
    return _WAIT_FOR_GROUP % (_UNFINISHED_S, _GRACE_S, _GRACE_S, alive, UNFINISHED)


KEEPER = (
    _START % ""
    + 'while [[ ! $told ]]; do wait "$job"; ended=$?; kill -0 "$job" || { status=$ended; break; }; done; '
    + _wait_for_group("")
    + "exit $status"
)
"""In bubblewrap, which dies with its worker."""

CONTAINER_KEEPER = (
    "exec 3<&0; unset HOSTNAME; "
    + _START % "</dev/null 3<&-"
    + "{ read -r _ <&3; } & end=$!; "
    + "while [[ ! $told ]]; do ended=; wait -n -p ended $job $end; was=$?; "
    + "case $ended in '') ;; $job) status=$was; break ;; *) exit 137 ;; esac; done; "
    + _wait_for_group("kill -0 $end || exit 137; ")
    + "for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do "
    + f'while read -r key count; do [[ $key == oom_kill && $count != 0 ]] && : > /tmp/{OUT_OF_MEMORY}; done < "$file"; '
    + "done; exit $status"
)
"""Process 1 of a container. It ends when its standard input does, and everything with it: the engine's client holds the
other end, and whoever is killed lets go of it. It gives a job that it has told to end less time than its own client is
given: a killed client would leave the container behind."""
