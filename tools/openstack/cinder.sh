# shellcheck shell=bash disable=SC2154 # a part of openstack.sh
# Cinder with its database and its queue. Glance is left away: nothing of ours reads or makes images.
#
# Volume types, one for each backend:
#   rbd1   the stock RBD driver on our Ceph
#   nfs1   the stock NFS driver. No NFS server is needed, nor a kernel that mounts one: the driver does not mount a share whose mount
#          point is mounted already, so a bind mount of a folder stands there.
#   local2 the same driver, but for its connections: they name a file of this host, as those of drivers for local devices do
# Where no bind mount is allowed there is rbd1 alone.
#
# With NFS, a snapshot of a volume in use goes through Nova, which does not exist here: it ends in `error`. On RBD it works. And Cinder's own
# backup of an NFS volume that has a snapshot is not worth its name: it holds the bytes of the qcow2 overlay.

shares=(nfs1 local2)
backends=(rbd1 nfs1 local2)
[ ! -e "$base/cinder/backends" ] || read -ra backends <"$base/cinder/backends"

# mount_point SHARE: where the driver looks for it.
mount_point() { printf '%s/cinder/mnt/%s' "$base" "$(printf '%s' "$host:$base/share/$1" | md5sum | cut -d' ' -f1)"; }

# mount_shares: fails when it may not.
mount_shares() {
    local share point
    for share in "${shares[@]}"; do
        point=$(mount_point "$share")
        mkdir -p "$base/share/$share" "$point"
        mountpoint -q "$point" || mount --bind "$base/share/$share" "$point" || return 1
    done
}

unmount_shares() {
    local share point
    for share in "${shares[@]}"; do
        point=$(mount_point "$share")
        # What would be removed below it is the share itself.
        ! mountpoint -q "$point" || umount "$point" 2>/dev/null || umount --lazy "$point" || die "$point stays mounted"
    done
}

configure_cinder() {
    local share cinder=$base/cinder
    mkdir -p "$cinder/state" "$cinder/lock" "$cinder/conversion" "$cinder/drivers" "$base/rabbitmq"
    backends=(rbd1 nfs1 local2)
    if ! mount_shares; then
        echo "openstack.sh: a bind mount is refused here: Cinder comes without nfs1 and local2" >&2
        backends=(rbd1)
    fi
    echo "${backends[*]}" >"$cinder/backends"
    cp /etc/cinder/api-paste.ini /etc/cinder/resource_filters.json "$cinder/"
    for share in "${shares[@]}"; do echo "$host:$base/share/$share" >"$cinder/$share.shares"; done
    cat >"$cinder/drivers/local_driver.py" <<'C'
import os

from cinder import interface
from cinder.volume.drivers import nfs


@interface.volumedriver
class LocalDriver(nfs.NfsDriver):
    def initialize_connection(self, volume, connector):
        data = super().initialize_connection(volume, connector)["data"]
        path = os.path.join(self._local_volume_dir(volume), data["name"])
        return {"driver_volume_type": "local", "data": {"device_path": path, "format": data.get("format", "raw")}}
C
    cat >"$cinder/cinder.conf" <<C
[DEFAULT]
use_stderr = true
auth_strategy = keystone
osapi_volume_listen = $host
osapi_volume_listen_port = $port_cinder_api
osapi_volume_workers = 1
my_ip = $host
host = stack
transport_url = rabbit://guest:guest@$host:$port_rabbitmq//
state_path = $cinder/state
image_conversion_dir = $cinder/conversion
api_paste_config = $cinder/api-paste.ini
resource_query_filters_file = $cinder/resource_filters.json
rootwrap_config = /etc/cinder/rootwrap.conf
enabled_backends = $(IFS=, && echo "${backends[*]}")
default_volume_type = rbd1
scheduler_max_attempts = 1
# Soon seen to be there, late to be taken for gone: machines are slow.
report_interval = 2
service_down_time = 60
quota_backups = 10000
quota_backup_gigabytes = 1000000
backup_driver = cinder.backup.drivers.swift.SwiftBackupDriver
backup_swift_url = http://$host:$port_proxy/v1/AUTH_
backup_swift_auth = per_user
backup_swift_object_size = $((32 << 20))
backup_compression_algorithm = zlib
backup_workers = 1
[database]
connection = mysql+pymysql://root@$host:$port_mariadb/cinder?charset=utf8
[oslo_concurrency]
lock_path = $cinder/lock
[keystone_authtoken]
www_authenticate_uri = http://$host:$port_keystone/v3
$(service_credentials)
memcached_servers = $host:$port_memcached
# A revoked token is refused soon.
token_cache_time = 2
# A user's token that has run out is taken when it comes with a service's own.
service_token_roles = service
service_token_roles_required = true
[nova]
$(service_credentials)
region_name = RegionOne
[rbd1]
volume_driver = cinder.volume.drivers.rbd.RBDDriver
volume_backend_name = rbd1
rbd_pool = ${ceph_pools[0]}
rbd_ceph_conf = $base/ceph/ceph.conf
[nfs1]
volume_driver = cinder.volume.drivers.nfs.NfsDriver
volume_backend_name = nfs1
nfs_shares_config = $cinder/nfs1.shares
nfs_mount_point_base = $cinder/mnt
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
[local2]
volume_driver = local_driver.LocalDriver
volume_backend_name = local2
nfs_shares_config = $cinder/local2.shares
nfs_mount_point_base = $cinder/mnt
nfs_snapshot_support = true
nas_secure_file_operations = false
nas_secure_file_permissions = false
C
}

