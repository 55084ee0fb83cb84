# shellcheck shell=bash disable=SC2154 # a part of openstack.sh
# Keystone keeps its data in SQLite, which starts many times faster than a database server. Two requests at once would run into
# each other's locks there, so one thread answers them, one after the other, and keeps what it knows in its own memory; the other
# services ask it once every few seconds for each token.

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
        "${manage[@]}" db_sync &&
            "${manage[@]}" bootstrap --bootstrap-password "$password" --bootstrap-region-id RegionOne \
                --bootstrap-admin-url "$url" --bootstrap-internal-url "$url" --bootstrap-public-url "$url"
    } >"$log/keystone-manage.log" 2>&1 || die "filling Keystone's database failed: $log/keystone-manage.log"
}
