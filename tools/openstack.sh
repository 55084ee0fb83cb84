#!/usr/bin/env bash
# Real OpenStack services for tests: Keystone and Swift, on loopback ports that were free, state and logs below target/openstack
# (or $OS_BASE). Needs the packages of `tools/packages.sh test`. Touches nothing that it did not start itself.
#
#   tools/openstack.sh up                 start everything; returns when all of it answers; quick when it is up already
#   tools/openstack.sh restart SERVICE    end one (as a crash would) and start it again: keystone, swift-proxy, swift-object, …
#   tools/openstack.sh down               end everything and remove the state; the logs stay
#
#   OS_SLO_SEGMENTS=1000                  how many segments Swift takes in one manifest (its own default)
#
# `env` in the base says where everything is and who may use it, one NAME=value a line: tests read it.
#
# Keystone keeps its data in SQLite, which starts many times faster than a database server. Two requests at once would run into
# each other's locks there, so one thread answers them, one after the other, and keeps what it knows in its own memory; Swift asks it
# once every few seconds for each token.
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

die() {
    echo "openstack.sh: $*" >&2
    exit 1
}

alive() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; }

# Loopback ports below those that the kernel hands out, free now; kept until `down`.
ports() {
    [ -s "$base/ports" ] || /usr/bin/python3 - >"$base/ports" <<'PY'
import random, socket
free = {}
while len(free) < 6:
    port = random.randrange(20000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            free[port] = True
        except OSError:
            pass
for name, port in zip(("keystone", "memcached", "account", "container", "object", "proxy"), free):
    print(f"port_{name}={port}")
PY
    # shellcheck disable=SC1091 # made above
    . "$base/ports"
}

configure_swift() {
    mkdir -p "$base/swift/srv/d1" "$base/swift/cache"
    cp /etc/swift/swift.conf "$base/swift/swift.conf"
    local kind port
    for kind in account container object; do
        port=port_$kind
        port=${!port}
        cat >"$base/swift/$kind.conf" <<C
[DEFAULT]
bind_ip = $host
bind_port = $port
workers = 1
user = $user
swift_dir = $base/swift
devices = $base/swift/srv
mount_check = false
disable_fallocate = true
recon_cache_path = $base/swift/cache
log_name = $kind
log_address = /dev/null
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
C
    done
    # What swift-ring-builder makes for one device and one replica.
    /usr/bin/python3 - "$base/swift" "$host" "account=$port_account" "container=$port_container" "object=$port_object" <<'PY'
import sys
from swift.common.ring import RingBuilder
folder, host, *kinds = sys.argv[1:]
for kind in kinds:
    name, port = kind.split("=")
    builder = RingBuilder(6, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": host, "port": int(port), "device": "d1", "weight": 1, "meta": "",
                     "replication_ip": host, "replication_port": int(port)})
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
PY
    cat >"$base/swift/proxy.conf" <<C
[DEFAULT]
bind_ip = $host
bind_port = $port_proxy
workers = 1
user = $user
swift_dir = $base/swift
log_name = proxy
log_address = /dev/null
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk tempurl authtoken keystoneauth copy container-quotas account-quotas slo dlo symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = $host:$port_memcached
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = http://$host:$port_keystone/v3
auth_url = http://$host:$port_keystone/v3
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = swift
password = $password
delay_auth_decision = True
memcached_servers = $host:$port_memcached
# A revoked token is refused soon.
token_cache_time = 2
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:account-quotas]
use = egg:swift#account_quotas
[filter:slo]
use = egg:swift#slo
max_manifest_segments = ${OS_SLO_SEGMENTS:-1000}
# Tests have tiny segments, which Swift would hand out one a second.
rate_limit_under_size = 1
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
C
}

configure_keystone() {
    mkdir -p "$base/keystone/fernet" "$base/keystone/credential"
    cat >"$base/keystone/keystone.conf" <<C
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///$base/keystone/keystone.db
sqlite_synchronous = false
[token]
provider = fernet
expiration = 3600
[fernet_tokens]
key_repository = $base/keystone/fernet
[fernet_receipts]
key_repository = $base/keystone/fernet
[credential]
key_repository = $base/keystone/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
C
}