service_credentials() {
    cat <<C
auth_url = http://$host:$port_keystone/v3
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = service
username = cinder
password = $password
C
}

sql() { mariadb --no-defaults -h "$host" -P "$port_mariadb" -u root -N -e "$1" "${@:2}"; }

fill_mariadb() {
    # Its socket is named relative to its data: the path of a socket must be shorter than many a checkout's.
    mariadb-install-db --no-defaults --user="$user" --datadir="$base/mariadb" --auth-root-authentication-method=normal \
        --skip-test-db >"$log/mariadb-install.log" 2>&1 || die "making a database failed: $log/mariadb-install.log"
}

fill_cinder() {
    {
        sql 'create database if not exists cinder character set utf8' &&
            cinder-manage --config-file "$base/cinder/cinder.conf" db sync
    } >"$log/cinder-manage.log" 2>&1 || die "filling Cinder's database failed: $log/cinder-manage.log"
}

launch_cinder() {
    case $1 in
    # Durable enough for a process that is killed.
    mariadb) start mariadb mariadbd --no-defaults --user="$user" --datadir="$base/mariadb" --bind-address="$host" --port="$port_mariadb" \
        --socket=s --pid-file=pid --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 --skip-name-resolve \
        --performance-schema=OFF --max-connections=300 ;;
    # RabbitMQ's own would outlive it as a daemon.
    epmd) start epmd epmd -address "$host" -port "$port_epmd" ;;
    rabbitmq) start rabbitmq env HOME="$base/rabbitmq" ERL_EPMD_ADDRESS="$host" ERL_EPMD_PORT="$port_epmd" \
        RABBITMQ_NODENAME=stack@localhost RABBITMQ_NODE_IP_ADDRESS="$host" RABBITMQ_NODE_PORT="$port_rabbitmq" \
        RABBITMQ_DIST_PORT="$port_rabbitmq_peers" RABBITMQ_MNESIA_BASE="$base/rabbitmq/mnesia" RABBITMQ_LOG_BASE="$log/rabbitmq" \
        RABBITMQ_PID_FILE="$base/rabbitmq/pid" RABBITMQ_ENABLED_PLUGINS_FILE="$base/rabbitmq/plugins" \
        RABBITMQ_CONFIG_FILE="$base/rabbitmq/none" RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" /usr/lib/rabbitmq/bin/rabbitmq-server ;;
    *)
        [ ! -s "$run/mariadb.pid" ] || reports "$1" >"$run/$1.reports" 2>/dev/null || true
        start "$1" env PYTHONPATH="$base/cinder/drivers" "$1" --config-file "$base/cinder/cinder.conf"
        ;;
    esac
}

# reports SERVICE: what each of its processes has reported so far.
reports() { sql "select host, report_count from services where \`binary\` = '$1' and deleted = 0 order by host" cinder; }

# reported SERVICE: each of its processes has taken up work since it was launched: the first report comes after that.
reported() {
    local expected=1
    [ "$1" != cinder-volume ] || expected=${#backends[@]}
    reports "$1" | awk -v expected="$expected" '
        now == 0 { before[$1] = $2; next }
        $2 > before[$1] + 0 { done++ }
        END { exit done < expected }' "$run/$1.reports" now=1 -
}
