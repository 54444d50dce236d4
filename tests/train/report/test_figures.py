"""The figures of a run: what they draw is what they were given. Lecture row L32."""

import io
import subprocess
import sys

import matplotlib
import matplotlib.colors
import numpy as np
import pytest
from PIL import Image

from train.config import LOSS, Metric
from train.report import curves, figures, theme
from train.report.picture import example_picture
from train.report.theme import DARK, LIGHT, png

METRICS = (Metric("accuracy", "Accuracy", percent=True), LOSS)


def _texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


def curves_of(records, *metrics):
    return curves.curves(records, curves.panels_of(records, (*METRICS, *metrics)))


def _lines(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def test_importing_the_report_imports_no_matplotlib_and_drawing_imports_no_pyplot():
    code = (
        "import sys, train.report, numpy as np; assert 'matplotlib' not in sys.modules\n"
        "from train.report import figures, theme\n"
        "theme.png(figures.filter_grid(np.ones((3, 3, 1, 2))), dpi=20)\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_drawing_leaves_matplotlibs_settings_alone():
    before = dict(matplotlib.rcParams)
    png(figures.contact_sheet(np.zeros((2, 4, 4, 1), np.uint8), ["a", "b"], columns=2, theme=DARK), dpi=20)
    assert dict(matplotlib.rcParams) == before


def test_contact_sheet_shows_grey_from_black_at_0_to_white_at_255_and_keeps_tiny_pixels_square():
    image = np.array([[0, 50], [100, 150]], np.uint8)[..., None]  # nothing is 255: no stretching of the contrast
    sheet = figures.contact_sheet(image[None], ["a"], columns=1)
    (shown,) = sheet.axes[0].get_images()
    np.testing.assert_array_equal(shown.get_array(), image[..., 0])
    drawn = np.asarray(Image.open(io.BytesIO(png(sheet, dpi=100))).convert("L"))
    left, right, bottom, top = (round(100 * inches) for inches in shown.get_extent())
    assert right - left == bottom - top == 100
    for row, y in enumerate((top, top + 50)):  # each quarter of the drawing is one pixel, of one flat grey
        for column, x in enumerate((left, left + 50)):
            np.testing.assert_array_equal(drawn[y + 2 : y + 48, x + 2 : x + 48], image[row, column, 0])


def test_contact_sheet_shows_colours_as_they_are_and_other_channels_as_their_mean():
    rng = np.random.default_rng(0)
    for channels in (3, 4):
        images = rng.integers(0, 256, (2, 5, 4, channels), dtype=np.uint8)
        shown = figures.contact_sheet(images, ["", ""], 2).axes[0].get_images()
        np.testing.assert_array_equal([image.get_array() for image in shown], images)
    pair = np.array([10, 30], np.uint8).reshape(1, 1, 1, 2)
    assert figures.contact_sheet(pair, [""], 1).axes[0].get_images()[0].get_array().item() == 20


def test_contact_sheet_says_what_it_expected():
    with pytest.raises(
        ValueError, match=r"expected n images \(height, width, channels\).*got 2 images of \[\(4, 4\)\]"
    ):
        figures.contact_sheet(np.zeros((2, 4, 4), np.uint8), ["a", "b"], 2)


def test_curves_draw_every_recorded_value_at_its_step():
    records = [{"kind": "train", "step": s, "loss": 1 / s, "learning_rate": 0.1} for s in range(1, 6)]
    records += [{"kind": "eval", "step": s, "loss": 2 / s, "ema_loss": 3 / s} for s in (2, 4)]
    loss, rate = curves_of(records).axes
    np.testing.assert_allclose(_lines(loss, "training").get_xydata(), [[s, 1 / s] for s in range(1, 6)])
    np.testing.assert_allclose(_lines(loss, "evaluation").get_xydata(), [[2, 1], [4, 0.5]])
    np.testing.assert_allclose(_lines(loss, "evaluation, EMA").get_xydata(), [[2, 1.5], [4, 0.75]])
    np.testing.assert_allclose(rate.get_lines()[0].get_ydata(), 0.1)


def test_curves_draw_the_running_mean_of_many_values_over_the_values():
    rng = np.random.default_rng(0)
    values = rng.random(100)
    values[50] = np.nan
    records = [{"kind": "train", "step": s, "loss": value} for s, value in enumerate(values)]
    axes = curves_of(records).axes[0]
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), values)
    expected = [np.nanmean(values[max(i - 2, 0) : i + 3]) for i in range(100)]
    expected[50] = np.nan
    np.testing.assert_allclose(_lines(axes, "training").get_ydata(), expected)


