"""Each setting of a profile has its proof on a real engine, or a reason to have none."""

from collections import Counter

import hostile_containers.needs
import hostile_xml.needs
from hostile_containers.needs import UNEXERCISED
from proad.policy import Profile

ELSEWHERE = {
    "foreign": "integration/daemon/test_policy.py",
    "allow_shared_networks": "integration/docker/test_shared_networks.py",
    "shared_volumes": "integration/libvirt/test_shared_volumes.py",
    "max_snapshots": "integration/libvirt/test_snapshot_limits.py",
    "quota_resources": "rpc/test_quotas.py",
    "quota_running": "rpc/test_quotas.py",
    "quota_cpus": "rpc/test_quotas.py",
    "quota_memory_bytes": "rpc/test_quotas.py",
    "quota_disk_bytes": "rpc/test_quotas.py",
    "quota_ports": "rpc/test_quotas.py",
}
"""The settings that are shown elsewhere, since no single document needs them."""
PRESETS = {
    *("default_pids_limit", "default_publish_address"),
    *("quota_default_cpus", "quota_default_memory_bytes"),
}
"""The settings that deny nothing: what a request gets that says nothing."""


def test_each_setting_has_one_document_that_needs_it():
    containers = [each.setting for each in hostile_containers.needs.NEEDS]
    domains = [each.setting for each in hostile_xml.needs.NEEDS]
    of_both = {"max_memory_bytes", "max_cpus"}

    assert {*containers} & {*domains} == of_both
    shown = Counter([*containers, *domains, *ELSEWHERE, *PRESETS, *UNEXERCISED])
    assert shown == {name: 2 if name in of_both else 1 for name in Profile.model_fields}
