# shellcheck shell=bash disable=SC2154 # a part of openstack.sh
# A Ceph of one node: a monitor, a manager and one BlueStore OSD in a sparse file. Every program of Ceph finds it by CEPH_CONF.
#
# It asks nobody who he is (no cephx): os-brick would look for keys below /etc/ceph, which is not ours. The daemons have no admin
# sockets, whose paths must be shorter than many a checkout's.

ceph_pools=(volumes backups)

configure_ceph() {
    local ceph=$base/ceph
    mkdir -p "$ceph/mon" "$ceph/mgr" "$ceph/osd"
    # The manager's modules would only take time to load; it is there for the figures of the pools, which Cinder asks for.
    cat >"$ceph/ceph.conf" <<C
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = [v2:$host:$port_ceph,v1:$host:$port_ceph_v1]
public addr = $host
cluster addr = $host
auth cluster required = none
auth service required = none
auth client required = none
keyring = $ceph/keyring
mon data = $ceph/mon
mgr data = $ceph/mgr
osd data = $ceph/osd
admin socket =
run dir = $run
pid file =
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mgr initial modules =
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block create = true
bluestore block size = $((40 << 30))
bluestore cache autotune = false
bluestore cache size = $((128 << 20))
osd memory target = $((896 << 20))
osd class load list = *
osd class default list = *
[mon]
log file = $log/ceph-mon.log
[mgr]
log file = $log/ceph-mgr.log
[osd]
log file = $log/ceph-osd.log
C
}

fill_ceph() {
    local ceph=$base/ceph fsid osd
    fsid=$(awk '/^fsid/ { print $3 }' "$ceph/ceph.conf")
    osd=$(cat /proc/sys/kernel/random/uuid)
    # Joined, since `set -e` does not count in here.
    {
        ceph-authtool --create-keyring "$ceph/keyring" --gen-key -n mon. --cap mon 'allow *' &&
            ceph-authtool "$ceph/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' &&
            monmaptool --create --clobber --addv a "[v2:$host:$port_ceph,v1:$host:$port_ceph_v1]" --fsid "$fsid" "$ceph/monmap" &&
            ceph-mon --mkfs -i a --monmap "$ceph/monmap" --keyring "$ceph/keyring" -c "$ceph/ceph.conf" &&
            launch ceph-mon && launch ceph-mgr &&
            ceph-osd --mkfs -i 0 --osd-uuid "$osd" --monmap "$ceph/monmap" --no-mon-config -c "$ceph/ceph.conf" &&
            /usr/bin/python3 tools/openstack/ceph.py osd "$ceph/ceph.conf" "$osd" &&
            launch ceph-osd &&
            /usr/bin/python3 tools/openstack/ceph.py pools "$ceph/ceph.conf" "${ceph_pools[@]}"
    } >"$log/ceph-mkfs.log" 2>&1 || die "making Ceph failed: $log/ceph-mkfs.log"
    touch "$ceph/made"
}

launch_ceph() {
    local letter
    case $1 in ceph-mon) letter=a ;; ceph-mgr) letter=x ;; *) letter=0 ;; esac
    # The monitor goes on to take an OSD that was killed for up.
    [ "$1" != ceph-osd ] || [ ! -e "$base/ceph/made" ] || /usr/bin/python3 tools/openstack/ceph.py down "$base/ceph/ceph.conf"
    start "$1" "$1" -f -i "$letter" -c "$base/ceph/ceph.conf"
}
