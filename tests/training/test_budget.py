"""Budgets of time: how they are written, and how many steps they have room for."""

from dataclasses import replace

import pytest

from dreampose3d.model.dreampose import small
from dreampose3d.model.info import count_macs
from dreampose3d.training.budget import Pace, clock, seconds_of, step_macs
from dreampose3d.training.config import Phase, TrainConfig

SHORT, LONG = Phase(0.6, 9, 8, prompt=0.5), Phase(0.4, 27, 4)
CONFIG = TrainConfig(steps=100, phases=(SHORT, LONG))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("25m", 1500), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400), ("1d", 86400)]
)
def test_a_budget_is_a_number_and_a_unit(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "25", "m", "25x", "-3m", "0s", "1h 5", "1..5h"])
def test_what_is_no_budget_is_told(text):
    with pytest.raises(ValueError, match="expected a time such as 90s, 25m, 2h or 1h30m, got"):
        seconds_of(text)


def test_what_remains_is_the_sum_over_the_steps_to_come():
    pace = Pace({SHORT: 2.0, LONG: 5.0}, between=0.5)
    costs = {SHORT: 2.5, LONG: 5.5}
    for step in (0, 1, 59, 60, 61, 99, 100):
        each = sum(costs[CONFIG.phase(later)] for later in range(step, 100))
        assert pace.remaining(CONFIG, step) == pytest.approx(each)


def test_a_phase_that_was_not_seen_is_taken_to_cost_as_much():
    assert Pace({SHORT: 2.0}).remaining(CONFIG, 0) == pytest.approx(200)


@pytest.mark.parametrize("step", [0, 7, 90])
@pytest.mark.parametrize("seconds", [30.0, 400.0, 12345.0])
def test_the_fitted_steps_fill_the_time(step, seconds):
    pace = Pace({SHORT: 2.0, LONG: 5.0})
    steps = pace.fitted(CONFIG, step, seconds)
    assert steps > step
    if steps > step + 1:
        assert pace.remaining(replace(CONFIG, steps=steps), step) <= seconds
    assert pace.remaining(replace(CONFIG, steps=steps + 1), step) > seconds


def test_a_run_whose_time_is_up_takes_one_more_step():
    assert Pace({SHORT: 2.0, LONG: 5.0}).fitted(CONFIG, 40, -3.0) == 41


def test_the_pace_follows_the_machine():
    pace = Pace({SHORT: 1.0})
    for _ in range(200):
        pace.took(SHORT, 3.0)
    pace.took(LONG, 7.0)
    assert pace.costs[SHORT] == pytest.approx(3, abs=0.01)
    assert pace.costs[LONG] == 7


def test_the_unknown_costs_what_is_known_of_its_kind():
    costly, cheap = replace(SHORT, denoise=1.0), replace(SHORT, denoise=0.0)
    pace = Pace({costly: 8.0, cheap: 1.0})
    assert pace.cost(replace(LONG, denoise=0.25)) == 0.75 * 1 + 0.25 * 8
    assert Pace({costly: 8.0}).cost(cheap) == 8


def test_speed_counts_frames_and_multiply_accumulates():
    """Of forward and backward, thrice forward's: a window of 9 in the phase of 9, the prompt in half of the steps."""
    guess, prompt, denoiser, decoder = count_macs(replace(small(), frames=9))
    assert step_macs(small(), SHORT) == 3 * 8 * (guess + prompt / 2 + denoiser + decoder)
    seldom = replace(SHORT, denoise=0.25)
    assert step_macs(small(), seldom) == 3 * 8 * (guess + (prompt / 2 + denoiser + decoder) / 4)
    alone = replace(small(), guess=0)
    assert step_macs(alone, seldom) == step_macs(alone, SHORT), "nothing else is there to train"
    speed = Pace({SHORT: 0.5}).speed(small(), SHORT)
    assert speed["frames_per_s"] == 144
    assert speed["gmacs_per_s"] == pytest.approx(2e-9 * step_macs(small(), SHORT))


def test_durations_are_for_people():
    assert [clock(seconds) for seconds in (0, 89, 90, 3600, 7260)] == ["0 s", "89 s", "2 min", "60 min", "2.0 h"]
