"""From lifted poses to motion that people can use: root, scale, world, bones, smoothing, angles, events.

One idea a file; every function takes plain arrays or a `LiftedMotion` and returns new values (docs/motion.md).
"""
