# Starts a MariaDB server: makes its data first, if there is none.
# Arguments: installer, server, data, port, then options for the server.
set -eu
install=$1 server=$2 dir=$3 port=$4
shift 4
data=$dir/mariadb
# It refuses to run as root unless told to; what it owns then is root's.
user=$(id -un 2>/dev/null || id -u)

if [ ! -f "$data/ready-to-start" ]; then
    rm -rf "$data"
    "$install" --no-defaults --user="$user" --datadir="$data" --skip-test-db \
        --auth-root-authentication-method=normal --skip-name-resolve >&2
    cat >"$data/init.sql" <<'SQL'
create database if not exists tribunal character set utf8mb4 collate utf8mb4_bin;
create table if not exists tribunal.registers (k varchar(200) primary key, v text not null) engine=innodb;
create table if not exists tribunal.lists (k varchar(200) primary key, v text not null) engine=innodb;
create table if not exists tribunal.accounts (bank varchar(200), account bigint, v bigint not null, primary key (bank, account)) engine=innodb;
create user if not exists tribunal@'%' identified by '';
grant all on *.* to tribunal@'%';
SQL
    : >"$data/ready-to-start"
fi

# The path of a socket is short: it is one within the data.
exec "$server" --no-defaults --user="$user" --datadir="$data" --port="$port" \
    --bind-address=0.0.0.0 --socket=socket --pid-file=pid \
    --init-file="$data/init.sql" --skip-name-resolve --max-connections=200 \
    --innodb-buffer-pool-size=64M --innodb-log-file-size=32M --performance-schema=OFF "$@"
