"""A few photographs with rectangles in them, as COCO, Pascal VOC and Penn-Fudan lay them out: wide and tall ones."""

import json

import numpy as np
from PIL import Image

SIZES = [(48, 36), (30, 48), (48, 30), (36, 36)]
"""Width and height of one after another."""
CATEGORIES = {3: "car", 17: "cat", 90: "toothbrush"}
"""Some of COCO's, with its gaps."""
VOC = {3: "car", 17: "cat", 90: "sofa"}


def photograph(number):
    """Pixels, and the objects in them: category, left, top, right, bottom."""
    random = np.random.default_rng(number)
    width, height = SIZES[number % len(SIZES)]
    pixels = random.integers(0, 120, (height, width, 3))
    objects = []
    for category in random.choice([*CATEGORIES], number % 3, replace=False):  # of some there are none
        left, top = (int(value) for value in random.integers(0, (width - 20, height - 20)))
        right, bottom = left + int(random.integers(10, 20)), top + int(random.integers(10, 20))
        pixels[top:bottom, left:right, list(CATEGORIES).index(category)] += 120
        objects.append((int(category), left, top, right, bottom))
    return Image.fromarray(pixels.astype(np.uint8)), objects


def coco(folder, train=8, test=3):
    """`instances_train.json` and `instances_val.json`, with their images beside; the path of the first."""
    for split, numbers in (("train", range(train)), ("val", range(train, train + test))):
        images, annotations = [], []
        for number in numbers:
            image, objects = photograph(number)
            image.save(folder / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": image.width, "height": image.height})
            for category, left, top, right, bottom in objects:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": category,
                        "bbox": [left, top, right - left, bottom - top],
                        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
                        "area": (right - left) * (bottom - top),
                        "iscrowd": 0,
                    }
                )
        categories = [{"id": number, "name": name} for number, name in CATEGORIES.items()]
        found = {"images": images, "annotations": annotations, "categories": categories}
        (folder / f"instances_{split}.json").write_text(json.dumps(found))
    return folder / "instances_train.json"


def voc(folder, train=8, test=3):
    """A year of VOC; its folder."""
    for part in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / part).mkdir(parents=True)
    for split, numbers in (("trainval", range(train)), ("test", range(train, train + test))):
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(map(str, numbers)))
        for number in numbers:
            image, objects = photograph(number)
            image.save(folder / "JPEGImages" / f"{number}.jpg")
            said = "".join(
                f"<object><name>{VOC[category]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
                f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
                for category, left, top, right, bottom in objects
            )
            size = f"<size><width>{image.width}</width><height>{image.height}</height></size>"
            (folder / "Annotations" / f"{number}.xml").write_text(f"<annotation>{size}{said}</annotation>")
    return folder


def masks(folder, count=9):
    """Images and masks as Penn-Fudan has them; their folder."""
    for part in ("PNGImages", "PedMasks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        image, objects = photograph(number)
        numbers = np.zeros((image.height, image.width), np.uint8)
        for place, (_, left, top, right, bottom) in enumerate(objects, start=1):
            numbers[top:bottom, left:right] = place
        image.save(folder / "PNGImages" / f"{number}.png")
        Image.fromarray(numbers).save(folder / "PedMasks" / f"{number}_mask.png")
    return folder
