import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dreampose3d.export.formats import export
from dreampose3d.skeleton import H36M_17


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("blender"), reason="needs Blender (Debian: apt-get install blender)")
@pytest.mark.parametrize(("kind", "first", "per_frame"), [("bvh", 1, 1), ("glb", 0, 30 / 29.97)])
def test_blender_puts_every_joint_where_it_was(walk, tmp_path, kind, first, per_frame):
    """Blender's z is up, as the world's. It counts BVH frames from 1, and glTF's in frames of its scene's rate, 30."""
    (path,) = export(walk, kind, tmp_path)
    frames = {f"{first + per_frame * frame:.6f}": frame for frame in (0, 20, len(walk) - 1)}
    script = Path(__file__).with_name("blender_reads.py")
    command = ["blender", "--background", "--python-exit-code", "1", "--python", str(script), "--", str(path), *frames]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found = json.loads(line.removeprefix("FOUND "))
    for there, frame in frames.items():
        places = 1000 * np.array([found["joints_m"][there][name] for name in H36M_17.joints])
        np.testing.assert_allclose(places, walk.joints_mm[frame], atol=1.0)
    assert found["range"] == pytest.approx([first, first + per_frame * (len(walk) - 1)], abs=1e-3)
    assert found["fps"] == pytest.approx(walk.fps * per_frame, abs=0.05)  # it rounds


_VALIDATE = """
const validator = require("gltf-validator"), bytes = require("fs").readFileSync(process.argv[1]);
validator.validateBytes(new Uint8Array(bytes)).then((report) => console.log(JSON.stringify(report.issues)));
"""


def test_the_official_validator_has_nothing_against_the_glb(walk, tmp_path):
    if (
        not shutil.which("node")
        or subprocess.run(["node", "-e", "require('gltf-validator')"], capture_output=True).returncode
    ):
        pytest.skip("needs node and its package gltf-validator (npm install gltf-validator; NODE_PATH)")
    (path,) = export(walk, "glb", tmp_path)
    done = subprocess.run(["node", "-e", _VALIDATE, str(path)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["messages"] == []
