# shellcheck shell=bash disable=SC2154 # a part of openstack.sh
# Swift: one device, one replica, four servers.

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
