"""What ceph.sh asks of its monitor: in one process, since each run of the `ceph` command costs a second.

ceph.py osd CONF UUID        announces the OSD 0
ceph.py pools CONF POOL...   waits for the OSD, makes pools for block devices, waits until they take data
ceph.py down CONF            says that the OSD ended
ceph.py ready CONF           waits until the OSD and all placement groups are there
"""
import json
import sys
import time

import rados
import rbd

what, conf, *names = sys.argv[1:]


def connected():
    deadline = time.monotonic() + 60
    while True:
        cluster = rados.Rados(conffile=conf)
        try:
            cluster.connect(timeout=5)
            return cluster
        except rados.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


cluster = connected()


def ask(prefix, **arguments):
    code, answer, message = cluster.mon_command(json.dumps({"prefix": prefix, "format": "json", **arguments}), b"")
    if code:
        sys.exit(f"{prefix}: {message}")
    return json.loads(answer or b"{}")


def until(there, what):
    deadline = time.monotonic() + 60
    while not there():
        if time.monotonic() > deadline:
            sys.exit(f"in vain: {what}")
        time.sleep(0.2)


def osd_up():
    osds = ask("osd dump")["osds"]
    return len(osds) == 1 and osds[0]["up"] == 1


def active():
    groups = ask("status")["pgmap"]
    return groups["num_pgs"] > 0 and all(
        state["state_name"] == "active+clean" for state in groups["pgs_by_state"]
    )


if what == "osd":
    ask("osd new", uuid=names[0], id=0)
elif what == "down":
    ask("osd down", ids=["0"])
elif what == "pools":
    until(osd_up, "the OSD")
    for name in names:
        ask("osd pool create", pool=name, pg_num=8, size=1)
        with cluster.open_ioctx(name) as pool:
            rbd.RBD().pool_init(pool, True)
elif what == "ready":
    until(osd_up, "the OSD")
    until(active, "the placement groups")
