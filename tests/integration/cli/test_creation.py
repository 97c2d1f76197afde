import json

import pytest


@pytest.fixture
def remove(ann, name):
    yield
    ann.ok("rm", "--force", "--snapshots", "--missing-ok", name)


def test_run_with_the_options_of_docker_run_creates_the_container(ann, name, remove, monkeypatch):
    monkeypatch.setenv("OURS", "yes")
    out = ann.ok(
        *("--output", "json", "run", "--name", name, "-d", "--rm", "--init", "-i", "-t"),
        *("--read-only", "-e", "A=b", "--env", "EMPTY=", "-e", "OURS", "-e", "NOT_OURS"),
        *("-p", "127.0.0.1:8080:80", "-p", "53/udp", "-v", "data:/data:ro"),
        *("--tmpfs", "/run:size=1m,mode=1777", "--memory", "256m", "--cpus", "1.5"),
        *("--pids-limit", "100", "--shm-size", "1G", "-u", "1000:1000", "-w", "/srv"),
        *("-h", "inside", "--stop-signal", "SIGINT", "--stop-timeout", "1m"),
        *("--ulimit", "nofile=1024:2048", "--cap-drop", "ALL", "--label", "a=b"),
        *("debian:12", "ls", "-la", "--output", "table"),
    )
    made = json.loads(out)
    assert made["state"] == "RESOURCE_STATE_RUNNING"
    assert made["lifetime"] == "LIFETIME_TRANSIENT"
    assert made["labels"]["a"] == "b"
    got = ann.json("get", name)["container"]
    assert got["command"][-4:] == ["ls", "-la", "--output", "table"]
    assert got["env"]["A"] == "b"
    assert got["env"]["OURS"] == "yes"
    assert got["env"]["EMPTY"] == ""
    assert "NOT_OURS" not in got["env"]
    assert got["ports"][0] == {
        "container_port": 80,
        "host_port": 8080,
        "host_ip": "127.0.0.1",
        "protocol": "PORT_PROTOCOL_TCP",
    }
    assert (got["user"], got["working_dir"], got["hostname"]) == ("1000:1000", "/srv", "inside")
    assert got["stop_signal"] == "SIGINT"
    assert {mount["target"] for mount in got["mounts"]} == {"/data", "/run"}
    spec = got["spec"]
    assert spec["resources"]["memory_bytes"] == str(256 * 2**20)
    assert spec["resources"]["cpus"] == 1.5
    assert spec["resources"]["pids_limit"] == 100
    assert spec["shm_size_bytes"] == str(2**30)
    assert (spec["init"], spec["tty"], spec["stdin_open"], spec["read_only_root"]) == (True,) * 4
    assert spec["stop_timeout"] == "60s"
    assert spec["ulimits"] == [{"name": "nofile", "soft": "1024", "hard": "2048"}]
    assert spec["cap_drop"] == ["ALL"]


def test_run_with_no_start_leaves_the_container_stopped(ann, name, remove):
    id = ann.ok("run", "--no-start", "--name", name, "debian:12").strip()
    got = ann.json("get", id)
    assert (got["state"], got["id"]) == ("RESOURCE_STATE_STOPPED", id)


def test_run_of_a_missing_image_pulls_it(ann, name, remove):
    image = f"{name}:1"
    assert "IMAGE_NOT_FOUND" in ann.fails(3, "run", "--pull", "never", "--name", name, image)
    ann.ok("run", "--name", name, image)
    assert ann.json("images", image)[0]["tags"] == [image]
    ann.ok("rm", "--force", name)
    assert f"untagged {image}" in ann.ok("rmi", image)
    assert ann.json("images", image) == []
    assert "IMAGE_NOT_FOUND" in ann.fails(3, "rmi", image)


def test_pull_prints_the_image_id(ann, name):
    image = ann.json("pull", f"{name}:2")
    assert image["tags"] == [f"{name}:2"]
    assert ann.ok("pull", f"{name}:2").strip() == image["id"]
    assert f"{name}:2" in ann.ok("images")
    ann.ok("rmi", f"{name}:2")


