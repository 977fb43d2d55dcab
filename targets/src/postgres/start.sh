# Starts a PostgreSQL server: makes its data first, if there is none.
# Arguments: folder of the programs, data, port, address of the primary (empty: this is it).
set -eu
bin=$1 data=$2/postgres port=$3 primary=$4
unset PGDATA PGHOST PGPORT PGUSER PGDATABASE PGOPTIONS

if [ ! -f "$data/ready-to-start" ]; then
    rm -rf "$data"
    if [ -z "$primary" ]; then
        "$bin/initdb" --no-sync --auth=trust --username=tribunal --encoding=UTF8 --no-locale \
            --no-instructions --pgdata="$data"
        echo "host replication all all trust" >>"$data/pg_hba.conf"
        echo "host all all all trust" >>"$data/pg_hba.conf"
        "$bin/postgres" --single -D "$data" postgres >/dev/null <<'SQL'
create table registers (k text primary key, v text not null)
create table lists (k text primary key, v text not null)
create table accounts (bank text, account bigint, v bigint not null, primary key (bank, account))
SQL
    else
        # It waits until the primary is there; whoever started it says for how long.
        until "$bin/pg_basebackup" --no-sync --write-recovery-conf --wal-method=stream \
            --checkpoint=fast --no-password --pgdata="$data" \
            --dbname="host=$primary port=$port user=tribunal connect_timeout=2 application_name=standby"; do
            rm -rf "$data"
            sleep 0.2
        done
    fi
    : >"$data/ready-to-start"
fi

# Connections come by TCP only; memory is shared through files of its own. A deadlock is looked for
# sooner than after a second, which is as long as clients wait.
exec "$bin/postgres" -D "$data" -p "$port" \
    -c listen_addresses='*' -c unix_socket_directories='' -c max_connections=200 \
    -c dynamic_shared_memory_type=mmap -c deadlock_timeout=200ms \
    -c hot_standby=on -c wal_level=replica -c max_wal_senders=10 \
    -c wal_receiver_status_interval=1s -c wal_retrieve_retry_interval=200ms
