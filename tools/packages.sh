#!/usr/bin/env bash
# Looks for the system's programs that a purpose needs, and installs the missing ones with apt when run by root on Debian or
# one of its kin. Otherwise says what to install and ends with 1. Silent when nothing is missing.
#
#   tools/packages.sh demo    what `make demo` needs
#   tools/packages.sh test    what `make test` needs: the same, and the tools that our formats are tested against
set -euo pipefail

purpose=${1:-}
missing=()

# need PACKAGE CHECK…: the package is missing unless the check works.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

has() { command -v "$1"; }
# The well-known .proto files, where protoc looks for them: beside itself, or where PROTOC_INCLUDE points.
has_protos() {
    local protoc
    protoc=$(command -v "${PROTOC:-protoc}") || true
    for include in "${PROTOC_INCLUDE:-}" "$(dirname "$protoc")/../include" /usr/include /usr/local/include; do
        [ -n "$include" ] && [ -f "$include/google/protobuf/descriptor.proto" ] && return 0
    done
    return 1
}
# The part of nfs-ganesha that serves a local file system.
has_ganesha_vfs() { compgen -G '/usr/lib/*/ganesha/libfsalvfs.so' || test -e /usr/lib64/ganesha/libfsalvfs.so; }
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || has initdb; }
# Debian's own Python has the module, whichever Python comes first on the path.
has_python() { /usr/bin/python3 -c "import $1"; }
has_venv() { python3 -c 'import venv, ensurepip'; }

case $purpose in
demo | test)
    need gcc has cc
    need libc6-dev test -e /usr/include/stdio.h
    need protobuf-compiler has "${PROTOC:-protoc}"
    need libprotobuf-dev has_protos
    need python3-venv has_venv
    need tar has tar
    ;;&
test)
    need pigz has pigz
    need zstd has zstd
    need gzip has gzip
    need age has age
    need jq has jq
    need openssl has openssl
    need strace has strace
    need etcd-client has etcdctl
    need procps test -x /bin/kill
    need bsdutils has script
    # Servers do not lie on every user's path.
    PATH=$PATH:/usr/sbin:/sbin
    need nfs-ganesha has ganesha.nfsd
    need nfs-ganesha-vfs has_ganesha_vfs
    need libnfs-utils has nfs-cp
    need rpcbind has rpcbind
    need mount has mount
    need postgresql has_postgres
    need postgresql-client has pg_dump
    # tools/openstack.sh up: Keystone and Swift, and Swift's own client.
    need keystone has keystone-manage
    need swift-proxy has swift-proxy-server
    need swift-account has swift-account-server
    need swift-container has swift-container-server
    need swift-object has swift-object-server
    need python3-swiftclient has_python swiftclient
    need python3-keystoneclient has_python keystoneclient
    need python3-keystonemiddleware has_python keystonemiddleware
    need memcached has memcached
    need uwsgi-core has uwsgi-core
    need uwsgi-plugin-python3 has uwsgi_python3
    need curl has curl
    # tools/openstack.sh up all: Cinder on Ceph and NFS, its database and its queue, and the clients that are our witnesses.
    need cinder-api has cinder-api
    need cinder-scheduler has cinder-scheduler
    need cinder-volume has cinder-volume
    need cinder-backup has cinder-backup
    need mariadb-server-core has mariadbd
    need mariadb-client-core has mariadb
    need python3-pymysql has_python pymysql
    need rabbitmq-server has rabbitmq-server
    need ceph-mon has ceph-mon
    need ceph-mgr has ceph-mgr
    need ceph-osd has ceph-osd
    need ceph-common has rbd
    need python3-rbd has_python rbd
    need python3-rados has_python rados
    need python3-cinderclient has cinder
    need python3-openstackclient has openstack
    # What Cinder calls: without dmidecode it attaches nothing, without mount.nfs its NFS driver does not start.
    need dmidecode has dmidecode
    need qemu-utils has qemu-img
    need nfs-common has mount.nfs
    need sudo has sudo
    need util-linux has mountpoint
    ;;
demo) ;;
*)
    echo "usage: tools/packages.sh demo|test" >&2
    exit 2
    ;;
esac

[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "These are missing (names as in Debian); install them, then try again:" >&2
    echo "  ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "Something is missing; install it with this, then try again:" >&2
    echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

echo "Installing with apt: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Packages bring servers whose scripts would start them; ours are started by the tests, on ports of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$log" "$policy"' EXIT
fi
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
# The lists of a fresh machine are empty, and those of an old one name versions that are gone.
if ! install; then
    apt-get update -q >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    install || { cat "$log" >&2; exit 1; }
fi
