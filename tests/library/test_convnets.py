"""Convolutional networks against torchvision and timm: keys, shapes, cost, outputs, gradients, first weights."""

from __future__ import annotations

from typing import Any

import peers
import pytest
import torch
from parity import close, hold, hold_first_weights, hold_table, stirred

import ogive

Key = tuple[str, str]

PEERS: dict[Key, tuple[str, dict[str, Any]]] = {
    ("alexnet", "AlexNet"): ("torchvision.alexnet", {}),
    ("vgg", "VGG.v11"): ("torchvision.vgg11", {}),
    ("vgg", "VGG.v13"): ("torchvision.vgg13", {}),
    ("vgg", "VGG.v16"): ("torchvision.vgg16", {}),
    ("vgg", "VGG.v19"): ("torchvision.vgg19", {}),
    ("vgg", "VGG.v16_bn"): ("torchvision.vgg16_bn", {}),
    ("inception", "GoogLeNet"): ("torchvision.googlenet", {"aux_logits": False, "init_weights": True}),
    ("inception", "InceptionV3"): ("torchvision.inception_v3", {"aux_logits": False, "init_weights": True}),
    ("densenet", "DenseNet.d121"): ("torchvision.densenet121", {}),
    ("densenet", "DenseNet.d161"): ("torchvision.densenet161", {}),
    ("densenet", "DenseNet.d169"): ("torchvision.densenet169", {}),
    ("densenet", "DenseNet.d201"): ("torchvision.densenet201", {}),
    ("mobilenet", "MobileNetV1"): ("mobilenetv1_100", {}),
    ("mobilenet", "MobileNetV2"): ("torchvision.mobilenet_v2", {}),
    ("mobilenet", "MobileNetV3.large"): ("torchvision.mobilenet_v3_large", {}),
    ("mobilenet", "MobileNetV3.small"): ("torchvision.mobilenet_v3_small", {}),
    ("efficientnet", "EfficientNet.B0"): ("torchvision.efficientnet_b0", {}),
    ("efficientnet", "EfficientNet.B1"): ("torchvision.efficientnet_b1", {}),
    ("efficientnet", "EfficientNet.B2"): ("torchvision.efficientnet_b2", {}),
    ("efficientnet", "EfficientNet.B3"): ("torchvision.efficientnet_b3", {}),
    ("efficientnet", "EfficientNet.B4"): ("torchvision.efficientnet_b4", {}),
    ("efficientnet", "EfficientNet.B5"): ("torchvision.efficientnet_b5", {}),
    ("efficientnet", "EfficientNet.B6"): ("torchvision.efficientnet_b6", {}),
    ("efficientnet", "EfficientNet.B7"): ("torchvision.efficientnet_b7", {}),
    ("regnet", "RegNetY.Y4G"): ("regnety_040", {}),
    ("regnet", "RegNetY.Y8G"): ("regnety_080", {}),
    ("regnet", "RegNetY.Y16G"): ("regnety_160", {}),
    ("resnet", "ResNet.x50"): ("torchvision.resnext50_32x4d", {}),
    ("resnet", "ResNet.x101"): ("torchvision.resnext101_32x8d", {}),
    ("resnet", "ResNet.w50"): ("torchvision.wide_resnet50_2", {}),
    ("seresnet", "SEResNet50"): ("seresnet50", {}),
}

SIDES = {"AlexNet": 95, "InceptionV3": 139}
"""Images smaller than those of the papers, which the networks take as well; 64 unless said."""

TABLES = {"AlexNet", "VGG.v11", "InceptionV3", "MobileNetV1", "RegNetY.Y4G", "ResNet.x50", "SEResNet50"}
RUN = {"GoogLeNet", "DenseNet.d121", "MobileNetV2", "MobileNetV3.small", "EfficientNet.B0"}
"""In the quick suite. Of each family one at least; all of them in the long one."""


def name_of(key: Key) -> str:
    return key[1]


def some(names: set[str]) -> list[Any]:
    return [pytest.param(k, id=name_of(k), marks=[] if k[1] in names else [pytest.mark.long]) for k in PEERS]


def pair(key: Key, **settings: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
    name, given = PEERS[key]
    ours = ogive.compile(ogive.load(*key, **settings))
    renamed = {"num_classes" if k == "classes" else k: v for k, v in settings.items()}
    return ours, peers.create(name, **given, **renamed)


@pytest.mark.parametrize("key", some(TABLES))
def test_keys_shapes_and_cost(key: Key) -> None:
    """On the meta device: every key and shape, parameters and multiply-adds."""
    name, given = PEERS[key]
    network = ogive.load(*key)
    with torch.device("meta"):
        ours, theirs = ogive.compile(network), peers.create(name, **given)
    hold_table(network, ours, theirs)


@pytest.mark.parametrize("key", some(RUN))
def test_outputs_and_gradients(key: Key) -> None:
    """At ten classes, on one small image."""
    hold(*pair(key, classes=10), SIDES.get(key[1], 64), batch=1)


@pytest.mark.long
@pytest.mark.parametrize("key", PEERS, ids=name_of)
def test_outputs_at_the_size_of_the_paper(key: Key) -> None:
    """Float32, with the weights held once by both; EfficientNet at 224."""
    name, given = PEERS[key]
    theirs = stirred(peers.create(name, **given).eval())
    with torch.device("meta"):
        ours = ogive.compile(ogive.load(*key)).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    side = 299 if key[1] == "InceptionV3" else 224
    image = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        close(ours(image), theirs(image), 1e-4)


DRAWN = {"MobileNetV1", "MobileNetV2", "MobileNetV3.small", "EfficientNet.B0", "DenseNet.d121", "RegNetY.Y4G",
         "GoogLeNet", "SEResNet50"}
"""In the quick suite; those of the larger ones go by the same rules."""

LARGER = {"AlexNet", "VGG.v16_bn", "InceptionV3", "MobileNetV3.large", "EfficientNet.B7", "ResNet.x50", "ResNet.w50"}
OWN = {"GoogLeNet": r"^fc\.bias$", "InceptionV3": r"^fc\.bias$", "SEResNet50": r"\.se\.fc\d\.bias$"}
"""Biases that the references leave as torch draws them, and that are zeros here, as beside every weight with a rule."""


@pytest.mark.parametrize("key", [p for p in some(DRAWN) if p.id in DRAWN | LARGER])
def test_first_weights(key: Key) -> None:
    """Mean and deviation of each tensor are the reference's, within what chance allows."""
    name, given = PEERS[key]
    hold_first_weights(
        lambda: ogive.compile(ogive.load(*key)), lambda: peers.create(name, **given), but=OWN.get(key[1], "^$"),
    )
