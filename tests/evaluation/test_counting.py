"""Clean counting against loops, and D3DP's against a literal restatement of how it is published."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from tests.evaluation.scenes import CAMERA, RADIAL, TANGENTIAL, noisy_lifter, sequence
from tests.oracles import slow_j_agg, slow_mpjpe

from dreampose3d.camera import Camera
from dreampose3d.evaluation.counting import AGGREGATIONS, Tally, count_as_d3dp, count_clean, cut, last_places
from dreampose3d.evaluation.inputs import scene_of
from dreampose3d.metrics import mpjpe, similarity_align
from dreampose3d.sequence import PoseSequence
from dreampose3d.skeleton import MPI_INF_3DHP_17
from dreampose3d.trajectory import estimate_root

N = 9
NAMES = list(AGGREGATIONS)


# The published counting, restated from its description (Human3.6M: windows, metres, half-widths of the image).


def published_windows(frames: int) -> list[list[int]]:
    """Consecutive windows; the last is the last N frames; a short clip repeats its last frame at the right."""
    if frames < N:
        return [[*range(frames), *[frames - 1] * (N - frames)]]
    whole = [[*range(start, start + N)] for start in range(0, frames - N + 1, N)]
    return whole if frames % N == 0 else [*whole, [*range(frames - N, frames)]]


def published_screen(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """x/w*2 - 1, y/w*2 - h/w."""
    w, h = camera.size_px
    return np.stack((pixels[..., 0] / w * 2 - 1, pixels[..., 1] / w * 2 - h / w), -1)


def published_projection(points: np.ndarray, camera: Camera) -> np.ndarray:
    """u = clamp(x/z, -1, 1); f (u (1 + k1 r2 + k2 r2^2 + k3 r2^3 + p.u) + p r2) + c, in half-widths of the image."""
    w, h = camera.size_px
    f = np.array(camera.focal_px) / w * 2
    c = np.array(camera.center_px) / w * 2 - np.array((1, h / w))
    (k1, k2, k3), p = RADIAL, np.array(TANGENTIAL)
    u = np.clip(points[..., :2] / points[..., 2:], -1, 1)
    r2 = (u**2).sum(-1, keepdims=True)
    return f * (u * (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + (p * u).sum(-1, keepdims=True)) + p * r2) + c


def procrustes(pose: np.ndarray, true: np.ndarray) -> np.ndarray:
    """One pose, by its definition: centred, scaled to unit size, turned by SVD with the sign of det, scaled back."""
    x, y = pose - pose.mean(0), true - true.mean(0)
    size = np.sqrt((y**2).sum())
    U, s, Vt = np.linalg.svd((y / size).T @ (x / np.sqrt((x**2).sum())))
    sign = np.diag((1, 1, np.sign(np.linalg.det(U @ Vt))))
    scale = (s * np.diag(sign)).sum() * size / np.sqrt((x**2).sum())
    return scale * x @ (U @ sign @ Vt).T + true.mean(0)


def published_batch(poses: np.ndarray, true: np.ndarray, traj: np.ndarray, screen: np.ndarray, camera: Camera) -> dict:
    """(H, b, f, n, 3) metres -> each aggregation's mean error over the batch: (MPJPE, P-MPJPE)."""
    H, b, f = poses.shape[:3]
    aligned = np.empty_like(poses)
    for h, w, t in product(range(H), range(b), range(f)):
        aligned[h, w, t] = procrustes(poses[h, w, t], true[w, t])
    error = [np.linalg.norm(of - true, axis=-1) for of in (poses, aligned)]
    mean = poses.mean(0)
    mean_aligned = np.array([[procrustes(mean[w, t], true[w, t]) for t in range(f)] for w in range(b)])
    distance = np.linalg.norm(published_projection(poses + traj, camera) - screen, axis=-1)
    chosen = distance.argmin(0)
    return {
        "oracle_j_best": [e.min(0).mean() for e in error],
        "oracle_p_best": [min(e[h].mean() for h in range(H)) for e in error],
        "p_agg": [np.linalg.norm(of - true, axis=-1).mean() for of in (mean, mean_aligned)],
        "oracle_j_agg_true_root": [np.take_along_axis(e, chosen[None], 0).mean() for e in error],
    }


