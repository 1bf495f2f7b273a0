"""Pictures of the chapter on deployment, and the frames a slow network takes."""

import json

import numpy as np
import pytest

from dlseg.inference.stream import Frame
from support.real_time_and_deployment import pictures as deployment
from support.real_time_and_deployment.pictures import NEWEST, QUEUE, Work, schedule, seams, timeline
from support.results import Results

GAIN = {"gain": [1.25, 1.1, 1.5], "ms": [80, 70, 90]}
STEPS = {"networks": {"v3": {"inference_mode": {"gain": [1, 1, 1]}, "compiled": GAIN}}}


def test_a_queue_grows():
    done = schedule(50, 33, 4, QUEUE)
    assert done == [Work(0, 0, 50), Work(1, 50, 100), Work(2, 100, 150), Work(3, 150, 200)]
    assert [work.begin for work in schedule(20, 33, 3, QUEUE)] == [0, 33, 66]


def test_the_newest_frame_leaves_others_out():
    done = schedule(50, 33, 6, NEWEST)
    assert done == [Work(0, 0, 50), Work(1, 50, 100), Work(3, 100, 150), Work(4, 150, 200)]
    assert schedule(20, 33, 3, NEWEST) == schedule(20, 33, 3, QUEUE)
    for latency in range(1, 200, 7):
        for work in schedule(latency, 33, 100, NEWEST):
            assert work.begin - 33 * work.frame < 33  # no newer frame was there
            assert work.end - 33 * work.frame < 33 + latency


def test_timeline_says_what_it_shows():
    picture = timeline(50, 33, QUEUE)
    assert "labels 50 to 288 ms old; 0 of 15 frames not looked at" in picture.alt
    assert "Labelled: 0, 1, 3, 4, 6" in timeline(50, 33, NEWEST).alt
    assert picture.data.count(b'fill="#56b4e9"') == 12  # until 600 ms


def test_results_by_part(tmp_path, monkeypatch):
    (tmp_path / "assets/results").mkdir(parents=True)
    (tmp_path / deployment.FILE).write_text(json.dumps({"steps": STEPS}))
    monkeypatch.setattr(deployment, "find_root", lambda: tmp_path)
    assert deployment.results("steps") == STEPS
    with pytest.raises(ValueError, match="has no part 'grid'; it has steps"):
        deployment.results("grid")


def test_grid_and_gains_tell_their_numbers():
    rows = [
        {"output_stride": os, "width": w, "ms": ms, "backbone_multiply_adds": 1e9 * w}
        for os in (8, 16, 32)
        for w, ms in ((1.0, [10, 9, 12]), (0.5, [5, 4.5, 6]))
    ]
    alt = deployment.grid_picture({"size": 513, "rows": rows}).alt
    assert "513 x 513" in alt and "width 0.5: 5, 5, 5 ms; width 1: 10, 10, 10 ms" in alt
    alt = deployment.gains(STEPS, "v3").alt
    assert "compiled 1.25 (1.10 to 1.50)" in alt


def test_accuracy_and_time_are_of_one_size():
    runs = [
        {
            "arm": f"width {w}, stride {os}",
            "seed": seed,
            "mean_iou": 0.1 * (1 + seed) + w / os,
            "seconds_per_image": w / os,
        }
        for w in (0.5, 0.25)
        for os in (16, 8)
        for seed in (0, 1, 2)
    ]
    arms = dict.fromkeys(run["arm"] for run in runs)
    alt = deployment.accuracy_picture(
        Results({"arms": arms, "runs": runs, "test": {"size": 96}})
    ).alt
    assert alt.startswith("Mean IoU over time, scenes of 96 x 96 pixels.")
    assert "width 0.5, stride 16: 0.231 (0.131 to 0.331) at 31.2 ms" in alt
    assert alt.count(" ms") == 4


def test_latency_and_seams():
    loop = [Frame(i, np.zeros((2, 2), np.uint8), 0.01 * (1 + i), 0.02) for i in range(3)]
    assert "3 frames; the last rolling median is 20.0 ms" in deployment.rolling_latency(loop).alt
    difference = np.zeros((8, 8))
    assert "overlap 4: none" in seams(difference, "overlap 4").alt
    difference[2, 3] = 0.2
    assert "overlap 4: at most 0.2" in seams(difference, "overlap 4").alt
