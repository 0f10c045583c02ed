"""From a video or 2D keypoints to 3D motion."""