def published(videos: list[PoseSequence], predict, hypotheses: int, steps: int, batch: int) -> dict:
    """Action -> aggregation -> (MPJPE, P-MPJPE) in mm: sum(error x b x f) / sum(b x f) over its videos."""
    sums: dict[str, dict[str, np.ndarray]] = {}
    frames: dict[str, int] = {}
    for video in videos:
        windows = published_windows(len(video))
        for first in range(0, len(windows), batch):
            some = windows[first : first + batch]
            joints = np.stack([video.joints_mm[w] for w in some]).astype(np.float64) / 1000
            traj = joints[:, :, :1]
            screen = published_screen(np.stack([video.keypoints_px[w] for w in some]).astype(np.float64), video.camera)
            told = [replace(video, joints_mm=None, keypoints_px=video.keypoints_px[w]) for w in some]
            many, one = (np.stack([predict(t, *a) for t in told], 1) / 1000 for a in ((hypotheses, steps), (1, 1)))
            found = published_batch(many, joints - traj, traj, screen, video.camera)
            found["h1k1"] = published_batch(one, joints - traj, traj, screen, video.camera)["p_agg"]
            weight = len(some) * N
            for name, errors in found.items():
                of = sums.setdefault(video.action, {})
                of[name] = of.get(name, 0) + weight * np.array(errors)
            frames[video.action] = frames.get(video.action, 0) + weight
    return {action: {name: 1000 * of / frames[action] for name, of in found.items()} for action, found in sums.items()}


@pytest.fixture(scope="module")
def videos() -> list[PoseSequence]:
    """Shorter than a window, exactly one, exactly two, and with an overlap, of two actions; 2D off by some pixels."""
    lengths = {"a": 5, "b": N, "c": 2 * N, "d": 6 * N + 4, "e": N + 1}
    made = []
    for seed, (name, frames) in enumerate(lengths.items()):
        exact = sequence(name, frames, "Walking" if seed % 2 else "Sitting", seed=seed)
        jitter = np.random.default_rng(seed).normal(0, 3, exact.keypoints_px.shape)
        made.append(replace(exact, keypoints_px=(exact.keypoints_px + jitter).astype(np.float32)))
    return made


@pytest.mark.parametrize("batch", [1, 2, 4, 100])
def test_d3dps_counting_is_the_published_one(videos, batch):
    predict = noisy_lifter(videos, 40.0)
    count = count_as_d3dp(N, batch, each_frame_once=False)
    tallies = {action: Tally(["mpjpe", "p_mpjpe"]) for action in ("Walking", "Sitting")}
    for video in videos:
        counted = count(predict, scene_of(video, "gt"), 5, 2)
        assert counted.true.shape[0] == N * len(published_windows(len(video)))
        errors = {"mpjpe": mpjpe(counted.poses, counted.true), "p_mpjpe": mpjpe(counted.aligned, counted.true)}
        tallies[video.action].add(errors)
    expected = published(videos, predict, 5, 2, batch)
    for action, tally in tallies.items():
        found = tally.means()
        for name, (plain, aligned) in expected[action].items():
            assert found[name]["mpjpe"] == pytest.approx(plain, abs=1e-6)  # mm
            assert found[name]["p_mpjpe"] == pytest.approx(aligned, abs=1e-6)


