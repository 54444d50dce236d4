"""The globe: what its data hold, that no name escapes, that a projection is scikit-learn's, that its paths are arcs."""

import base64
import hashlib
import html
import html.parser
import json
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pytest
from matplotlib import colormaps, style
from matplotlib.colors import to_hex, to_rgb
from scipy.spatial.transform import Rotation, Slerp
from sklearn.decomposition import PCA

from zoo.hyperspheres import cross_polytope, simplex
from zoo.hyperspheres.globe import globe, globe_picture, script_source
from zoo.hyperspheres.scene import VIRIDIS, class_colours, make_scene, turned, viewpoint

RANDOM = np.random.default_rng(0)
PROTOTYPES = np.asarray(cross_polytope(6, 3))
LABELS = RANDOM.integers(0, 6, 30)
FRAMES = RANDOM.standard_normal((4, 30, 3)) * 5
EVIL = ["</script><script>alert(1)</script>", "\"quotes\" & 'more'", "<!--", "a<b", "\u2028 line", "ünïcode"]


class Page(html.parser.HTMLParser):
    """Tags and the text of scripts, as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data

    def data(self):
        return json.loads(self.scripts[0])


def data_of(*args, **kwargs):
    return Page(globe(*args, **kwargs)).data()


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def run(expression):
    """The value of an expression of the globe's script, by node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node, which is not installed, to run the globe's script")
    script = resources.files("zoo.hyperspheres").joinpath("globe.js").read_text(encoding="utf-8")
    text = f"{script}\nconsole.log(JSON.stringify({expression}));"
    done = subprocess.run([node, "-"], input=text, capture_output=True, text=True, check=True, encoding="utf-8")
    return np.array(json.loads(done.stdout))


def js(values):
    return json.dumps(np.asarray(values).tolist())


def test_the_data_are_the_unit_vectors_to_three_decimals():
    data = data_of(7 * PROTOTYPES, FRAMES, LABELS, titles=["a", "b", "c", "d"])
    np.testing.assert_allclose(np.reshape(data["prototypes"], (6, 3)), PROTOTYPES, atol=5.1e-4)
    np.testing.assert_allclose(np.reshape(data["frames"], FRAMES.shape), unit(FRAMES), atol=5.1e-4)
    assert data["labels"] == LABELS.tolist()
    assert data["titles"] == ["a", "b", "c", "d"]
    assert data["names"] == list("012345")
    single = data_of(PROTOTYPES, FRAMES[0].astype(np.float32), LABELS)
    assert single["frames"] == data["frames"][:1]


def test_points_without_a_direction_stay_in_the_centre_and_no_points_are_none():
    data = data_of(PROTOTYPES, np.zeros((2, 3)), [0, 5])
    assert data["frames"] == [[0.0] * 6]
    assert data_of(PROTOTYPES, np.zeros((0, 3)), [])["frames"] == [[]]


def test_two_dimensions_lie_on_a_circle_seen_from_above():
    data = data_of(simplex(3, 2), FRAMES[..., :2], LABELS % 3)
    points = np.reshape(data["frames"], FRAMES.shape)
    np.testing.assert_allclose(points[..., :2], unit(FRAMES[..., :2]), atol=5.1e-4)
    np.testing.assert_array_equal(points[..., 2], 0)
    assert data["view"] == [0, 1.571]


def test_names_from_outside_leave_the_page_as_it_is():
    page = Page(globe(PROTOTYPES, FRAMES[:2], LABELS, EVIL, EVIL[:2], np.arange(30.0), EVIL[0]))
    tame = Page(globe(PROTOTYPES, FRAMES[:2], LABELS, values=np.arange(30.0)))
    assert page.tags == tame.tags
    assert len(page.scripts) == 2
    assert page.data()["names"] == EVIL
    assert page.data()["titles"] == EVIL[:2]
    assert page.data()["unit"] == EVIL[0]
    assert not set("<>&") & set(page.scripts[0])


def test_globes_share_no_name_and_need_nothing_from_elsewhere():
    text = globe(PROTOTYPES, FRAMES, LABELS)
    page = Page(text + globe(PROTOTYPES, FRAMES[0], LABELS))
    assert not any({"id", "name", "for", "src", "href"} & set(attributes) for _, attributes in page.tags)
    assert [tag for tag, _ in page.tags].count("canvas") == 2
    assert not re.search(r"https?:|url\(|@import|fetch|</?script", page.scripts[1])
    assert page.scripts[1] == page.scripts[3]  # so that one source in the policy allows them all
    digest = hashlib.sha256(page.scripts[1].encode()).digest()
    assert script_source() == f"'sha256-{base64.b64encode(digest).decode()}'"
    # Everything is inside one function: nothing stands at the top.
    assert page.scripts[1].startswith('(() => {\n"use strict";')
    assert page.scripts[1].endswith("})();")


