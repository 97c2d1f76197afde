"""Directories that are copied by the client and by the command line, on a daemon of their own."""

import json
import os
from pathlib import Path

import pytest

import proa
from integration.trees import content, tree_in
from proa import file_trees


@pytest.fixture
def client(daemon, token):
    with proa.connect(daemon, token=token) as client:
        yield client


@pytest.fixture
def tree(tmp_path):
    return tree_in(tmp_path)


def test_copy_here_is_never_more_open_than_what_the_caller_makes(ann, client, web, tmp_path):
    client.make_directory(web, "/etc/open", mode=0o777)
    client.write_file(web, "/etc/open/file", b"open", mode=0o777)
    before = os.umask(0o027)
    try:
        ann.ok("cp", "-r", f"{web}:/etc/open", tmp_path / "back")
        ann.ok("cp", f"{web}:/etc/open/file", tmp_path / "alone")
    finally:
        os.umask(before)
    made = [tmp_path / "back", tmp_path / "back/file", tmp_path / "alone"]
    assert [path.stat().st_mode & 0o7777 for path in made] == [0o750] * 3


def test_tree_comes_back_as_it_went(ann, web, tree, tmp_path):
    told = ann.run("cp", "-r", tree, f"{web}:/etc/tree")
    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == "4 files, 4 directories, 293 KiB\n"
    assert ann.ok("cp", "-r", f"{web}:/etc/tree", tmp_path / "back") == ""
    assert content(tmp_path / "back") == content(tree)


def test_tree_goes_into_a_directory_under_its_name_or_without_it(ann, web, tree, tmp_path, client):
    client.make_directory(web, "/srv")
    ann.ok("cp", "-r", tree, f"{web}:/srv")
    assert client.stat_file(web, "/srv/tree/one").size_bytes == 3
    ann.ok("cp", "-r", f"{tree}/.", f"{web}:/srv/")
    assert client.stat_file(web, "/srv/one").size_bytes == 3
    (tmp_path / "into").mkdir()
    ann.ok("cp", "-r", f"{web}:/srv/tree/", tmp_path / "into")
    assert content(tmp_path / "into/tree") == content(tree)
    ann.ok("cp", "-r", f"{web}:/srv/tree/.", tmp_path / "into")
    assert (tmp_path / "into/a/large").is_file()
    ann.ok("cp", "-r", f"{web}:/srv/one", tmp_path / "one")
    assert (tmp_path / "one").read_text() == "one"


def test_directory_without_the_option_is_refused_and_the_option_is_told(ann, web, tree, tmp_path):
    for source, target in ((tree, f"{web}:/etc/tree"), (f"{web}:/etc", tmp_path / "back")):
        refused = ann.run("cp", source, target)
        assert (refused.exit_code, "-r" in refused.stderr) == (2, True)
    assert "-r copies" in ann.fails(2, "cp", "-r", f"{web}:/etc", "-")
    ann.fails(3, "cp", "-r", f"{web}:/none", tmp_path / "back")
    assert not (tmp_path / "back").exists()
    ann.fails(3, "cp", "-r", tree, f"{web}:/none/none")
    ann.fails(2, "cp", "-r", tree / "none", f"{web}:/etc")


def test_what_cannot_be_copied_is_told_and_all_else_is(ann, web, tree, tmp_path, client):
    (tree / "link").symlink_to("/etc/passwd")
    (tree / "folder").symlink_to("a")
    os.mkfifo(tree / "pipe")
    Path(os.fsdecode(bytes(tree) + b"/\xff")).touch()
    client.make_directory(web, "/etc/tree")
    client.make_directory(web, "/etc/tree/one")
    told = ann.run("cp", "-r", "-v", f"{tree}/.", f"{web}:/etc/tree")
    assert told.exit_code == 1
    assert told.stdout.splitlines()[:3] == ["a/", "a/b/", "a/b/c/"]
    assert "Left out: link: a symbolic link\nError: one: " in told.stderr
    assert "Left out: folder: a symbolic link\n" in told.stderr
    assert "Left out: pipe: a pipe\n" in told.stderr
    assert "Error: \ufffd: its name is no text\n" in told.stderr
    assert "3 files, 4 directories, 293 KiB, 3 left out, 2 failed\n" in told.stderr
    with pytest.raises(proa.NotFound):
        client.stat_file(web, "/etc/tree/link")