def test_each_published_habit_moves_a_number(videos):
    """Else the test above would say nothing about it."""
    predict = noisy_lifter(videos, 40.0)
    scene = scene_of(videos[3], "gt")
    one, four = (count_as_d3dp(N, batch, each_frame_once=False)(predict, scene, 5, 2) for batch in (1, 4))
    best = NAMES.index("oracle_p_best")
    assert mpjpe(four.poses, four.true)[best].mean() > mpjpe(one.poses, one.true)[best].mean() + 0.1  # mm
    assembled = mpjpe(similarity_align(one.poses, one.true), one.true).mean(1)
    each = mpjpe(one.aligned, one.true).mean(1)
    assert each[NAMES.index("oracle_j_best")] < assembled[NAMES.index("oracle_j_best")] - 0.01
    assert float(each[0]) == pytest.approx(float(assembled[0]))
    again = count_as_d3dp(N, 1, each_frame_once=True)(predict, scene, 5, 2)
    assert (one.true.shape[0], again.true.shape[0]) == (7 * N, 6 * N + 4)
    assert float(mpjpe(one.poses, one.true).mean()) != pytest.approx(
        float(mpjpe(again.poses, again.true).mean()), abs=1e-3
    )


def test_j_agg_of_windows_estimates_each_windows_root(videos):
    """Ours, since D3DP gives the true root: the same choice in the image, from the root that the window shows."""
    predict = noisy_lifter(videos, 40.0)
    video = videos[3]
    counted = count_as_d3dp(N, 2, each_frame_once=False)(predict, scene_of(video, "gt"), 4, 2)
    at = 0
    for window in published_windows(len(video)):
        told = replace(video, joints_mm=None, keypoints_px=video.keypoints_px[window])
        many, pixels = predict(told, 4, 2), torch.from_numpy(told.keypoints_px).double()
        root = estimate_root(many, CAMERA.rays(pixels), torch.ones(N, 17))
        joints = many + root[:, :, None]
        distance = (CAMERA.pixels(joints[..., :2] / joints[..., 2:]) - pixels).norm(dim=-1)
        expected = many.gather(0, distance.argmin(0)[None, ..., None].expand(1, -1, -1, 3))[0]
        torch.testing.assert_close(counted.poses[NAMES.index("j_agg_estimated_root"), at : at + N], expected)
        at += N


def test_a_window_that_shows_nobody_takes_the_first_hypothesis(videos):
    lost = videos[3].keypoints_px.copy()
    lost[:N] = np.nan
    predict = noisy_lifter([videos[3]], 40.0)
    scene = scene_of(replace(videos[3], keypoints_px=lost), "gt")
    blind = replace(scene, shown=replace(scene.shown, keypoints_px=videos[3].keypoints_px))
    counted = count_as_d3dp(N, 4, each_frame_once=False)(predict, blind, 3, 1)
    window = replace(blind.shown, keypoints_px=videos[3].keypoints_px[:N])
    first = predict(window, 3, 1)[0]
    torch.testing.assert_close(counted.poses[NAMES.index("j_agg_estimated_root"), :N], first)


# Every frame once, of the last window that holds it: MPI-INF-3DHP.


@pytest.mark.parametrize("frames", [1, 5, N, N + 1, 2 * N, 4 * N + 3])
def test_windows_cover_a_clip_as_published_and_every_frame_has_a_last_place(frames):
    windows = cut(frames, N)
    assert [window.tolist() for window in windows] == published_windows(frames)
    flat = torch.cat(windows)
    places = last_places(windows)
    assert flat[places].tolist() == list(range(frames))
    for frame, place in enumerate(places.tolist()):
        later = [p for p in range(len(flat)) if flat[p] == frame and p > place]
        assert all(p >= frames for p in later), "only padding comes later"