def test_curves_of_a_diverged_run_break_and_mark_the_first_step_that_is_not_finite():
    losses = [2.0, 1.0, float("nan"), float("inf"), None, 0.5]
    records = [{"kind": "train", "step": 10 * i, "loss": value} for i, value in enumerate(losses)]
    figure = curves_of(records)
    assert "not finite" in _texts(figure)
    assert [20, 20] in [list(line.get_xdata()) for line in figure.axes[0].get_lines()]
    assert png(figure, dpi=30)


def test_curves_show_a_single_value_as_a_dot_and_no_records_in_words():
    records = [{"kind": "eval", "step": 7, "accuracy": 0.9}, {"kind": "train", "step": 7, "accuracy": 0.8}]
    one = curves_of(records)
    assert [line.get_marker() for line in one.axes[0].get_lines()] == ["o", "o"]
    assert png(one, dpi=30)
    assert "no metrics were recorded" in _texts(curves_of([]))


def test_confusion_matrix_writes_each_count_in_its_cell_and_marks_a_class_without_examples():
    matrix = np.array([[5, 2, 0], [0, 0, 0], [0, 1, 1234]])
    figure = figures.confusion_matrix(matrix, ["a", "b", "c"])
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {(0, 0): "5", (1, 0): "2", (1, 1): "–", (1, 2): "1", (2, 2): "1,234"}  # (column, row)


def test_confusion_matrix_is_blue_where_all_are_right_and_orange_where_all_are_wrong():
    for look in (LIGHT, DARK):
        colours = figures.confusion_matrix(np.array([[7, 0], [3, 0]]), ["a", "b"], look).axes[0].get_images()[0]
        np.testing.assert_allclose(colours.get_array()[0, 0], matplotlib.colors.to_rgb(look.blue))
        np.testing.assert_allclose(colours.get_array()[1, 0], matplotlib.colors.to_rgb(look.orange))


def test_confusion_matrix_of_a_hundred_classes_has_no_numbers():
    names = [f"class {i}" for i in range(100)]
    assert not figures.confusion_matrix(np.eye(100, dtype=int), names).axes[0].texts
    with pytest.raises(ValueError, match=r"expected a matrix of \(100, 100\) for 100 classes, got \(99, 99\)"):
        figures.confusion_matrix(np.eye(99, dtype=int), names)


def test_names_are_drawn_as_plain_text_and_not_as_formulas():
    names = [r"$\frac{$", "猫"]  # half a formula, and a script that the font may lack
    assert png(figures.confusion_matrix(np.eye(2, dtype=int), names), dpi=30)
    assert png(figures.contact_sheet(np.zeros((1, 2, 2, 1), np.uint8), [names[0]], 1), dpi=30)


def test_filters_of_grey_images_keep_their_weights_on_a_scale_around_zero():
    kernel = np.random.default_rng(0).normal(size=(3, 2, 1, 10))
    shown = figures.filter_grid(kernel).axes[0].get_images()[0]
    assert shown.get_clim() == (-np.abs(kernel).max(), np.abs(kernel).max())
    # weights are 8x8 pixels and gaps 4: filter 9 is the second tile of the second row of eight
    tile = shown.get_array()[28 : 28 + 24 : 8, 20 : 20 + 16 : 8]
    np.testing.assert_array_equal(tile, kernel[:, :, 0, 9])
    assert np.ma.count_masked(np.ma.masked_invalid(shown.get_array()[:, 16:20])) == shown.get_array()[:, 16:20].size