@pytest.mark.parametrize(
    "wrong",
    [
        ("-p", "http"),
        ("-v", "a/b:/c"),
        ("--mount", "type=nfs,target=/x"),
        ("--mount", "type=bind,target=/x,colour=red"),
        ("--tmpfs", "/x:size=big"),
        ("--tmpfs", "/x:mode=rw"),
        ("--ulimit", "nofile"),
        ("--device", "a:b:c:d"),
        ("--restart", "sometimes"),
        ("--restart", "always:3"),
        ("--memory", "much"),
        ("--cpu-shares", "-1"),
        ("--add-host", "db"),
        ("--health-interval", "often"),
        ("--pull", "maybe"),
    ],
    ids=" ".join,
)
def test_run_with_wrong_options_exits_with_usage(ann, wrong):
    assert ann.fails(2, "run", *wrong, "debian:12")


def test_vm_create_with_options_creates_the_domain(ann, name, remove):
    made = ann.json(
        *("vm", "create", name, "--memory", "1.5GiB", "--vcpus", "2", "--cdrom", "/iso/x.iso"),
        *("--cdrom", "/iso/drivers.iso", "--cdrom", "empty"),
        *("--disk", "5GiB,bus=sata", "--network", "default,model=e1000e", "--uefi"),
        *("--boot", "cdrom", "--boot", "disk", "--title", "A desk", "--label", "a=b"),
    )
    got = ann.json("get", name)
    assert made["id"] == got["id"]
    domain = got["domain"]
    assert got["state"] == "RESOURCE_STATE_STOPPED"
    assert got["labels"] == {"a": "b"}
    assert (domain["memory_bytes"], domain["vcpus"]) == (str(3 * 2**29), 2)
    spec = domain["spec"]
    assert (spec["firmware"], spec["title"]) == ("FIRMWARE_UEFI", "A desk")
    assert spec["boot_order"] == ["BOOT_DEVICE_CDROM", "BOOT_DEVICE_DISK"]
    drives = [disk for disk in domain["disks"] if disk["device"] == "DISK_DEVICE_CDROM"]
    assert [drive.get("path", "") for drive in drives] == ["/iso/x.iso", "/iso/drivers.iso", ""]
    (disk,) = (disk for disk in domain["disks"] if disk["device"] == "DISK_DEVICE_DISK")
    assert disk["capacity_bytes"] == str(5 * 2**30)
    assert disk["bus"] == "DISK_BUS_SATA"


def test_vm_create_without_disk_and_network_has_none(ann, name, remove):
    ann.ok("vm", "create", name, "-m", "64MiB", "--disk", "none", "--network", "none")
    domain = ann.json("get", name)["domain"]
    assert "disks" not in domain
    assert "networks" not in domain


def test_vm_create_on_volumes_uses_them(ann, name, remove):
    base = f"{name}-base.qcow2"
    ann.ok("volumes", "create", f"default/{base}", "--size", "1GiB")
    ann.ok("vm", "create", name, "-m", "64MiB", "--disk", f"base=default/{base}")
    disk = ann.json("get", name)["domain"]["disks"][0]
    assert disk["owned"] is True
    assert "IN_USE" in ann.fails(5, "volumes", "rm", f"default/{base}")
    ann.ok("rm", name)
    ann.ok("vm", "create", name, "-m", "64MiB", "--disk", f"volume=default/{base}")
    assert ann.json("get", name)["domain"]["disks"][0]["volume"]["name"] == base
    ann.ok("rm", name)
    assert ann.ok("volumes", "rm", f"default/{base}") == f"{base}\n"


def test_vm_create_from_xml_uses_it(ann, name, remove, tmp_path):
    ann.ok("vm", "create", name, "-m", "64MiB", "--disk", "none")
    xml = ann.ok("vm", "xml", name)
    assert ann.json("vm", "xml", name)["xml"].strip() == xml.strip()
    ann.ok("rm", name)
    file = tmp_path / "domain.xml"
    file.write_text(xml)
    ann.ok("vm", "create", "--xml", file)
    assert ann.json("get", name)["name"] == name
    ann.ok("rm", name)
    ann.ok("vm", "create", "--xml", "-", "--start", input=xml)
    assert ann.json("get", name)["state"] == "RESOURCE_STATE_RUNNING"


