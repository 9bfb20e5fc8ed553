#!/usr/bin/env bash
# A whole Slurm cluster on one machine, from Debian packages alone: munge, slurmctld, four slurmd, slurmdbd on MariaDB.
# For tests only. Needs root (or a container). Running it again starts only what does not run.
# LMRNN_SLURM_DIR holds state, logs and process ids (/var/tmp/lmrnn-slurm). CPUs, memory and GPUs are pretended.
set -euo pipefail
cd "$(dirname "$0")"
source ./settings.sh
started=$SECONDS

note() { echo "slurm: $* ($((SECONDS - started)) s)"; }
running() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }
wait_until() { # wait_until SECONDS WHAT COMMAND...
    local tries=$(($1 * 10)) what=$2; shift 2
    for ((i = 0; i < tries; i++)); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    echo "slurm: gave up waiting for $what; logs are in $DIR/log" >&2; exit 1
}

install_packages() {
    local missing=()
    for package in munge slurmctld slurmd slurm-client slurmdbd mariadb-server; do
        dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    # Daemons are started below by hand: the packages must not start them with the distribution's settings.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    note "installed ${missing[*]}"
}

start_munge() {
    if [ ! -s /etc/munge/munge.key ]; then
        head -c 1024 /dev/urandom >/etc/munge/munge.key
        chown munge: /etc/munge/munge.key; chmod 400 /etc/munge/munge.key
    fi
    round_trip() { munge --no-input | unmunge; }
    round_trip >/dev/null 2>&1 && return
    install -d -o munge -g munge -m 755 /run/munge
    install -d -o munge -g munge -m 700 /var/log/munge
    install -d -o munge -g munge -m 711 /var/lib/munge
    setpriv --reuid munge --regid munge --clear-groups munged
    touch "$DIR/run/munge-is-ours"
    wait_until 10 munge round_trip
}

write_configuration() {
    if [ -e "$ETC/slurm.conf" ] && ! grep -q 'lmrnn tests' "$ETC/slurm.conf"; then
        echo "slurm: $ETC/slurm.conf belongs to another cluster; it is left alone" >&2; exit 1
    fi
    for ((gpu = 0; gpu < GPUS; gpu++)); do
        # A copy of /dev/null is enough for Slurm to count and hand out a device.
        [ -e "$DIR/dev/gpu$gpu" ] || mknod "$DIR/dev/gpu$gpu" c 1 3
    done
    sed -e "s|@DIR@|$DIR|g; s|@HOST@|$HOST|g; s|@THIRD_PORT@|$((FIRST_PORT + NODES - 2))|g; s|@LAST_PORT@|$((FIRST_PORT + NODES - 1))|g" \
        -e "s|@FIRST_PORT@|$FIRST_PORT|g" \
        slurm.conf.in >"$ETC/slurm.conf"
    echo "NodeName=node[1-$NODES] Name=gpu File=$DIR/dev/gpu[0-$((GPUS - 1))]" >"$ETC/gres.conf"
    [ -e "$ETC/cgroup.conf" ] || echo 'CgroupPlugin=cgroup/v1' >"$ETC/cgroup.conf"
    sed -e "s|@DIR@|$DIR|g; s|@DATABASE_PORT@|$DATABASE_PORT|g" slurmdbd.conf.in >"$ETC/slurmdbd.conf"
    chmod 600 "$ETC/slurmdbd.conf"
}

start_database() {
    query() { mariadb --no-defaults --socket="$DIR/run/mariadb.sock" --execute "$1"; }
    chown mysql "$DIR/run"
    if [ ! -d "$DIR/database/mysql" ]; then
        install -d -o mysql -g mysql -m 750 "$DIR/database"
        mariadb-install-db --no-defaults --user=mysql --datadir="$DIR/database" --skip-test-db \
            --auth-root-authentication-method=socket >"$DIR/log/mariadb-install.log" 2>&1
    fi
    if ! running "$DIR/run/mariadb.pid"; then
        setsid mariadbd --no-defaults --user=mysql --datadir="$DIR/database" --socket="$DIR/run/mariadb.sock" \
            --port="$DATABASE_PORT" --bind-address=127.0.0.1 --pid-file="$DIR/run/mariadb.pid" \
            --innodb-buffer-pool-size=64M --innodb-log-file-size=32M --innodb-flush-log-at-trx-commit=0 \
            --skip-log-bin --skip-name-resolve </dev/null >"$DIR/log/mariadb.log" 2>&1 &
        wait_until 30 MariaDB query 'select 1'
        query "create database if not exists slurm_acct_db;
               create user if not exists 'slurm'@'127.0.0.1' identified by 'slurm';
               grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1';"
    fi
    running "$DIR/run/slurmdbd.pid" || slurmdbd
    wait_until 30 slurmdbd sacctmgr --noheader show cluster
    if ! sacctmgr --noheader --parsable2 show cluster format=cluster | grep -qx lmrnn; then
        sacctmgr --immediate add cluster lmrnn >/dev/null
        sacctmgr --immediate add account test description=test organization=test >/dev/null
        sacctmgr --immediate add user root account=test defaultaccount=test >/dev/null
    fi
    # An account whose users may have five jobs.
    if ! sacctmgr --noheader --parsable2 show account format=account | grep -qx small; then
        sacctmgr --immediate add account small description=small organization=test >/dev/null
        sacctmgr --immediate add user root account=small MaxSubmitJobs=5 >/dev/null
    fi
}

start_slurm() {
    running "$DIR/run/slurmctld.pid" || slurmctld
    controller_up() { scontrol ping | grep -q UP; }
    wait_until 30 slurmctld controller_up
    for ((node = 1; node <= NODES; node++)); do
        mkdir -p "$DIR/spool/node$node"
        running "$DIR/run/slurmd-node$node.pid" || slurmd -N "node$node"
    done
    nodes_up() { [ "$(sinfo --noheader --Node --states idle,mixed,allocated --format %N | sort -u | wc -l)" -eq "$NODES" ]; }
    wait_until 30 "the nodes" nodes_up
}

mkdir -p "$DIR"/{log,run,state,spool,dev} "$ETC"
install_packages; start_munge; write_configuration
start_database; note "accounting is up"
start_slurm; note "$NODES nodes are up"
