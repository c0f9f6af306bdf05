# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors

"""Boots the host behind each BMC, given as NAME=URL, once from a virtual CD, with sushy."""

import sys
import time

import sushy
from sushy import auth


def wait(what, resource, done):
    """Refreshes the resource until it is done."""
    for _ in range(500):
        resource.refresh(force=True)
        if done(resource):
            return
        time.sleep(0.02)
    raise SystemExit(f"{resource.path}: not {what}")


def drives(system):
    """The drives that accept the URL of a CD image."""
    try:
        owner = system.virtual_media
    except sushy.exceptions.MissingAttributeError:
        owner = system.managers[0].virtual_media
    return [
        drive
        for drive in owner.get_members()
        if sushy.VIRTUAL_MEDIA_CD in drive.media_types
        and not drive.identity.startswith(("RDOC", "Remote"))
    ]


def install(url):
    """Does what a job of the controller does."""
    login = auth.SessionOrBasicAuth("admin", "password")
    root = sushy.Sushy(url, auth=login, verify=False)
    system = root.get_system()
    assert system.power_state == sushy.PowerState.ON, system.power_state
    drive = drives(system)[0]
    drive.insert_media("http://media.test/maintenance.iso")
    wait("inserted", drive, lambda it: it.inserted)
    system.set_system_boot_options(sushy.BootSource.CD, enabled=sushy.BootSourceOverrideEnabled.ONCE)
    system.refresh(force=True)
    assert system.boot.enabled == sushy.BootSourceOverrideEnabled.ONCE, system.boot.enabled
    allowed = system.get_allowed_reset_system_values()
    graceful, forced = sushy.ResetType.GRACEFUL_RESTART, sushy.ResetType.FORCE_RESTART
    system.reset_system(graceful if graceful in allowed else forced)
    off = sushy.BootSourceOverrideEnabled.DISABLED
    wait("booted", system, lambda it: it.boot.enabled == off)
    drive.eject_media()
    wait("ejected", drive, lambda it: not it.inserted)
    login.close()


for argument in sys.argv[1:]:
    name, address = argument.split("=", 1)
    try:
        install(address)
    except (Exception, SystemExit) as error:
        raise RuntimeError(f"sushy cannot provision the personality {name}") from error