def test_json_tells_of_each_failure_and_of_all(ann, web, tree, tmp_path):
    ann.ok("cp", "-r", tree, f"{web}:/etc/tree")
    told = ann.run("-o", "json", "cp", "-r", "--no-overwrite", f"{tree}/.", f"{web}:/etc/tree")
    assert told.exit_code == 7
    assert json.loads(told.stdout) == {
        "files": 0,
        "directories": 4,
        "bytes": 0,
        "left_out": 0,
        "failed": 4,
    }
    failures = [json.loads(line) for line in told.stderr.splitlines()]
    assert {each["path"] for each in failures} == {
        *("one", "a/large", "a/b/c/tool", "a/\N{SNOWMAN} name")
    }
    assert {each["reason"] for each in failures} == {"ALREADY_EXISTS"}
    (tmp_path / "back").mkdir()
    (tmp_path / "back/one").write_text("mine")
    told = ann.run("cp", "-r", "--no-overwrite", f"{web}:/etc/tree/.", tmp_path / "back")
    assert (told.exit_code, told.stderr.splitlines()[0]) == (7, "Error: one: File exists")
    assert (tmp_path / "back/one").read_text() == "mine"
    assert (tmp_path / "back/a/large").is_file()


def test_client_copies_trees(client, web, tree, tmp_path):
    entries = list(client.upload_tree(tree, web, "/tree"))
    assert [each.path for each in entries if each.is_directory] == ["a", "a/b", "a/b/c", "empty"]
    assert sum(each.size_bytes for each in entries) == 300_008
    assert all(each.error is None for each in client.download_tree(web, "/tree", tmp_path / "x"))
    assert content(tmp_path / "x") == content(tree)
    again = list(client.download_tree(web, "/tree", tmp_path / "x"))
    assert {type(each.error) for each in again if not each.is_directory} == {FileExistsError}


def test_tree_without_an_end_ends(client, web, tree, tmp_path, monkeypatch):
    list(client.upload_tree(tree, web, "/tree"))
    monkeypatch.setattr(file_trees, "MOST_ENTRIES", 3)
    with pytest.raises(ValueError, match="more than 3"):
        list(client.download_tree(web, "/tree", tmp_path / "x"))


def test_tree_that_is_too_deep_is_told_and_the_rest_is_copied(
    client, web, tree, tmp_path, monkeypatch
):
    monkeypatch.setattr(file_trees, "MOST_LEVELS", 2)
    up = list(client.upload_tree(tree, web, "/tree"))
    assert [each.path for each in up if each.error] == ["a/b/c"]
    client.make_directory(web, "/tree/a/b/c")
    down = list(client.download_tree(web, "/tree", tmp_path / "x"))
    assert [each.path for each in down if each.error] == ["a/b/c"]
    assert "2 directories deep" in str(down[[each.path for each in down].index("a/b/c")].error)
    assert (tmp_path / "x/empty").is_dir()


def test_resource_that_ends_meanwhile_ends_the_copy(ann, client, web, tree, tmp_path):
    list(client.upload_tree(tree, web, "/tree"))
    copying = client.download_tree(web, "/tree", tmp_path / "x")
    next(copying)
    ann.ok("stop", "--mode", "force", web)
    with pytest.raises(proa.FailedPrecondition) as told:
        list(copying)
    assert told.value.reason == "RESOURCE_NOT_RUNNING"
    assert told.value.code().name == "FAILED_PRECONDITION"
