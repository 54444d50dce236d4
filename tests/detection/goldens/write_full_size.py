"""Writes `<name>.npz` beside it for torchvision's two-stage detectors as they are, with weights drawn by name.

    pip install torch==2.13.0 torchvision==0.28.0 numpy && python -m tests.detection.goldens.write_full_size

A file holds all names and shapes, the number of parameters of the published model, and of some detectors what each
part gives of one image. Nothing here imports the zoo.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torchvision.models import detection

from tests.convnets.goldens import numbers
from tests.detection.goldens import full_size as made


def detector(name: str) -> torch.nn.Module:
    return getattr(detection, name)(
        weights=None,
        weights_backbone=None,
        min_size=made.SIZE[0],
        max_size=made.SIZE[1],
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
        rpn_post_nms_top_n_test=made.PROPOSALS,
        rpn_score_thresh=made.LEAST,
        box_score_thresh=made.LEAST,
        box_detections_per_img=made.FOUND,
    )


def main() -> None:
    for name in sys.argv[1:] or made.NAMES:
        model = detector(name).eval()
        weights = {
            key: torch.from_numpy(made.weight(key, tuple(value.shape))) if value.ndim else value
            for key, value in model.state_dict().items()
        }
        model.load_state_dict(weights)
        names = "\n".join(
            f"{key} {'x'.join(map(str, value.shape))}"
            for key, value in weights.items()
            if not key.endswith("num_batches_tracked")
        )
        golden = {"names": np.frombuffer(names.encode(), np.uint8), "parameters": published_parameters(name)}
        if name in made.NUMBERED:
            golden |= parts(model)
        np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **golden)


def published_parameters(name: str) -> np.ndarray:
    stem = name.replace("rcnn", "RCNN").replace("_fpn", "_FPN").replace("resnet", "ResNet").replace("_v2", "_V2")
    stem = stem.replace("mobilenet_v3_large", "MobileNet_V3_Large")
    weights = getattr(detection, f"{stem[0].upper()}{stem[1:]}_Weights".replace("Fasterrcnn", "FasterRCNN"))
    return np.int64(weights.COCO_V1.meta["num_params"])


def parts(model: torch.nn.Module) -> dict[str, np.ndarray]:
    kept: dict[str, object] = {}
    hooked = {"maps": model.backbone, "rpn": model.rpn.head, "proposals": model.rpn}
    hooked |= {"boxes": model.roi_heads.box_predictor}
    heads = model.roi_heads
    if heads.has_mask():
        hooked["extra"] = heads.mask_predictor
    if heads.has_keypoint():
        hooked["extra"] = heads.keypoint_predictor
    for key, part in hooked.items():
        part.register_forward_hook(lambda _, __, output, key=key: kept.__setitem__(key, output))
    with torch.no_grad():
        (found,) = model([torch.from_numpy(made.image())])
    golden = {}
    for level, value in enumerate(kept["maps"].values()):
        golden[f"map/{level}"] = numbers.samples(f"map/{level}", value.numpy())
    logits, deltas = kept["rpn"]
    for level, (logit, delta) in enumerate(zip(logits, deltas, strict=True)):
        golden[f"rpn_logits/{level}"] = numbers.samples(f"rpn_logits/{level}", logit.numpy())
        golden[f"rpn_deltas/{level}"] = numbers.samples(f"rpn_deltas/{level}", delta.numpy())
    golden["proposals"] = kept["proposals"][0][0].numpy()
    for key, value in zip(("class_logits", "box_deltas"), kept["boxes"], strict=True):
        golden[key] = numbers.samples(key, value.numpy())
    for key in ("boxes", "labels", "scores"):
        golden[f"found/{key}"] = found[key].numpy()
    if "extra" in kept:
        golden["extra"] = numbers.samples("extra", kept["extra"].numpy())
    if heads.has_keypoint():
        points = np.concatenate([found["keypoints"].numpy()[..., :2], found["keypoints_scores"].numpy()[..., None]], -1)
        golden["found/keypoints"] = points
    return golden


if __name__ == "__main__":
    main()
