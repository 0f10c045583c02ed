"""Draw the pictures of docs/figures.md, the README and the model card again: after new weights, or other figures.

    python docs/images/draw.py MOCAP

MOCAP is the folder that holds the set `cmu`.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from dreampose3d.cli import main

HERE = Path(__file__).parent
CLIP = ("--trial", "s011_t01")
# fmt: off
PICTURES = {
    "trajectory": ("trajectory", "CMU", *CLIP, "--input", "gt", "noisy", "--joints", "left_wrist", "right_ankle"),
    "lifted": ("qualitative", "CMU", *CLIP, "--input", "noisy", "--times", "2.5", "3.0", "3.3", "3.5", "4.0"),
    "failure-dance": (
        "qualitative", "CMU", "--trial", "s049_t10", "--input", "gt", "--times", "0.02", "0.3", "0.6", "1.0", "2.0",
    ),
    "failure-cartwheel": (
        "qualitative", "CMU", "--trial", "s049_t08", "--input", "gt", "--times", "0.2", "0.48", "1.0", "2.0", "3.0",
    ),
    "spatial": ("attention", "CMU", *CLIP, "--heads", "each"),
    "prompt": ("attention", "CMU", *CLIP, "--map", "prompt"),
    "affinity": ("affinity", "--weights", "small"),
    "prompts": ("prompts", "CMU", *CLIP, "--input", "noisy"),
}
# fmt: on
WIDTH_PX, COLOURS = 1050, 64

if __name__ == "__main__":
    for name, arguments in PICTURES.items():
        with TemporaryDirectory() as folder:
            drawn = Path(folder) / f"{name}.png"
            told = [str(Path(sys.argv[1]) / "cmu") if word == "CMU" else word for word in arguments]
            if main(["figure", *told, "--width", "full", "--out", str(drawn)]):
                sys.exit(f"{name} could not be drawn")
            image = Image.open(drawn).convert("RGB")
            height = round(image.height * WIDTH_PX / image.width)
            small = image.resize((WIDTH_PX, height), Image.Resampling.LANCZOS).quantize(COLOURS)
            small.save(HERE / f"{name}.png", optimize=True)
