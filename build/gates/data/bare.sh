#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors
#
# Runs COMMAND where optional programs are hidden: bare.sh NAMES SCRATCH HIDDEN... -- COMMAND...
#
# NAMES lists the programs that stay, one pattern a line. They are taken from the folders of PATH and from the
# usual ones, and nothing else is left there. SCRATCH is an existing folder for mounts. Each folder HIDDEN becomes
# empty. It has to be started in a mount namespace of its own, with which all mounts disappear.
set -eu

names=$1
scratch=$2
shift 2
host=$(uname -m)
patterns=$(sed -e '/^#/d' -e "s/HOST/$host/" "$names")
mount -t tmpfs tmpfs "$scratch"

# The folders of PATH and the usual ones, each once, by their real paths.
folders=$(
    IFS=:
    for folder in $PATH /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        readlink -e -- "$folder" || true
    done | sort -u
)

# All replacements are made before the first takes effect: the programs that make them come from these folders.
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
                    # A file, or a link to another folder, which may be about to be hidden.
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
