#!/usr/bin/env bash
# Real OpenStack services for tests, on loopback ports that were free, state and logs below target/openstack (or $OS_BASE). Needs the
# packages of `tools/packages.sh test`. Touches nothing that it did not start itself.
#
#   tools/openstack.sh up                 Keystone and Swift; returns when all of it answers; quick when it is up already
#   tools/openstack.sh up all             the same, and Cinder on a Ceph of one node, with MariaDB and RabbitMQ; needs root
#   tools/openstack.sh restart SERVICE    end one (as a crash would) and start it again: keystone, swift-proxy, cinder-volume, …
#   tools/openstack.sh stop SERVICE       end one, as a crash would
#   tools/openstack.sh start SERVICE      start it again
#   tools/openstack.sh down               end everything and remove the state; the logs stay
#
#   OS_SLO_SEGMENTS=1000                  how many segments Swift takes in one manifest (its own default)
#   OS_TOKEN_SECONDS=3600                 how long tokens live that Keystone gives from its (re)start on
#
# `env` in the base says where everything is and who may use it, one NAME=value a line: tests read it.
set -euo pipefail
cd "$(dirname "$0")/.."

base=${OS_BASE:-$PWD/target/openstack}
host=127.0.0.1
user=$(id -un)
# Findable where it must not be.
password=hush-7319
log=$base/log
run=$base/run
names=(memcached keystone swift-account swift-container swift-object swift-proxy)
# Those that `up all` starts besides.
more=(ceph-mon ceph-mgr ceph-osd mariadb epmd rabbitmq cinder-api cinder-scheduler cinder-volume cinder-backup)

die() {
    echo "openstack.sh: $*" >&2
    exit 1
}

for part in swift keystone ceph cinder; do
    # shellcheck source=/dev/null # beside this one
    . "tools/openstack/$part.sh"
done

alive() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; }

# Loopback ports below those that the kernel hands out, free now; kept until `down`.
ports() {
    [ -s "$base/ports" ] || /usr/bin/python3 - >"$base/ports" <<'PY'
import random, socket
names = """keystone memcached account container object proxy
    ceph ceph_v1 mariadb epmd rabbitmq rabbitmq_peers cinder_api nova backup""".split()
free = {}
while len(free) < len(names):
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            free[port] = True
        except OSError:
            pass
for name, port in zip(names, free):
    print(f"port_{name}={port}")
PY
    # shellcheck disable=SC1091 # made above
    . "$base/ports"
}

# start NAME COMMAND…: in a session of its own, with a clean environment.
start() {
    local name=$1
    shift
    alive "$name" && return
    env -i PATH="$PATH" HOME="$base/home" LANG=C.UTF-8 OS_KEYSTONE_CONFIG_FILES="$base/keystone/keystone.conf" \
        setsid "$@" >>"$log/$name.log" 2>&1 </dev/null &
    echo $! >"$run/$name.pid"
}

launch() {
    ! alive "$1" || return 0
    case $1 in
    memcached) start memcached memcached -l "$host" -p "$port_memcached" -u "$user" -m 64 ;;
    # Closes every connection and says so: it would close idle ones without a word, which a client takes for a broken answer.
    keystone) start keystone env OS_TOKEN__EXPIRATION="${OS_TOKEN_SECONDS:-3600}" uwsgi_python3 --http-socket "$host:$port_keystone" --wsgi-file /usr/bin/keystone-wsgi-public \
        --processes 1 --threads 1 --listen 100 --master --die-on-term --enable-threads --lazy-apps --buffer-size 65535 --need-app \
        --socket-timeout 120 --disable-logging --add-header "Connection: close" ;;
    swift-*) start "$1" "$1-server" "$base/swift/${1#swift-}.conf" ;;
    ceph-*) launch_ceph "$1" ;;
    *) launch_cinder "$1" ;;
    esac
}

answers() { /usr/bin/curl -s -o /dev/null --noproxy '*' --max-time 5 "$1"; }

# ready NAME: it does its work.
ready() {
    local port=port_${1#swift-}
    port=${port//-/_}
    case $1 in
    memcached | epmd | rabbitmq) (exec 3<>"/dev/tcp/$host/${!port}") 2>/dev/null ;;
    mariadb) sql 'select 1' >/dev/null 2>&1 ;;
    ceph-*) /usr/bin/python3 tools/openstack/ceph.py ready "$base/ceph/ceph.conf" ;;
    cinder-api | keystone | swift-*) answers "http://$host:${!port}/healthcheck" ;;
    *) reported "$1" ;;
    esac
}

# until_ready NAME: 2 minutes are many times what it takes.
until_ready() {
    local tries
    for ((tries = 0; tries < 1200; tries++)); do
        alive "$1" || die "$1 ended: $log/$1.log"
        ! ready "$1" || return 0
        sleep 0.1
    done
    die "$1 does not answer: $log/$1.log"
}