fill_keystone() {
    # What `keystone-manage fernet_setup` and `credential_setup` make; each of its runs costs seconds.
    /usr/bin/python3 - "$base/keystone" <<'PY'
import base64, os, pathlib, sys
for folder in ("fernet", "credential"):
    for name in ("0", "1"):
        file = pathlib.Path(sys.argv[1], folder, name)
        file.write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
        file.chmod(0o600)
PY
    # A reader does not lock a writer out then.
    /usr/bin/python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("pragma journal_mode=wal")' "$base/keystone/keystone.db"
    local manage=(keystone-manage --config-file "$base/keystone/keystone.conf") url="http://$host:$port_keystone/v3"
    {
        "${manage[@]}" db_sync
        "${manage[@]}" bootstrap --bootstrap-password "$password" --bootstrap-region-id RegionOne \
            --bootstrap-admin-url "$url" --bootstrap-internal-url "$url" --bootstrap-public-url "$url"
    } >"$log/keystone-manage.log" 2>&1 || die "filling Keystone's database failed: $log/keystone-manage.log"
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
    case $1 in
    memcached) start memcached memcached -l "$host" -p "$port_memcached" -u "$user" -m 64 ;;
    # Closes every connection and says so: it would close idle ones without a word, which a client takes for a broken answer.
    keystone) start keystone uwsgi_python3 --http-socket "$host:$port_keystone" --wsgi-file /usr/bin/keystone-wsgi-public \
        --processes 1 --threads 1 --listen 100 --master --die-on-term --enable-threads --lazy-apps --buffer-size 65535 --need-app \
        --socket-timeout 120         --disable-logging --add-header "Connection: close" ;;
    swift-*) start "$1" "$1-server" "$base/swift/${1#swift-}.conf" ;;
    *) die "there is no service $1; there are ${names[*]}" ;;
    esac
}

answers() { /usr/bin/curl -s -o /dev/null --noproxy '*' --max-time 5 "$1"; }

# until_ready NAME: its port answers. 60 s is many times what it takes.
until_ready() {
    local port=port_${1#swift-} tries
    port=${!port}
    for ((tries = 0; tries < 600; tries++)); do
        alive "$1" || die "$1 ended: $log/$1.log"
        if [ "$1" = memcached ]; then
            (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null && return
        elif answers "http://$host:$port/healthcheck"; then
            return
        fi
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

# Users, projects, roles and endpoints; `env` when all is there.
accounts() {
    /usr/bin/python3 - "http://$host:$port_keystone/v3" "http://$host:$port_proxy" "$password" >"$base/env.new" <<'PY'
import json, sys, urllib.request
keystone, swift, password = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
token = None
def call(method, path, body=None):
    request = urllib.request.Request(keystone + path, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    with opener.open(request, timeout=60) as answer:
        text = answer.read()
        return (json.loads(text) if text else None), answer.headers
default = {"id": "default"}
user = {"name": "admin", "password": password, "domain": default}
_, headers = call("POST", "/auth/tokens", {"auth": {
    "identity": {"methods": ["password"], "password": {"user": user}},
    "scope": {"project": {"name": "admin", "domain": default}}}})
token = headers["X-Subject-Token"]
roles = {role["name"]: role["id"] for role in call("GET", "/roles")[0]["roles"]}
roles["service"] = call("POST", "/roles", {"role": {"name": "service"}})[0]["role"]["id"]
def project(name):
    return call("POST", "/projects", {"project": {"name": name, "domain_id": "default"}})[0]["project"]["id"]
def user(name, project, *granted):
    made = call("POST", "/users", {"user": {"name": name, "password": password, "domain_id": "default", "default_project_id": project}})
    for role in granted:
        call("PUT", "/projects/%s/users/%s/roles/%s" % (project, made[0]["user"]["id"], roles[role]))
service, demo, other = project("service"), project("demo"), project("other")
user("swift", service, "admin", "service")
user("demo", demo, "member")
user("other", other, "member")
made = call("POST", "/services", {"service": {"name": "swift", "type": "object-store"}})[0]["service"]["id"]
for interface in ("public", "internal"):
    call("POST", "/endpoints", {"endpoint": {"service_id": made, "interface": interface, "region_id": "RegionOne",
         "url": swift + "/v1/AUTH_%(project_id)s"}})
print("OS_AUTH_URL=" + keystone)
print("OS_REGION_NAME=RegionOne")
print("OS_USER_DOMAIN_NAME=Default\nOS_PROJECT_DOMAIN_NAME=Default")
print("# Members of a project of their own: demo and other. admin is admin of the project admin.")
print("OS_USERNAME=demo\nOS_PROJECT_NAME=demo\nOS_PASSWORD=" + password)
PY
    mv "$base/env.new" "$base/env"
}

up() {
    local name
    mkdir -p "$log"
    [ ! -e "$base/env" ] || ports
    if [ ! -e "$base/env" ]; then
        # What a start that failed left is no ground to build on.
        down
        mkdir -p "$run" "$base/home"
        ports
        configure_swift
        configure_keystone
    fi
    for name in memcached swift-account swift-container swift-object swift-proxy; do launch "$name"; done
    [ -e "$base/env" ] || fill_keystone
    launch keystone
    for name in "${names[@]}"; do until_ready "$name"; done
    [ -e "$base/env" ] || accounts
}

down() {
    local name
    for name in "${names[@]}"; do end "$name" TERM & done
    wait
    [ -d "$base" ] || return 0
    rm -rf "$base/run" "$base/swift" "$base/keystone" "$base/home" "$base/ports" "$base/env"
}

case ${1:-} in
up) up ;;
down) down ;;
restart)
    [ -s "$base/ports" ] || die "nothing is up"
    ports
    end "${2:?which service}" KILL
    launch "$2"
    until_ready "$2"
    ;;
*)
    echo "usage: tools/openstack.sh up|down|restart SERVICE" >&2
    exit 2
    ;;
esac
