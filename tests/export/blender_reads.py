"""Run inside Blender: import a BVH or GLB file and print where each joint is, metres, in Blender's axes (z up).

blender --background --python-exit-code 1 --python blender_reads.py -- walk.bvh FRAME FRAME ...
"""

import builtins
import json
import sys

import bpy
import numpy as np

# Debian 12's Blender 3.4 is older than its Python, which no longer opens files as "rU", and than its numpy without bool
plain_open = builtins.open
builtins.open = lambda file, mode="r", *rest, **named: plain_open(file, mode.replace("U", ""), *rest, **named)
np.bool = bool

path, *frames = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
if path.endswith(".bvh"):
    bpy.ops.import_anim.bvh(filepath=path, global_scale=0.01, update_scene_fps=True, update_scene_duration=True)
else:
    bpy.context.scene.render.fps = 30  # its importer turns seconds to frames by this whole number
    bpy.ops.import_scene.gltf(filepath=path)
scene = bpy.context.scene
armature = next(thing for thing in scene.objects if thing.type == "ARMATURE")
found = {}
for frame in frames:
    scene.frame_set(int(float(frame)), subframe=float(frame) % 1)
    found[frame] = {bone.name: list(armature.matrix_world @ bone.head) for bone in armature.pose.bones}
rate, reach = scene.render.fps / scene.render.fps_base, list(armature.animation_data.action.frame_range)
print("FOUND " + json.dumps({"joints_m": found, "fps": rate, "range": reach}))
