"""Names of RetinaNet's, FCOS's, SSD's and SSDlite's weights in torchvision. Rows L55, L60."""

import flax.linen as nn

from zoo.convnets.inverted_residual import parts
from zoo.detection.fcos import FCOS
from zoo.detection.retinanet import RetinaNet
from zoo.detection.ssd import SSD, SSDVGG
from zoo.detection.ssdlite import SSDLite, SSDLiteMobileNet
from zoo.weights.blocks import conv_norm, squeeze_excite
from zoo.weights.resnet import RESNET
from zoo.weights.rules import Family, Rule, convolution, join, layer_norm, moved


def retinanet(model: RetinaNet) -> Family:
    """The rules of one RetinaNet above a residual network."""
    return Family(
        join(_body(), _pyramid(), _towers(model), _lasts({"cls_logits": "logits", "bbox_reg": "differences"}))
    )


def fcos(model: FCOS) -> Family:
    """The rules of one FCOS above a residual network."""
    lasts = {"cls_logits": "logits", "bbox_reg": "distances", "bbox_ctrness": "centerness"}
    return Family(join(_body(), _pyramid(), _towers(model), _lasts(lasts)))


def ssd(model: SSD) -> Family:
    """The rules of one SSD above its VGG, where layers are counted through two parts of the network."""
    rules: list[Rule] = [Rule("backbone.scale_weight", "params/backbone/scale")]
    body: SSDVGG = model.backbone
    index = 0
    for stage, count in enumerate(body.counts, start=1):
        if stage == len(body.counts):  # in the part of what is extra, behind a pooling
            index = 1
        for number in range(1, count + 1):
            part = "extra.0" if stage == len(body.counts) else "features"
            rules += convolution(f"backbone.{part}.{index}", f"backbone/stage{stage}/conv{number}")
            index += 2  # with the ReLU
        index += 1  # the pooling
    dense = f"backbone.extra.0.{2 * body.counts[-1] + 1}"
    rules += convolution(f"{dense}.1", "backbone/fc6") + convolution(f"{dense}.3", "backbone/fc7")
    for pair in range(len(body.extra)):
        for number in range(2):
            ours = f"backbone/conv{pair + 8}_{number + 1}"
            rules += convolution(f"backbone.extra.{pair + 1}.{2 * number}", ours)
    rules += convolution("head.classification_head.module_list.{level}", "head/logits{level+1}")
    rules += convolution("head.regression_head.module_list.{level}", "head/differences{level+1}")
    return Family(tuple(rules))


def ssdlite(model: SSDLite) -> Family:
    """The rules of one SSDlite above its MobileNetV3, which is cut in two inside the first block of the last stage."""
    rules: list[Rule] = []
    body: SSDLiteMobileNet = model.backbone
    plan = body.plan()
    rules += conv_norm("backbone.features.0.0", "backbone/stem")
    index, channels, cut = 1, plan.stem, 0
    for stage, blocks in enumerate(plan.stages, start=1):
        for number, block in enumerate(blocks, start=1):
            ours, names = f"backbone/stage{stage}/block{number}", parts(block, channels)
            opens = (stage, number) == (len(plan.stages), 1)
            cut = index if opens else cut
            begin = f"backbone.features.1.{index - cut}" if cut else f"backbone.features.0.{index}"
            for i, part in enumerate(names):
                theirs = f"{begin}.block.{i}"
                if opens:
                    theirs = f"backbone.features.0.{index}" if part == "expand" else f"{begin}.{i}"
                rules += (squeeze_excite if part == "se" else conv_norm)(theirs, f"{ours}/{part}")
            index, channels = index + 1, block.features
    rules += conv_norm(f"backbone.features.1.{index - cut}", "backbone/final")
    for i, part in enumerate(("reduce", "depthwise", "expand")):
        rules += conv_norm(f"backbone.extra.{{block}}.{i}", f"backbone/extra{{block+1}}/{part}")
    for head, ours in (("classification", "logits"), ("regression", "differences")):
        begin = f"head.{head}_head.module_list.{{level}}"
        rules += conv_norm(f"{begin}.0", f"head/{ours}{{level+1}}_depthwise")
        rules += convolution(f"{begin}.1", f"head/{ours}{{level+1}}")
    return Family(tuple(rules))


def _body() -> tuple[Rule, ...]:
    return moved(RESNET.rules, "backbone.body.", "backbone/")


def _pyramid() -> tuple[Rule, ...]:
    """Files of before 2022 lack the zero of a module around each convolution."""
    return join(
        *(
            convolution(f"backbone.fpn.{kind}_blocks.{{level}}{end}", f"pyramid/{kind}{{level+1}}")
            for end in (".0", "")
            for kind in ("inner", "layer")
        ),
        *(convolution(f"backbone.fpn.extra_blocks.p{6 + i}", f"coarser/p{6 + i}") for i in range(2)),
    )


def _towers(model: nn.Module) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    for theirs, ours in (("classification_head", "classes"), ("regression_head", "boxes")):
        begin = f"head.{theirs}.conv."
        if isinstance(model, RetinaNet):
            rules += convolution(begin + "{layer}.0", f"head/{ours}/conv{{layer+1}}")
            rules += layer_norm(begin + "{layer}.1", f"head/{ours}/norm{{layer+1}}")
            for layer in range(4):  # of before 2022, where each ReLU is counted
                rules += convolution(f"{begin}{2 * layer}", f"head/{ours}/conv{layer + 1}")
        else:
            for layer in range(4):
                rules += convolution(f"{begin}{3 * layer}", f"head/{ours}/conv{layer + 1}")
                rules += layer_norm(f"{begin}{3 * layer + 1}", f"head/{ours}/norm{layer + 1}")
    return tuple(rules)


def _lasts(names: dict[str, str]) -> tuple[Rule, ...]:
    """The last convolutions, of which that of the classes is in a head of its own."""
    heads = {theirs: "classification" if theirs == "cls_logits" else "regression" for theirs in names}
    return join(*(convolution(f"head.{heads[each]}_head.{each}", f"head/{ours}") for each, ours in names.items()))
