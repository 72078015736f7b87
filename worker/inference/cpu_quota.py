"""Counts the cores that this process may use, from its affinity and its cgroup quota.

In a pod with a limit of two CPUs on a host of 64 cores, 64 threads would all be throttled.
"""

import math
import os
from pathlib import Path


def available_cores(root: Path = Path("/")) -> int:
    """At least 1. `root` is the directory that contains /proc and /sys."""
    cores = len(os.sched_getaffinity(0))
    quota = _cgroup_quota(root)
    # Rounded down: the fraction of a core that remains serves the event loop.
    return max(1, min(cores, math.floor(quota)) if quota is not None else cores)


def _cgroup_quota(root: Path) -> float | None:
    """The smallest quota of this process's cgroup and its ancestors, in cores; `None`: no quota."""
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for membership in memberships:
        _, controllers, path = membership.split(":", 2)
        if controllers == "":
            mount, read = root / "sys/fs/cgroup", _quota_v2
        elif "cpu" in controllers.split(","):
            mount, read = root / "sys/fs/cgroup/cpu", _quota_v1
        else:
            continue
        directory = mount / path.lstrip("/")
        for level in [directory, *directory.parents]:
            quotas.append(read(level))
            if level == mount:
                break
    known = [quota for quota in quotas if quota is not None]
    return min(known, default=None)


def _quota_v2(directory: Path) -> float | None:
    try:
        quota, period = (directory / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(directory: Path) -> float | None:
    try:
        quota = int((directory / "cpu.cfs_quota_us").read_text())
        period = int((directory / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
