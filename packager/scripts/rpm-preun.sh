#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors
#
# `%preun` of an RPM: stop and disable, unless another version follows.

if [ "$1" -eq 0 ] && command -v systemctl >/dev/null; then
    systemctl --no-reload disable UNIT >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
        systemctl stop UNIT >/dev/null 2>&1 || :
    fi
fi