def test_the_slider_has_one_place_a_frame_and_is_hidden_for_one():
    def slider(frames):
        page = Page(globe(PROTOTYPES, frames, LABELS))
        box = next(attributes for tag, attributes in page.tags if tag == "div")
        return next(attributes for tag, attributes in page.tags if tag == "input"), "hidden" in box

    attributes, hidden = slider(FRAMES)
    assert (attributes["min"], attributes["max"], attributes["value"], hidden) == ("0", "3", "3", False)
    assert slider(FRAMES[0])[1]


@pytest.mark.parametrize(("classes", "whose"), [(12, "prototypes"), (3, "points"), (1, "points")])
def test_more_dimensions_are_projected_as_scikit_learns_pca_does(classes, whose):
    random = np.random.default_rng(1)
    prototypes, frames = unit(random.standard_normal((classes, 25))), random.standard_normal((2, 40, 25))
    scene = make_scene(prototypes, frames, np.zeros(40, int), (), None)
    expected = PCA(n_components=3, svd_solver="full").fit(prototypes if whose == "prototypes" else unit(frames[-1]))
    share = 100 * expected.explained_variance_ratio_.sum()
    assert scene.caption == f"Three of 25 dimensions, {share:.0f} % of the {whose}' variance. "
    assert html.escape(scene.caption) in globe(prototypes, frames, np.zeros(40, int))
    # The same axes up to their signs, and about the centre of the sphere, not about the mean.
    shadow = unit(frames) @ expected.components_.T
    np.testing.assert_allclose(np.abs(scene.frames), np.abs(shadow), atol=1e-6)
    np.testing.assert_allclose(scene.angles, np.arccos((unit(frames[0]) * unit(frames[1])).sum(-1))[None], atol=1e-9)


def test_a_simplex_in_many_dimensions_keeps_its_even_share():
    scene = make_scene(simplex(26, 25), np.zeros((1, 25)), [0], (), None)
    assert scene.caption == "Three of 25 dimensions, 12 % of the prototypes' variance. "


def test_values_colour_the_points_along_viridis_and_have_a_legend():
    values = np.linspace(1000, 1932, 30)
    text = globe([[0, 0, 1.0]], FRAMES[0], None, ["now"], values=values, unit="year")
    data = Page(text).data()
    np.testing.assert_allclose(data["values"], values, rtol=1e-5)
    assert data["range"] == [1000, 1932]
    assert data["labels"] == []
    assert "1000 year" in text
    assert "1932 year" in text
    expected = [to_hex(colormaps["viridis"](share)) for share in np.linspace(0, 1, 9)]
    np.testing.assert_allclose([to_rgb(c) for c in VIRIDIS], [to_rgb(c) for c in expected], atol=0.01)


def test_ten_classes_have_petroffs_colours_and_more_have_hues_of_their_own():
    assert class_colours(10) == [c["color"] for c in style.library["petroff10"]["axes.prop_cycle"]]
    assert len(set(class_colours(200))) == 200


def test_the_view_is_a_rotation_and_is_the_same_in_the_script():
    yaw, pitch = 0.7, 0.4
    # Scipy's: first about the axis of the poles, then about the viewer's right hand.
    x, y, z = Rotation.from_euler("zx", [yaw, pitch]).apply(FRAMES[0]).T
    expected = np.stack([x, z, -y], axis=1)
    np.testing.assert_allclose(turned(FRAMES[0], yaw, pitch), expected, atol=1e-12)
    seen = run(f"{js(FRAMES[0])}.map((v) => turned(v, {yaw}, {pitch}))")
    np.testing.assert_allclose(seen, expected, atol=1e-12)


def test_the_view_keeps_prototypes_apart():
    scene = make_scene(PROTOTYPES, FRAMES, LABELS, (), None)
    flat = np.vstack([turned(scene.prototypes, *viewpoint(scene))[:, :2], np.zeros(2)])
    distances = np.linalg.norm(flat[:, None] - flat, axis=-1)[~np.eye(7, dtype=bool)]
    assert distances.min() > 0.4  # six on the axes: seen along one of them it is 0


def test_paths_between_frames_are_scipys_slerp():
    a, b = unit(FRAMES[0]), unit(FRAMES[1])
    shares = [0, 0.1, 0.5, 0.9, 1]
    paths = run(f"{js(shares)}.map((s) => {js(a)}.map((a, i) => between(a, {js(b)}[i], angleOf(a, {js(b)}[i]), s)))")
    for k in range(len(a)):
        axis = np.cross(a[k], b[k])
        whole = unit(axis) * np.arctan2(np.linalg.norm(axis), a[k] @ b[k])
        turns = Slerp([0, 1], Rotation.from_rotvec([np.zeros(3), whole]))(shares)
        np.testing.assert_allclose(paths[:, k], turns.apply(a[k]), atol=1e-9)


@pytest.mark.parametrize("a", [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.6, -0.8, 0]])
def test_the_path_to_the_opposite_point_stays_on_the_sphere_and_on_the_circle(a):
    path = run(f"[0, .25, .5, .75, 1].map((s) => between({js(a)}, {js(a)}.map((v) => -v), Math.PI, s))")
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(path @ a, np.cos(np.pi * np.arange(5) / 4), atol=1e-9)
    if a[2] == 0:
        np.testing.assert_array_equal(path[:, 2], 0)


