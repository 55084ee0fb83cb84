# Sourced by the scripts beside it; no stage of its own. Works with any bash since 4.
# A file `settings` in this directory may set the variables below; parameters of a request may, too, where it does not.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091 # may be missing
[ ! -f "$here/settings" ] || . "$here/settings"

# Where each job has a directory of its own: `directory_backup` and `directory_restore` of backup-agent.
: "${BACKUP_DIRECTORY:=/var/lib/backup-agent/backup}"
: "${RESTORE_DIRECTORY:=/var/lib/backup-agent/restore}"
# Where locks are kept: one directory a database.
: "${LOCK_DIRECTORY:=/var/lib/backup-agent/locks}"

fail() {
    echo "$1" >&2
    exit 1
}

# lock NAME: takes a lock or fails at once. A lock script that waits could be killed while the lock is another's.
lock() {
    local lock="$LOCK_DIRECTORY/${1//\//_}.lock"
    mkdir -p "$LOCK_DIRECTORY"
    mkdir "$lock" 2>/dev/null || fail "$lock is there: another job works on it"
}

# unlock NAME: gives it back; one that is not there is fine, so that this can be run again.
unlock() {
    local lock="$LOCK_DIRECTORY/${1//\//_}.lock"
    [ ! -d "$lock" ] || rmdir "$lock"
}

# connection HOST USERNAME PASSWORD DATABASE: for all programs of PostgreSQL, by variables, where no process list shows them.
connection() {
    export PGHOST=$1 PGUSER=$2 PGPASSWORD=$3 PGDATABASE=$4 PGCONNECT_TIMEOUT=30
}

# dump: everything in one consistent snapshot; several programs may stand behind it in a pipe.
dump() {
    pg_dump --format=custom --compress=0
}

# load: all of a dump or nothing. Objects that the dump knows are replaced, others stay.
load() {
    local name=${PGDATABASE//\\/\\\\}
    # As a connection string, for a name may hold anything.
    pg_restore --clean --if-exists --single-transaction --exit-on-error --dbname="dbname='${name//\'/\\\'}'"
}

# encrypt KEY: `none`, a recipient of age (age1…), or a passphrase for openssl.
encrypt() {
    case $1 in
    none | '') cat ;;
    age1*) age --encrypt --recipient "$1" ;;
    *) PASSPHRASE=$1 openssl enc -aes-256-cbc -pbkdf2 -iter 200000 -salt -pass env:PASSPHRASE ;;
    esac
}

# decrypt KEY SUFFIX: what `encrypt` made; for age the key is the identity (AGE-SECRET-KEY-1…).
decrypt() {
    case $2 in
    age) age --decrypt --identity <(printf '%s\n' "$1") ;;
    enc) PASSPHRASE=$1 openssl enc -d -aes-256-cbc -pbkdf2 -iter 200000 -pass env:PASSPHRASE ;;
    *) cat ;;
    esac
}

# suffix KEY: how the name of a file tells the way it was encrypted.
suffix() {
    case $1 in
    none | '') ;;
    age1*) echo .age ;;
    *) echo .enc ;;
    esac
}
