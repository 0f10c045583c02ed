"""D3DP (Shan et al. 2023): a denoiser over joint tokens, several hypotheses, their mean.

It is our denoiser without APL, SRE and HPD; what else we do differently it has too, so that the rows differ by these.
"""

from benchmarks.peers.peer import Peer

from dreampose3d.lifting.lifter import LiftOptions

PEER = Peer("d3dp", "D3DP", steps=2, span=LiftOptions.span)
