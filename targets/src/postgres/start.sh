# Starts a PostgreSQL server: makes its data first, if there is none.
# Arguments: folder of the programs, directory, port, address of the primary (empty: this is it),
# address of the other node and how many ms it may be silent (both empty: there is no failover), then
# options for the server.
set -eu
bin=$1 dir=$2 data=$2/postgres port=$3 primary=$4 other=$5 patience=$6
shift 6
unset PGDATA PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS

# Makes an empty database.
create() {
    rm -rf "$data"
    "$bin/initdb" --no-sync --auth=trust --username=tribunal --encoding=UTF8 --no-locale \
        --no-instructions --pgdata="$data"
    echo "host replication all all trust" >>"$data/pg_hba.conf"
    echo "host all all all trust" >>"$data/pg_hba.conf"
    "$bin/postgres" --single -D "$data" postgres >/dev/null <<'SQL'
create table registers (k text primary key, v text not null)
create table lists (k text primary key, v text not null)
create table elements (k text, v text, primary key (k, v))
create table accounts (bank text, account bigint, v bigint not null, primary key (bank, account))
SQL
}

# Makes this a standby of the server there. It waits until that one is there; whoever started it says
# for how long.
copy() {
    rm -rf "$data"
    until "$bin/pg_basebackup" --no-sync --write-recovery-conf --wal-method=stream \
        --checkpoint=fast --no-password --pgdata="$data" \
        --dbname="host=$1 port=$port user=tribunal connect_timeout=2 application_name=standby"; do
        rm -rf "$data"
        sleep 0.2
    done
}

# Connections come by TCP only; memory is shared through files of its own. A deadlock is looked for
# sooner than after a second, which is as long as clients wait.
set -- "$bin/postgres" -D "$data" -p "$port" \
    -c listen_addresses='*' -c unix_socket_directories='' -c max_connections=200 \
    -c dynamic_shared_memory_type=mmap -c deadlock_timeout=200ms \
    -c hot_standby=on -c wal_level=replica -c max_wal_senders=10 \
    -c wal_receiver_status_interval=1s -c wal_retrieve_retry_interval=200ms "$@"

if [ -z "$other" ]; then
    if [ ! -f "$dir/ready-to-start" ]; then
        if [ -z "$primary" ]; then create; else copy "$primary"; fi
        : >"$dir/ready-to-start"
    fi
    exec "$@"
fi
