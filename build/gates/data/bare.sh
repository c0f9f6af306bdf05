#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors
#
# Runs COMMAND with optional programs hidden: bare.sh NAMES SCRATCH HIDDEN... -- COMMAND...
#
# NAMES lists the visible programs, one pattern per line; all others in PATH and in the standard folders are
# hidden. SCRATCH is an existing folder for mounts. Each folder HIDDEN becomes empty. Must run in its own mount
# namespace, which ends all mounts.
set -eu

names=$1
scratch=$2
shift 2
host=$(uname -m)
patterns=$(sed -e '/^#/d' -e "s/HOST/$host/" "$names")
mount -t tmpfs tmpfs "$scratch"

# Resolved folders of PATH and the standard ones, deduplicated.
folders=$(
    IFS=:
    for folder in $PATH /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        readlink -e -- "$folder" || true
    done | sort -u
)

# Prepares all replacements before mounting the first: the programs used here are in these folders.
count=0
for folder in $folders; do
    count=$((count + 1))
    old=$scratch/$count.old
    new=$scratch/$count.new
    mkdir "$old" "$new"
    mount --bind "$folder" "$old"
    for pattern in $patterns; do
        for file in "$old"/$pattern; do
            # A pattern without a match stays as it is.
            [ -f "$file" ] || continue
            program=$new/${file##*/}
            target=$(readlink "$file" || true)
            case $target in
                '' | */*)
                    # Copies a file, or the target of a link, whose folder may be hidden next.
                    : >"$program"
                    mount --bind "$(readlink -f "$file")" "$program"
                    ;;
                *) ln -s "$target" "$program" ;;
            esac
        done
    done
done

while [ "$1" != -- ]; do
    if [ -d "$1" ]; then
        mount -t tmpfs tmpfs "$1"
    fi
    shift
done
shift

count=0
for folder in $folders; do
    count=$((count + 1))
    mount --rbind "$scratch/$count.new" "$folder"
done
exec "$@"
