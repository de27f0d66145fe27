"""The few files of /etc that programs expect; they name nobody of the host."""

from __future__ import annotations

INSIDE_UID = 1000
ETC = {
    "/etc/passwd": f"root:x:0:0::/:/bin/sh\nhone:x:{INSIDE_UID}:{INSIDE_UID}::/scratch:/bin/sh\n",
    "/etc/group": f"root:x:0:\nhone:x:{INSIDE_UID}:\n",
    "/etc/hosts": "127.0.0.1 localhost hone\n::1 localhost\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "/etc/hostname": "hone\n",
}
