"""Published files whose batch normalisations have another epsilon compute the same here."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

import zoo
from zoo.catalog.pretrained import Preprocessing, Pretrained, table
from zoo.nn import BatchNorm
from zoo.weights import norms

RANDOM = np.random.default_rng(0)
MODEL = "fasterrcnn_tiny"


@pytest.fixture(scope="module")
def variables():
    images = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda key: zoo.create(MODEL).init(key, images), jax.random.key(0))
    drawn = {
        path: RANDOM.uniform(1e-7, 1e-4, leaf.shape).astype(np.float32)
        for path, leaf in flatten_dict(shapes, sep="/").items()
    }
    return unflatten_dict(drawn, sep="/")


def test_scales_take_up_the_difference():
    values = {name: RANDOM.uniform(1e-7, 1e-4, 6).astype(np.float32) for name in ("scale", "bias", "mean", "var")}
    x = RANDOM.standard_normal((5, 6)).astype(np.float32)

    def applied(values, epsilon):
        params = {"scale": values["scale"], "bias": values["bias"]}
        state = {"params": params, "batch_stats": {"mean": values["mean"], "var": values["var"]}}
        return BatchNorm(epsilon=epsilon).apply(state, x, True)

    paths = {"scale": "params", "bias": "params", "mean": "batch_stats", "var": "batch_stats"}
    changed = norms.with_epsilon({f"{kind}/backbone/norm/{name}": values[name] for name, kind in paths.items()})
    found = {name: changed[f"{kind}/backbone/norm/{name}"] for name, kind in paths.items()}
    assert found["scale"].dtype == np.float32
    np.testing.assert_allclose(applied(found, norms.EPSILON), applied(values, 0.0), rtol=1e-5)
    assert np.all(np.abs(applied(values, norms.EPSILON) / applied(values, 0.0) - 1) > 0.01)


def test_only_these_files_are_changed_and_only_in_the_backbone(tmp_path, monkeypatch, variables):
    path = tmp_path / "weights.safetensors"
    zoo.save_weights(variables, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    row = Pretrained(
        "COCO_V1", path.as_uri(), digest, Preprocessing(64, 64, "bilinear", (0,) * 3, (1,) * 3), "coco", {}
    )
    monkeypatch.setattr("zoo.catalog.pretrained.table", lambda: {MODEL: (row,)})
    before = flatten_dict(variables, sep="/")
    same = flatten_dict(zoo.load_weights(MODEL, path), sep="/")
    assert all(np.array_equal(same[name], before[name]) for name in before)

    monkeypatch.setattr(norms, "WITHOUT_EPSILON", frozenset({digest}))
    after = flatten_dict(zoo.load_weights(MODEL, path), sep="/")
    changed = {name for name in before if not np.array_equal(after[name], before[name])}
    assert changed == {name for name in before if name.startswith("params/backbone/") and name.endswith("scale")}
    assert changed
    zoo.save_weights(unflatten_dict(after, sep="/"), path)  # another file, which is what it says
    again = flatten_dict(zoo.load_weights(MODEL, path), sep="/")
    assert all(np.array_equal(again[name], after[name]) for name in after)


def test_the_digests_are_those_of_published_files():
    published = {file.sha256: model for model, files in table().items() for file in files}
    assert sorted(published[digest] for digest in norms.WITHOUT_EPSILON) == [
        "fasterrcnn_resnet50_fpn",
        "keypointrcnn_resnet50_fpn",
        "maskrcnn_resnet50_fpn",
        "retinanet_resnet50_fpn",
    ]
