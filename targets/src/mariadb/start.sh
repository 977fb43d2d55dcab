# Starts a MariaDB server: makes its data first, if there is none.
# Arguments: installer, server, data, port, how it joins a cluster (alone: there is none; founds: it
# is the first; joins: the others have what it needs), then options for the server.
set -eu
install=$1 server=$2 dir=$3 port=$4 how=$5
shift 5
data=$dir/mariadb
# It refuses to run as root unless told to; what it owns then is root's.
user=$(id -un 2>/dev/null || id -u)
# A server that starts empties this folder of what look like its own files.
export TMPDIR="$dir/tmp"
mkdir -p "$data" "$TMPDIR"

if [ "$how" != joins ] && [ ! -f "$dir/ready-to-start" ]; then
    rm -rf "$data"
    cat >"$dir/tables.sql" <<'SQL'
flush privileges;
create database tribunal character set utf8mb4 collate utf8mb4_bin;
create table tribunal.registers (k varchar(200) primary key, v text not null) engine=innodb;
create table tribunal.lists (k varchar(200) primary key, v text not null) engine=innodb;
create table tribunal.accounts (bank varchar(200), account bigint, v bigint not null, primary key (bank, account)) engine=innodb;
create user tribunal@'%' identified by '';
grant all on *.* to tribunal@'%';
SQL
    "$install" --no-defaults --user="$user" --datadir="$data" --skip-test-db \
        --auth-root-authentication-method=normal --skip-name-resolve \
        --extra-file="$dir/tables.sql" >&2
    : >"$dir/ready-to-start"
fi

# After a crash only the data itself know how far they are: told that, a server is sent what it
# lacks, and whichever has most can go on if all have crashed.
if [ "$how" != alone ] && [ -f "$data/grastate.dat" ]; then
    said=$("$server" --no-defaults --user="$user" --datadir="$data" --wsrep-recover \
        --innodb-buffer-pool-size=64M --innodb-log-file-size=32M 2>&1) || true
    at=$(printf '%s\n' "$said" | sed -n 's/.*WSREP: Recovered position:[[:space:]]*//p' | tail -n 1)
    [ -z "$at" ] || set -- "$@" --wsrep-start-position="$at"
fi

# The path of a socket is short: it is one within the data.
exec "$server" --no-defaults --user="$user" --datadir="$data" --port="$port" \
    --bind-address=0.0.0.0 --socket=socket --pid-file=pid \
    --skip-name-resolve --max-connections=200 \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=32M --performance-schema=OFF "$@"