# end NAME SIGNAL: its whole process group, and waits for it to be gone.
end() {
    [ -s "$run/$1.pid" ] || return 0
    local pid
    pid=$(cat "$run/$1.pid")
    kill "-$2" -- "-$pid" 2>/dev/null || true
    for _ in $(seq 100); do
        kill -0 -- "-$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    rm -f "$run/$1.pid"
}

known() {
    [ -s "$base/ports" ] || die "nothing is up"
    ports
    local services=("${names[@]}")
    [ ! -e "$base/all" ] || services+=("${more[@]}")
    [[ " ${services[*]} " == *" ${1:-} "* ]] || die "there is no service ${1:-}; there are ${services[*]}"
}

prepare() {
    mkdir -p "$log"
    [ ! -e "$base/env" ] || ports
    [ ! -e "$base/env" ] || return 0
    # What a start that failed left is no ground to build on.
    down
    mkdir -p "$run" "$base/home"
    ports
    configure_swift
    configure_keystone
}

up() {
    local name
    for name in memcached swift-account swift-container swift-object swift-proxy; do launch "$name"; done
    [ -e "$base/env" ] || fill_keystone
    launch keystone
    for name in "${names[@]}"; do until_ready "$name"; done
    if [ ! -e "$base/env" ]; then
        # shellcheck disable=SC2046 # words
        /usr/bin/python3 tools/openstack/accounts.py "http://$host:$port_keystone/v3" "$password" \
            $(sed 's/^port_//' "$base/ports") >"$base/env.new" || die "making users and endpoints failed"
        mv "$base/env.new" "$base/env"
    fi
}

# What `up all` adds to `up`. What does not need each other starts side by side.
up_more() {
    local name
    [ "$(id -u)" = 0 ] || die "Cinder's services change to root and mount: up all is for root"
    if [ ! -e "$base/all" ]; then
        down_more
        configure_ceph
        configure_cinder
    elif [ ${#backends[@]} -gt 1 ]; then
        mount_shares || die "a bind mount is refused"
    fi
    {
        launch epmd
        launch rabbitmq
        [ -e "$base/mariadb" ] || fill_mariadb
        launch mariadb
        until_ready mariadb
        [ -e "$base/all" ] || fill_cinder
    } &
    database=$!
    {
        if [ -e "$base/ceph/made" ]; then for name in mon mgr osd; do launch "ceph-$name"; done; else fill_ceph; fi
    } &
    ceph=$!
    # Nothing is started any more once this has failed.
    trap 'wait "$database" "$ceph"' EXIT
    up
    wait "$database" && wait "$ceph" || exit 1
    until_ready ceph-osd
    until_ready rabbitmq
    for name in volume scheduler backup api; do launch "cinder-$name"; done
    until_ready cinder-api
    if [ ! -e "$base/all" ]; then
        /usr/bin/python3 tools/openstack/cinder.py "$base/env" "${backends[@]}" || die "making volume types failed"
    fi
    for name in "${more[@]}"; do until_ready "$name"; done
    [ ! -e "$base/all" ] || return 0
    {
        cat "$base/env"
        echo "# A volume type for each backend: Ceph, the stock NFS driver, and the same with fast revert and manage."
        echo "VOLUME_TYPES='${backends[*]}'"
        echo "CEPH_CONF=$base/ceph/ceph.conf"
        echo "# Where Cinder's volumes of type rbd1 are, and one for backups and whatever tests need."
        echo "CEPH_POOL=${ceph_pools[0]}"
        echo "CEPH_BACKUP_POOL=${ceph_pools[1]}"
        echo "# Where Cinder has shares mounted."
        echo "NFS_MOUNTS=$base/cinder/mnt"
    } >"$base/env.new"
    mv "$base/env.new" "$base/env"
    touch "$base/all"
}

down_more() {
    local name
    for name in "${more[@]}"; do end "$name" TERM & done
    wait
    unmount_shares
    rm -rf "$base/ceph" "$base/cinder" "$base/mariadb" "$base/rabbitmq" "$base/share" "$base/all"
}

down() {
    local name
    [ -d "$base" ] || return 0
    for name in "${names[@]}"; do end "$name" TERM & done
    down_more
    wait
    rm -rf "$base/run" "$base/swift" "$base/keystone" "$base/home" "$base/ports" "$base/env"
}

case ${1:-} in
up)
    prepare
    case ${2:-} in
    "") if [ -e "$base/all" ]; then up_more; else up; fi ;;
    all) up_more ;;
    *) die "up, or up all" ;;
    esac
    ;;
down) down ;;
stop)
    known "${2:-}"
    end "$2" KILL
    ;;
start | restart)
    known "${2:-}"
    [ "$1" = start ] || end "$2" KILL
    launch "$2"
    until_ready "$2"
    ;;
*)
    echo "usage: tools/openstack.sh up [all]|down|restart SERVICE|stop SERVICE|start SERVICE" >&2
    exit 2
    ;;
esac