def test_on_3dhp_each_valid_frame_counts_once_with_the_pose_of_its_last_window():
    video = sequence("TS1", 2 * N + 4, skeleton=MPI_INF_3DHP_17, seed=3)
    valid = np.arange(len(video)) % 4 != 1
    video = replace(video, valid=valid)
    predict = noisy_lifter([video], 40.0)
    counted = count_as_d3dp(N, 2, each_frame_once=True)(predict, scene_of(video, "gt"), 4, 2)
    relative = video.joints_mm.astype(np.float64) - video.joints_mm[:, 14:15]
    np.testing.assert_array_equal(counted.true, relative[valid])
    told = replace(video, joints_mm=None, valid=None)
    pose_of, best_of = {}, {}
    windows = published_windows(len(video))
    for batch in (windows[:2], windows[2:]):
        runs = [predict(replace(told, keypoints_px=video.keypoints_px[w]), 4, 2).numpy() for w in batch]
        frames = [(run[:, f], frame) for run, w in zip(runs, batch, strict=True) for f, frame in enumerate(w)]
        means = [np.mean([slow_mpjpe(poses[h], relative[frame]) for poses, frame in frames]) for h in range(4)]
        for poses, frame in frames:
            pose_of[frame], best_of[frame] = poses.mean(0), poses[int(np.argmin(means))]
    for name, expected in (("p_agg", pose_of), ("oracle_p_best", best_of)):
        found = counted.poses[NAMES.index(name)]
        np.testing.assert_allclose(found, [expected[frame] for frame in np.flatnonzero(valid)], atol=1e-9)
    torch.testing.assert_close(
        mpjpe(counted.aligned[0], counted.true)[3],
        torch.tensor(slow_mpjpe(procrustes(counted.poses[0, 3].numpy(), relative[valid][3]), relative[valid][3])),
        check_dtype=False,
    )


# The clean counting.


def test_clean_counting_lifts_whole_sequences_and_counts_valid_frames_once():
    video = replace(sequence("TS2", 25, skeleton=MPI_INF_3DHP_17, seed=1), valid=np.arange(25) % 3 > 0)
    predict = noisy_lifter([video], 50.0)
    scene = scene_of(video, "gt")
    counted = count_clean(predict, scene, 6, 2)
    relative = video.joints_mm.astype(np.float64) - video.joints_mm[:, 14:15]
    many, single = predict(scene.shown, 6, 2).numpy(), predict(scene.shown, 1, 1).numpy()
    rays = scene.camera.rays(scene.keypoints_px).numpy()
    roots = np.broadcast_to(video.joints_mm[:, 14].astype(np.float64), (6, 25, 3))
    estimated = estimate_root(torch.from_numpy(many), torch.from_numpy(rays), torch.ones(25, 17)).numpy()
    expected = {
        "h1k1": single[0],
        "p_agg": many.mean(0),
        "j_agg_estimated_root": slow_j_agg(many, estimated, rays, np.ones((25, 17))),
        "oracle_j_agg_true_root": slow_j_agg(many, roots, rays, np.ones((25, 17))),
        "oracle_p_best": np.stack([min(many[:, f], key=lambda p: slow_mpjpe(p, relative[f])) for f in range(25)]),
    }
    for name, poses in expected.items():
        np.testing.assert_allclose(counted.poses[NAMES.index(name)], poses[video.valid], atol=1e-9)
    assert counted.true.shape[0] == video.valid.sum() == 16
    for a in range(len(NAMES)):
        aligned = procrustes(counted.poses[a, 5].numpy(), counted.true[5].numpy())
        np.testing.assert_allclose(counted.aligned[a, 5], aligned, atol=1e-6)


def test_one_hypothesis_in_one_step_is_every_aggregation_in_both_countings(videos):
    predict = noisy_lifter(videos, 40.0)
    for count in (count_clean, count_as_d3dp(N, 4, each_frame_once=False), count_as_d3dp(N, 2, each_frame_once=True)):
        counted = count(predict, scene_of(videos[3], "gt"), 1, 1)
        for a in (NAMES.index(name) for name in NAMES if name != "fitted"):
            torch.testing.assert_close(counted.poses[a], counted.poses[0])
            torch.testing.assert_close(counted.aligned[a], counted.aligned[0])


@pytest.mark.parametrize("count", [count_clean, count_as_d3dp(N, 4, each_frame_once=False)])
def test_a_lifter_that_returns_another_shape_is_refused(videos, count):
    with pytest.raises(ValueError, match=r"expected hypotheses of shape \(3, .*, 17, 3\) for d.*, got \(3, 2, 17, 3\)"):
        count(lambda shown, hypotheses, steps: torch.zeros(3, 2, 17, 3), scene_of(videos[3], "gt"), 3, 2)
