from dataclasses import replace

import numpy as np
import pytest

from dreampose3d.figures.prompts import likeliest, prompts_figure


def test_lines_are_the_likeliest_probabilities_in_percent(motion):
    figure = prompts_figure(motion, top=3)
    (panel,) = figure.axes
    order = np.argsort(-motion.intent_probability.mean(0))[:3]
    assert likeliest(motion.intent_probability, 3) == list(order)
    for line, intent in zip(panel.lines, order, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), motion.time_s)
        np.testing.assert_allclose(line.get_ydata(), 100 * motion.intent_probability[:, intent], rtol=1e-6)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("time (s)", "probability (%)")
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == [motion.intent_names[intent] for intent in order]


def test_stacked_areas_fill_all_hundred_percent(motion):
    figure = prompts_figure(motion, top=4, kind="stacked", recorded="walking")
    (panel,) = figure.axes
    tops = [np.concatenate([path.vertices[:, 1] for path in area.get_paths()]).max() for area in panel.collections]
    assert len(tops) == 5
    assert tops[-1] == pytest.approx(100, abs=1e-3)
    assert panel.get_ylim() == (0, 100)
    assert figure.legends[0].get_title().get_text() == "recorded as: walking"
    assert figure.legends[0].get_texts()[-1].get_text() == "all others"
    hatches = [area.get_hatch() for area in panel.collections]
    assert len(set(hatches[:-1])) == 4  # areas are told apart without colour


def test_a_span_of_the_clip(motion):
    panel = prompts_figure(motion, span_s=(0.2, 0.4)).axes[0]
    np.testing.assert_allclose(panel.lines[0].get_xdata(), np.arange(10, 21) / 50)


def test_what_cannot_be_drawn_is_refused(motion):
    with pytest.raises(ValueError, match="expected 1 to 6 intents to draw, got 9"):
        prompts_figure(motion, top=9)
    with pytest.raises(ValueError, match="expected 1 to 6 intents to draw, got 0"):
        prompts_figure(motion, top=0)
    with pytest.raises(ValueError, match="t1/1 has no frame between 5 and 6 s"):
        prompts_figure(motion, span_s=(5, 6))
    without = replace(motion, intent_names=(), intent_probability=motion.intent_probability[:, :0])
    with pytest.raises(ValueError, match="has no intents: its weights were trained without prompts or vocabulary"):
        prompts_figure(without)
