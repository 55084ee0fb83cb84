#!/usr/bin/env bash
# Stands in for `br`: leaves the same files, log lines and exit codes as BR, as far as its documents and sources tell them. What it
# shall do besides lies in `control` beside it, as assignments; `hold`, while it is there, stops it in the middle of its work.
set -u
export LC_ALL=C
here=$(dirname -- "$0")

VERSION=v6.5.0          # of this program
CLUSTER_ID=7123456789012345678
CLUSTER_VERSION=6.5.0
BACKUP_TS=              # now, unless set
GC=0                    # the safe point of garbage collection
FAIL=                   # fails with this text before anything is written
FAIL_LATE=              # the same in the middle of the work
ON_TERM=graceful        # or `ignore`
CHILD=                  # leaves a process in its group that ignores SIGTERM
FLOOD=0                 # bytes printed, half of them in one line
SUMMARY=new             # or `old`, `none`
WITHOUT_META=           # writes no `backupmeta`, and says that all is well
CODE=                   # ends with this exit code instead
SAY=                    # prints this as it begins
[ -e "$here/control" ] && . "$here/control"

log() { printf '[%s] [%s] [stand_in.go:1] %s\n' "$(date '+%Y/%m/%d %H:%M:%S.%3N +00:00')" "$1" "$2"; }
quoted() { local text=${1//\\/\\\\}; printf '"%s"' "${text//\"/\\\"}"; }

fail() {
    log ERROR "[\"failed to $action\"] [error=$(quoted "$1")] [stack=\"main.main\\n\\tmain.go:60\"]"
    log INFO "[\"Full $Name failed summary\"] [total-ranges=0] [ranges-succeed=0] [ranges-failed=0] [unit-name=a] [error=$(quoted "$1")]"
    printf 'Error: %s\n' "$1" >&2
    exit 1
}

progress() { log INFO "[progress] [step=\"$1\"] [progress=$2%] [count=\"${2%%.*} / 100\"] [speed=\"1 p/s\"] [elapsed=1s] [remaining=1s]"; }

# Waits while a test holds it; says that it got here.
middle() {
    : > "$here/reached"
    while [ -e "$here/hold" ]; do sleep 0.02; done
    [ -z "$FAIL_LATE" ] || fail "$FAIL_LATE"
}

# Protocol buffers: base-128 numbers, numbered fields, and fields with bytes from a file.
varint() {
    local n=$1
    while ((n > 127)); do printf "\\x$(printf %02x $((n & 127 | 128)))"; ((n >>= 7)); done
    printf "\\x$(printf %02x "$n")"
}
number() { varint $(($1 << 3)); varint "$2"; }
bytes() { varint $(($1 << 3 | 2)); varint "$(stat -c %s -- "$2")"; cat -- "$2"; }
text() { varint $(($1 << 3 | 2)); varint ${#2}; printf %s "$2"; }

# The line of `File` for an SST: name, sha256, end_version, total_kvs, total_bytes, cf, size.
file_message() {
    local name=$1 path=$target/$1
    text 1 "$name"
    printf "$(sha256sum < "$path" | cut -c1-64 | sed 's/../\\x&/g')" > "$scratch/sha256"
    bytes 2 "$scratch/sha256"
    number 6 "$ts"
    number 8 1
    number 9 "$(stat -c %s -- "$path")"
    text 10 default
    number 11 "$(stat -c %s -- "$path")"
}

cipher() { openssl enc "$1" "-${method/aes/aes-}" -nopad -K "$(cat -- "$key_file")" -iv "$2"; }

backup() {
    if [ -e "$target/backupmeta" ] || [ -e "$target/backup.lock" ]; then
        fail "[BR:Common:ErrInvalidArgument]backup meta file exists in $storage, there may be some backup files in the path already, please specify a correct backup directory!"
    fi
    ((last == 0 || last > GC)) || fail "[BR:Backup:ErrBackupGCSafepointExceeded]GC safepoint $GC exceed TS $last"
    mkdir -p -- "$target/1" || fail "[BR:ExternalStorage:ErrStorageInvalidPermission]permission denied"
    printf 'DO NOT DELETE\nThis file exists to remind other backup jobs won'\''t use this path' > "$target/backup.lock"
    ts=${BACKUP_TS:-$(($(date +%s%3N) << 18))}
    progress "Full Backup" 0.00
    local region=0 size=0 files=("$here"/cluster/*) name
    for file in "${files[@]}"; do
        ((region += 2))
        name="1/${region}_5_$(printf '%s' "$file" | sha256sum | cut -c1-16)_$((ts >> 18))_default.sst"
        cp -- "$file" "$target/$name"
        size=$((size + $(stat -c %s -- "$file")))
        file_message "$name" > "$scratch/message"
        bytes 4 "$scratch/message" >> "$scratch/files"
        if ((region == 2)); then progress "Full Backup" 12.34; middle; fi
    done
    progress "Full Backup" 100.00
    progress Checksum 250.00
    {
        number 1 "$CLUSTER_ID"
        text 2 "$(printf '"%s"\n' "$CLUSTER_VERSION")"
        cat -- "$scratch/files"
        number 5 "$last"
        number 6 "$ts"
        text 11 "Release Version: $VERSION"
        number 25 "$size"
    } > "$scratch/backupmeta"
    if [ -n "$method" ]; then
        local iv
        iv=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
        { printf "$(sed 's/../\\x&/g' <<< "$iv")"; cipher -e "$iv" < "$scratch/backupmeta"; } > "$scratch/whole"
        mv -- "$scratch/whole" "$scratch/backupmeta"
    fi
    [ -n "$WITHOUT_META" ] || cp -- "$scratch/backupmeta" "$target/backupmeta"
    fields="[BackupTS=$ts] [total-kv=${#files[@]}] [total-kv-size=${size}B] [average-speed=${size}B/s] [Size=$size]"
}

restore() {
    [ -e "$target/backupmeta" ] || fail "[BR:ExternalStorage:ErrStorageUnknown]open $target/backupmeta: no such file or directory"
    if [ -n "$method" ]; then
        local iv
        iv=$(head -c 16 -- "$target/backupmeta" | od -An -tx1 | tr -d ' \n')
        [ "$(tail -c +17 -- "$target/backupmeta" | cipher -d "$iv" | head -c 1 | od -An -tx1 | tr -d ' ')" = 08 ] \
            || fail "[BR:Common:ErrInvalidMetaFile]parse backupmeta failed because of wrong aes cipher"
    fi
    progress "Split&Scatter Region" 50.00
    middle
    find "$target" -name '*.sst' -print0 | sort -zV | xargs -0r cat -- >> "$here/restored"
    progress "Download&Ingest SST" 100.00
    fields="[total-kv=1] [total-kv-size=1B] [Size=$(stat -c %s -- "$here/restored")]"
}

if [ "${1-}" = --version ]; then
    [ -n "$VERSION" ] && printf 'Release Version: %s\nGit Commit Hash: 706c3fa3c526cdba5b3e9f066b1a568fb96c56e3\nGo Version: go1.19.3\n' "$VERSION"
    exit 0
fi

mkdir -p -- "$here/seen"
cat "/proc/$$/cmdline" > "$here/seen/$$.argv"
cat "/proc/$$/environ" > "$here/seen/$$.environ"
action=${1-} Name=Backup storage= method= key_file= last=0 fields=
[ "$action" = restore ] && Name=Restore
if { [ "$action" != backup ] && [ "$action" != restore ]; } || [ "${2-}" != full ]; then
    printf 'Error: unknown command\n' >&2
    exit 1
fi
for argument in "${@:3}"; do
    value=${argument#*=}
    case $argument in
        --storage=*) storage=$value ;;
        --lastbackupts=*) last=$value ;;
        --crypter.method=*) method=$value ;;
        --crypter.key-file=*) key_file=$value; stat -c %a -- "$value" > "$here/seen/$$.key-mode" ;;
        --pd=* | --ca=* | --cert=* | --key=* | --ratelimit=* | --concurrency=* | --checksum=* | --check-requirements=* | --s3.*=* | --send-credentials-to-tikv=*) ;;
        *) printf 'Error: unknown flag: %s\n' "$argument" >&2; exit 1 ;;
    esac
done

# What it works with goes when it ends.
scratch=$(mktemp -d "$here/scratch.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT
: > "$scratch/files"
path=${storage#*://}
path=${path%%\?*}
path=${path//\\/\\\\}
printf -v path '%b' "${path//%/\\x}"
case $storage in
    local:///*) target=$path ;;
    s3://*) target=$here/s3/$path ;;
    *) fail "[BR:ExternalStorage:ErrStorageInvalidConfig]storage $storage not support yet" ;;
esac

case $ON_TERM in
    graceful) trap 'fail "[BR:Common:ErrUnknown]context canceled"' TERM INT HUP QUIT ;;
    ignore) trap '' TERM ;;
esac
if [ -n "$CHILD" ]; then
    (trap '' TERM; exec sleep 1000) &
    printf %s "$!" > "$here/child"
fi
[ -z "$SAY" ] || printf '%s\n' "$SAY"
[ -z "$FAIL" ] || fail "$FAIL"
if ((FLOOD > 0)); then
    yes "[2023/02/10 05:20:39.147 +00:00] [INFO] [p.go:1] [progress] [step=\"Full Backup\"] [progress=1.00%]" | head -c $((FLOOD / 2))
    tr '\0' x < /dev/zero | head -c $((FLOOD / 2)) >&2
    printf '\n' >&2
fi
"$action"
case $SUMMARY in
    new) log INFO "[\"Full $Name success summary\"] [total-ranges=1] [ranges-succeed=1] [ranges-failed=0] [total-take=1.416143685s] $fields" ;;
    old) log INFO "[\"Full ${Name,} Success summary: total backup ranges: 1, total success: 1, total failed: 0, total take(Full backup time): 1.2s, total kv: 1\"] [\"backup checksum\"=3ms] $fields" ;;
esac
exit "${CODE:-0}"
