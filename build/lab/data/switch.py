# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors

"""A switch with a trunk and an access port, in user space.

    switch.py TRUNK ACCESS VLAN

Forwards Ethernet frames between the two TAP devices. Frames of VLAN are tagged on TRUNK (IEEE 802.1Q)
and untagged on ACCESS. All others are dropped.
"""

import fcntl
import os
import select
import struct
import sys

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000

TPID = b"\x81\x00"
# Both MAC addresses come before the tag.
ADDRESSES = 12
MAX_FRAME = 65536


def open_tap(name):
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def untag(frame, vlan):
    """Returns the frame without its tag, or None if it is not of the VLAN."""
    head, tag, rest = frame[:ADDRESSES], frame[ADDRESSES : ADDRESSES + 4], frame[ADDRESSES + 4 :]
    if tag[:2] != TPID or len(tag) < 4 or struct.unpack(">H", tag[2:])[0] & 0xFFF != vlan:
        return None
    return head + rest


def main():
    trunk, access, vlan = open_tap(sys.argv[1]), open_tap(sys.argv[2]), int(sys.argv[3])
    tag = TPID + struct.pack(">H", vlan)
    while True:
        for source in select.select([trunk, access], [], [])[0]:
            frame = os.read(source, MAX_FRAME)
            if source == access:
                os.write(trunk, frame[:ADDRESSES] + tag + frame[ADDRESSES:])
            elif plain := untag(frame, vlan):
                os.write(access, plain)


main()