def test_filters_of_colour_images_are_grey_at_zero_and_pure_at_the_largest_weight():
    kernel = np.zeros((1, 2, 3, 1))
    kernel[0, 1, :, 0] = 2.0, -2.0, 1.0
    shown = figures.filter_grid(kernel).axes[0].get_images()[0].get_array()
    np.testing.assert_allclose(shown[0, 0], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(shown[0, 8], [1.0, 0.0, 0.75])


def test_filters_say_how_many_are_left_out_and_what_is_no_convolution():
    assert "filters of 5×5, the first 64 of 96" in _texts(figures.filter_grid(np.ones((5, 5, 3, 96))))
    broken = np.array([np.nan, np.inf, 2.0, 0.0]).reshape(2, 2, 1, 1)
    assert figures.filter_grid(broken).axes[0].get_images()[0].get_clim() == (-2, 2)
    with pytest.raises(ValueError, match=r"expected a convolution kernel .* got shape \(64, 10\)"):
        figures.filter_grid(np.ones((64, 10)))


def test_residuals_draw_every_finite_pair_and_count_every_error_once():
    targets = np.array([1.0, 2.0, 3.0, 4.0])
    predicted = np.array([1.5, 2.0, np.nan, 3.0])
    scatter, histogram = figures.residuals(targets, predicted, "m").axes
    np.testing.assert_array_equal(scatter.collections[0].get_offsets(), [[1, 1.5], [2, 2], [4, 3]])
    assert sum(bar.get_height() for bar in histogram.patches) == 3
    assert scatter.get_xlabel() == "true (m)"
    assert png(figures.residuals(np.array([2.0]), np.array([2.0])), dpi=30)
    assert png(figures.residuals(np.array([2.0]), np.array([np.nan])), dpi=30)


def test_curves_have_a_panel_for_each_metric_that_occurs_with_its_title_and_unit():
    error = Metric("mae", "Mean absolute error", "degrees", higher_is_better=False)
    never = Metric("top5", "Top-5 accuracy", percent=True)
    records = [{"kind": "train", "step": 1, "learning_rate": 0.1, "mae": 3.0, "accuracy": 0.5, "loss": 1.0, "other": 1}]
    titles = [axes.get_title(loc="left") for axes in curves_of(records, error, never).axes]
    assert titles == ["Loss", "Accuracy", "Mean absolute error (degrees)", "Learning rate"]


def test_curves_of_shares_are_in_percent_and_errors_of_many_sizes_on_a_logarithmic_scale():
    def axes_of(metric, *values):
        records = [{"kind": "eval", "step": s, metric.name: value} for s, value in enumerate(values)]
        return curves.curves(records, [metric]).axes[0]

    error = Metric("distance", "Distance", "pixels", higher_is_better=False)
    assert axes_of(error, 1.0, 31.0).get_yscale() == "log"
    assert axes_of(error, 1.0, 29.0).get_yscale() == axes_of(error, 0.0, 31.0).get_yscale() == "linear"
    assert axes_of(Metric("gain", "Gain"), 1.0, 31.0).get_yscale() == "linear"
    missed = Metric("missed", "Missed", percent=True, higher_is_better=False)
    for metric in (Metric("found", "Found", percent=True), missed):
        axes = axes_of(metric, 0.01, 0.9)
        assert axes.get_yscale() == "linear"
        assert axes.yaxis.get_major_formatter()(0.25, 0) == "25 %"
    assert axes_of(METRICS[0], 0.5, 0.75).get_ylim()[1] > 1


def test_an_experiment_gets_the_same_look_and_a_legend_without_a_box():
    figure = theme.new_figure(4, 3, LIGHT)
    axes, empty = figure.subplots(1, 2)
    for panel in (axes, empty):
        theme.style(panel)
        theme.legend(panel)
    assert axes.get_legend() is empty.get_legend() is None  # there is nothing to tell apart
    axes.plot([0, 1], [0, 1], label="$a", color=theme.COLOURS[0])
    theme.legend(axes, title="arms")
    assert not axes.get_legend().get_frame_on()
    assert not axes.spines["top"].get_visible()
    theme.labels(axes, x="steps $", y="loss")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps $", "loss")
    theme.legend(figure, loc="outside upper center", ncols=2)
    assert len(figure.legends) == 1
    assert theme.COLOURS[:2] == (LIGHT.blue, LIGHT.orange)
    assert len(set(theme.COLOURS)) == 10


def test_a_single_example_is_drawn_with_bars_as_long_as_the_shares_and_its_caption():
    image = np.array([[0, 255], [255, 0]], np.uint8)[..., None]
    plain = example_picture(image)
    assert plain.dtype == np.uint8
    assert plain.shape[2] == 3
    middle = plain.shape[0] // 2, plain.shape[1] // 2
    quarters = [
        plain[y, x].tolist() for y in (middle[0] - 60, middle[0] + 60) for x in (middle[1] - 60, middle[1] + 60)
    ]
    assert quarters == [[0, 0, 0], [255, 255, 255], [255, 255, 255], [0, 0, 0]]
    blue = np.round(255 * np.array(matplotlib.colors.to_rgb(LIGHT.blue)))

    def bar(share):
        drawn = example_picture(image, [("$", share, "some"), ("b", 0.0, "none")])
        return (drawn == blue).all(axis=2).sum(axis=1).max()

    assert bar(0.5) == pytest.approx(bar(1.0) / 2, abs=1)
    assert bar(0.0) == bar(-0.5) == 0
    assert bar(2.0) == bar(1.0)
    captioned = example_picture(image, caption=r"$\frac{")
    assert captioned.shape[0] > plain.shape[0]
    for shape in ((3, 300, 3), (300, 3, 4), (5, 5, 2)):
        assert example_picture(np.zeros(shape, np.uint8), [("a", 0.5, "50 %")] * 5, "one").shape[2] == 3
