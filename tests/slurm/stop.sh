#!/usr/bin/env bash
# Stops what start.sh started, by process id; `stop.sh --purge` also removes its files.
set -uo pipefail
cd "$(dirname "$0")"
source ./settings.sh

stop() { # stop PIDFILE
    [ -s "$1" ] || return 0
    local pid; pid=$(cat "$1")
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 100; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    rm -f "$1"
}

if ! grep -q 'lmrnn tests' "$ETC/slurm.conf" 2>/dev/null; then echo "slurm: nothing of the tests runs here"; exit 0; fi
squeue --noheader --format %A 2>/dev/null | sort -u | xargs --no-run-if-empty scancel 2>/dev/null
for file in "$DIR"/run/slurmd-*.pid; do stop "$file"; done
stop "$DIR/run/slurmctld.pid"; stop "$DIR/run/slurmdbd.pid"; stop "$DIR/run/mariadb.pid"
[ -e "$DIR/run/munge-is-ours" ] && stop /run/munge/munged.pid
if [ "${1:-}" = --purge ]; then rm -rf "$DIR" "$ETC"/{slurm,gres,slurmdbd,cgroup}.conf; fi
exit 0
