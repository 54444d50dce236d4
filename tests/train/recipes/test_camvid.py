"""The recipe of CamVid: its first steps on a few small streets, and weights of other classes."""

import dataclasses
import types

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from PIL import Image

import zoo
import zoo.catalog
from tests.train import harness
from train.config import Model
from train.data.sources.label_maps import CAMVID
from train.engine.assemble import assemble
from train.recipes import get
from train.store.workdir import Workdir
from zoo.catalog.pretrained import table
from zoo.weights import NewHeadWarning

HEIGHT, WIDTH = 36, 48


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """A folder as SegNet's tutorial has it: sky over road, a car on it, and a corner that is void."""
    root, random = tmp_path_factory.mktemp("camvid"), np.random.default_rng(0)
    for part, count in (("train", 5), ("test", 3)):
        for folder in (part, f"{part}annot"):
            (root / folder).mkdir()
        for number in range(count):
            labels = np.zeros((HEIGHT, WIDTH), np.uint8)
            labels[HEIGHT // 2 :] = CAMVID.index("road")
            left = int(random.integers(WIDTH - 12))
            labels[20:28, left : left + 12] = CAMVID.index("car")
            labels[:4, :4] = CAMVID.index("void")
            image = 20 * labels[..., None] + random.integers(0, 15, (HEIGHT, WIDTH, 3))
            Image.fromarray(image.astype(np.uint8)).save(root / part / f"{number}.png")
            Image.fromarray(labels).save(root / f"{part}annot" / f"{number}.png")
    return root


def small(streets, **changes):
    """The recipe on those, for two steps, from random numbers."""
    recipe = get("camvid")
    data = dataclasses.replace(recipe.data, source=f"label_maps:{streets}", batch_size=2, eval_batch_size=2)
    usual = {"weights": None, "steps": 2, "eval_every": 1, "log_every": 1}
    return dataclasses.replace(recipe, data=data, **usual | changes)


@pytest.fixture
def backbone(engine):
    """A context with the smallest backbone as `maps`."""
    row = dataclasses.replace(
        zoo.catalog.CATALOG["cifar_resnet8"], name="maps", builder="tests.train.test_scenes_runs:Maps", options={}
    )
    with engine(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.catalog.CATALOG", types.MappingProxyType({**zoo.catalog.CATALOG, "maps": row}))
        yield


def test_first_steps_on_a_few_streets(streets, backbone, tmp_path):
    """All but the network is as it is in the recipe: data, variation, task and optimiser."""
    outcome = harness.run(small(streets, model=Model("maps")), tmp_path / "run")
    assert len(harness.lines(tmp_path / "run", "train")) == 2
    assert all(np.isfinite(outcome.metrics[name]) for name in ("mean_iou", "trimap_iou", "loss"))
    card = Workdir(tmp_path / "run").read_card()
    assert card["data"]["fields"]["image"]["shape"] == [HEIGHT, WIDTH, 3]  # evaluation sees all of it
    weights = dict(zip(CAMVID, card["task"]["fitted"]["class_weights"], strict=False))
    assert weights["car"] > weights["road"] > 0
    assert weights["tree"] == 0  # there is none


@pytest.mark.parametrize("name", ["camvid", "camvid_squeezenet"])
def test_weights_that_the_recipes_name_are_published(name):
    recipe = get(name)
    assert recipe.weights in {row.name for row in table()[recipe.model.name]}


@pytest.mark.slow  # traces DeepLab several times
def test_network_of_other_classes_is_taken_but_for_its_last_layer(streets, tmp_path):
    """Of a small DeepLab, for the published file is large."""
    model, random = zoo.create("deeplabv3_tiny", num_classes=21), np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32))
    theirs = jax.tree.map(lambda leaf: random.normal(size=leaf.shape).astype(leaf.dtype), shapes)
    zoo.save_weights(theirs, tmp_path / "deeplab.safetensors")
    recipe = small(streets, model=Model("deeplabv3_tiny"), weights=str(tmp_path / "deeplab.safetensors"))
    with pytest.warns(NewHeadWarning, match="21 classes"):
        found = assemble(recipe).weights
    flat, known = (flatten_dict(tree["params"], sep="/") for tree in (found, theirs))
    drawn = {name for name, value in flat.items() if value.shape != known[name].shape}
    assert {name.rpartition("/")[0] for name in drawn} == {"head/logits", "aux1/logits"}
    for name in flat.keys() - drawn:
        np.testing.assert_array_equal(flat[name], known[name])
