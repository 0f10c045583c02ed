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