def test_a_projected_path_is_the_shadow_of_the_path():
    random = np.random.default_rng(2)
    a, b = unit(random.standard_normal((2, 25)))
    axes = np.linalg.qr(random.standard_normal((25, 3)))[0].T
    angle = np.arccos(a @ b)
    middle = unit(a + b)
    path = run(f"[0, .5, 1].map((s) => between({js(axes @ a)}, {js(axes @ b)}, {angle}, s))")
    np.testing.assert_allclose(path, [axes @ a, axes @ middle, axes @ b], atol=1e-9)


def test_a_point_that_rests_or_has_no_direction_gives_no_nan():
    ends = [[[0.6, 0.8, 0], [0.6, 0.8, 0]], [[0, 0, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]]
    halfway = run(f"{js(ends)}.map(([a, b]) => between(a, b, angleOf(a, b), 0.5))")
    np.testing.assert_allclose(halfway[0], [0.6, 0.8, 0], atol=1e-12)
    np.testing.assert_allclose(halfway[1], [0, 0, np.sin(np.pi / 4)], atol=1e-12)
    np.testing.assert_array_equal(halfway[2], 0)


def test_the_scripts_ramp_goes_through_its_stops():
    stops = ["#000000", "#808080", "#ff0000"]
    found = run(f"[-1, 0, .25, .5, 1, 2].map((s) => ramp({json.dumps(stops)}, s))")
    assert found.tolist() == ["#000000", "#000000", "#404040", "#808080", "#ff0000", "#ff0000"]


def test_a_picture_shows_every_point_prototype_and_name():
    figure = globe_picture(PROTOTYPES, FRAMES[0], LABELS, [*EVIL[:5], "$x$"], title="$a")
    axes = figure.axes[0]
    scene = make_scene(PROTOTYPES, FRAMES[0], LABELS, (), None)
    drawn = np.concatenate([points.get_offsets() for points in axes.collections])
    expected = turned(unit(FRAMES[0]), *viewpoint(scene))[:, :2]
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))
    assert "$x$" in {text.get_text() for text in axes.texts}
    assert sum(line.get_marker() == "o" for line in axes.lines) == 6
    figure.canvas.draw()


def test_pictures_of_values_of_a_circle_and_of_many_dimensions_are_drawn():
    values = globe_picture([[0, 0, 1.0]], FRAMES[0], None, values=np.arange(30.0), unit="$", paper="#000", ink="#fff")
    assert values.axes[1].get_ylabel() == "$"
    circle = globe_picture(simplex(3, 2), FRAMES[0][:, :2], LABELS % 3)
    many = globe_picture(simplex(9, 8), RANDOM.standard_normal((5, 8)), np.arange(5))
    assert many.get_supxlabel().startswith("Three of 8 dimensions")
    for figure in (values, circle, many):
        figure.set_dpi(20)
        figure.canvas.draw()


NAN = np.where(np.arange(90).reshape(30, 3) == 4, np.nan, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: globe(PROTOTYPES[0], FRAMES, LABELS),
            r"expected prototypes \(classes, dims\).* got shapes \(3,\) and",
        ),
        (lambda: globe(PROTOTYPES, FRAMES[0, 0], LABELS), r"\(points, dims\) or .* got shapes \(6, 3\) and \(3,\)"),
        (lambda: globe(PROTOTYPES, FRAMES[:0], LABELS), r"at least one class and one frame, .* and \(0, 30, 3\)"),
        (lambda: globe(PROTOTYPES, FRAMES[..., :2], LABELS), "the same 2 or more dims, got 3 and 2"),
        (lambda: globe(PROTOTYPES[:, :1], FRAMES[..., :1], LABELS), "the same 2 or more dims, got 1 and 1"),
        (lambda: globe(PROTOTYPES, NAN, LABELS), "expected finite points, got 1 numbers that are not"),
        (lambda: globe(np.full((6, 3), np.inf), FRAMES, LABELS), "expected finite prototypes, got 18 numbers"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS, values=NAN[:, 1]), "expected finite values, got 1 numbers"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS + 1), r"expected labels in \[0, 6\), got labels from 1 to 6"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS[:9]), r"expected 30 whole labels, .* of shape \(9,\)"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS / 2), "expected 30 whole labels, one a point, got float64"),
        (lambda: globe(PROTOTYPES, FRAMES, None), "expected labels, values or both, got neither"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS, ["a"]), "expected 6 class names, one a prototype, or none, got 1"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS, titles=["a"]), "expected 4 titles, one a frame, or none, got 1"),
        (lambda: globe(PROTOTYPES, FRAMES, LABELS, values=[1.0]), r"expected 30 values, .* got shape \(1,\)"),
        (
            lambda: globe_picture(PROTOTYPES, FRAMES, LABELS),
            r"expected points \(points, dims\), got shape \(4, 30, 3\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
