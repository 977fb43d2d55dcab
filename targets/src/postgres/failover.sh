
# Failover of two nodes, follows start.sh. Each asks the other all the time what it is:
#
# - a primary that has heard nothing for its patience stops its server at once, and starts it again
#   only if the other says that it is still a standby; if that one is the primary by now, it throws
#   its own data away and becomes its standby;
# - a standby that has heard nothing for more than twice as long is promoted. The old primary has
#   stopped by then: its patience, the time of one question, and a second to spare;
# - a primary that knows of no standby (at first, and after its promotion) has nobody to make way
#   for: it is noted in the file `alone`, before it is so.

# Milliseconds since the machine was started: no clock that anyone sets.
now() {
    read -r up _ </proc/uptime
    echo "${up%.*}${up#*.}0"
}

# What the other node is; nothing if it does not say.
ask() {
    timeout --foreground 1 "$bin/psql" --no-psqlrc --no-align --tuples-only --quiet --no-password \
        "host=$other port=$port user=tribunal dbname=postgres" --command="select \
        case when pg_is_in_recovery() then 'standby' else 'primary' end" 2>/dev/null || :
}

run() {
    "$@" &
    server=$!
}

halt() {
    [ -n "$server" ] || return 0
    kill -QUIT "$server" || :
    wait "$server" || :
    server=
}

# The signal is the whole group's, so the server has it too.
leave() {
    [ -z "$server" ] || wait "$server" || :
    exit 0
}

is_standby() { [ -f "$data/standby.signal" ]; }

server=
trap leave INT TERM
set -- "$@" -c wal_receiver_timeout=5s
if [ ! -f "$dir/ready-to-start" ]; then
    if [ -n "$primary" ]; then
        copy "$primary"
    elif [ -f "$dir/copied" ] || [ "$(ask)" = primary ]; then
        copy "$other"
    else
        create
        : >"$dir/alone"
    fi
    : >"$dir/ready-to-start"
fi
if is_standby; then run "$@"; fi

seen=$(now)
while :; do
    if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
        code=0
        wait "$server" || code=$?
        exit "$code"
    fi
    asked=$(now)
    its=$(ask)
    [ -z "$its" ] || seen=$asked
    silent=$(($(now) - seen))
    if is_standby; then
        if [ "$silent" -gt $((2 * patience + 1000)) ]; then
            echo "failover: promoted, after $silent ms of silence"
            : >"$dir/alone"
            "$bin/pg_ctl" promote --pgdata="$data" --timeout=10 || :
        fi
    elif [ "$its" = primary ]; then
        echo "failover: the other is the primary: becomes its standby"
        halt
        rm -f "$dir/ready-to-start" "$dir/alone"
        : >"$dir/copied"
        copy "$other"
        : >"$dir/ready-to-start"
        run "$@"
    elif [ "$its" = standby ] || [ -f "$dir/alone" ]; then
        [ -z "$its" ] || rm -f "$dir/alone"
        [ -n "$server" ] || run "$@"
    elif [ -n "$server" ] && [ "$silent" -gt "$patience" ]; then
        echo "failover: stops, after $silent ms of silence"
        halt
    fi
    sleep 0.1
done
