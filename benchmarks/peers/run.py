"""The peers' ideas and ours at equal data and budget (docs/peers.md).

python benchmarks/peers/run.py --data MOCAP/cmu MOCAP/hdm05 --out runs/peers --seeds 0 1 2

Stopped with Ctrl-C, it goes on where it was; runs that are complete are not repeated; the table holds what there is.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))  # so that benchmarks.peers is found wherever this is run from

    import tyro
    from benchmarks.peers.comparison import Comparison, compare, markdown

    from dreampose3d.commands.console import say

    print(markdown(compare(tyro.cli(Comparison, description=__doc__), say)), end="")