@pytest.mark.parametrize(
    "wrong",
    [
        ("x",),
        ("--memory", "1G"),
        ("x", "--memory", "1G", "--disk", "big"),
        ("x", "--memory", "1G", "--disk", "pool=default"),
        ("x", "--memory", "1G", "--disk", "1G,colour=red"),
        ("x", "--memory", "1G", "--disk", "volume=a/b/c"),
        ("x", "--memory", "1G", "--disk", "1G,bus=ide"),
        ("x", "--memory", "1G", "--network", "default,model=ne2000"),
        ("x", "--memory", "1G", "--boot", "floppy"),
        ("x", "--memory", "1G", "--vcpus", "-1"),
        ("x", "--xml", "/etc/hostname"),
        ("--xml", "/none.xml"),
        ("--xml", "/etc/hostname"),
    ],
    ids=" ".join,
)
def test_vm_create_with_wrong_options_exits_with_usage(ann, wrong):
    assert ann.fails(2, "vm", "create", *wrong)


def test_snapshot_commands_create_list_revert_and_delete(ann, name, remove):
    ann.ok("vm", "create", name, "-m", "64MiB", "--start")
    assert ann.ok("snapshot", "create", name, "one", "--description", "first") == "one\n"
    assert ann.json("snapshot", "create", name, "two")["parent"] == "one"
    assert [one["name"] for one in ann.json("snapshot", "ls", name)] == ["one", "two"]
    table = ann.ok("snapshot", "ls", name).splitlines()
    assert table[1].split()[0] == "one"
    assert "first" in table[1]
    assert [line.split()[1] for line in (table[0], table[2])] == ["CURRENT", "yes"]
    ann.ok("stop", "--mode", "force", name)
    assert ann.ok("snapshot", "revert", name, "one") == f"{name} running\n"
    assert ann.ok("snapshot", "revert", name, "one", "--state", "paused") == f"{name} paused\n"
    ann.ok("stop", "--mode", "force", name)
    assert ann.ok("start", "--from-snapshot", "two", name) == f"{name} running\n"
    assert "SNAPSHOT_NOT_FOUND" in ann.fails(3, "snapshot", "revert", name, "three")
    assert "HAS_SNAPSHOTS" in ann.fails(5, "rm", "-f", name)
    assert ann.ok("snapshot", "rm", name, "one", "two") == "one\ntwo\n"
    assert ann.json("snapshot", "ls", name) == []


def test_volumes_commands_create_list_and_delete(ann, name):
    volume = f"{name}.raw"
    made = ann.json("volumes", "create", f"default/{volume}", "--size", "1M", "--format", "raw")
    assert (made["capacity_bytes"], made["format"]) == (str(2**20), "DISK_FORMAT_RAW")
    assert volume in ann.ok("volumes")
    assert volume in [one["name"] for one in ann.json("volumes")]
    assert volume in [one["name"] for one in ann.json("volumes", "ls", "default")]
    assert "ALREADY_EXISTS" in ann.fails(7, "volumes", "create", volume, "--size", "1M")
    ann.ok("volumes", "rm", volume)
    assert "VOLUME_NOT_FOUND" in ann.fails(3, "volumes", "rm", volume)
    assert "VOLUME_NOT_FOUND" in ann.fails(3, "volumes", "ls", "proa-test-no-such-pool")


def test_registry_login_and_logout_reach_the_daemon(ann):
    ann.ok(
        *("registry", "login", "registry.example:5000", "-u", "ann", "--password-stdin"),
        input="secret\n",
    )
    ann.ok("registry", "logout", "registry.example:5000")


def test_registry_login_with_a_password_from_stdin_needs_a_username(ann):
    login = ("registry", "login", "registry.example:5000", "--password-stdin")
    assert "--password-stdin needs --username, too" in ann.fails(2, *login, input="secret\n")
