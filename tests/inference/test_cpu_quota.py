"""Cores that a container may use, from trees of files as the kernel lays them out."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from worker.inference.cpu_quota import available_cores

AFFINITY = 64


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(AFFINITY)))


def cores(root: Path, files: Mapping[str, str]) -> int:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return available_cores(root)


def test_without_a_cgroup_all_cores_of_the_affinity_are_used(tmp_path: Path) -> None:
    assert cores(tmp_path, {}) == AFFINITY


def test_a_v2_quota_of_a_container_counts(tmp_path: Path) -> None:
    # In a cgroup namespace the container's own group is the root.
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}
    assert cores(tmp_path, files) == 2


def test_no_v2_limit_is_no_limit(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}
    assert cores(tmp_path, files) == AFFINITY


def test_the_least_of_nested_v2_quotas_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/kubepods/pod1/worker\n",
        "sys/fs/cgroup/kubepods/pod1/worker/cpu.max": "max 100000\n",
        "sys/fs/cgroup/kubepods/pod1/cpu.max": "350000 100000\n",
        "sys/fs/cgroup/kubepods/cpu.max": "1600000 100000\n",
    }
    assert cores(tmp_path, files) == 3


def test_what_lies_above_the_cgroups_is_no_quota(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/worker\n", "sys/fs/cpu.max": "100000 100000\n"}
    assert cores(tmp_path, files) == AFFINITY


def test_a_quota_below_one_core_is_one_core(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}
    assert cores(tmp_path, files) == 1


def test_a_quota_above_the_affinity_changes_nothing(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "12800000 100000\n"}
    assert cores(tmp_path, files) == AFFINITY


V1 = "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n1:name=systemd:/docker/abc\n"


def test_a_v1_quota_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": V1,
        "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "250000\n",
        "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
    }
    assert cores(tmp_path, files) == 2


def test_a_v1_quota_is_found_where_the_container_sees_only_its_own_group(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": V1,
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert cores(tmp_path, files) == 4


def test_no_v1_limit_is_no_limit(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": V1,
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert cores(tmp_path, files) == AFFINITY


def test_a_cpuset_controller_is_no_cpu_controller(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpuset:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert cores(tmp_path, files) == AFFINITY


@pytest.mark.parametrize("content", ["", "max", "100000", "many 100000 1\n"])
def test_a_file_that_says_nothing_is_no_limit(tmp_path: Path, content: str) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": content}
    assert cores(tmp_path, files) == AFFINITY


def test_the_machine_that_runs_this_has_a_core() -> None:
    assert available_cores() >= 1
