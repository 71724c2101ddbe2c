"""Convolutional networks, untrained: `pydl.vision.models.resnet18(num_classes=10)`.

Where torchvision has the model, names, arguments and the keys of the state_dict are its own: a state_dict saved there as safetensors
loads here (pydl.io.load_model) and gives the same outputs.
"""
from pydl.vision.models.convnext import ConvNeXt, convnext_tiny
from pydl.vision.models.fcos import FCOS, DetectionBackbone
from pydl.vision.models.fpn import FeaturePyramidNetwork
from pydl.vision.models.lenet import LeNet5
from pydl.vision.models.mobilenet import MobileNetV2, mobilenet_v2
from pydl.vision.models.resnet import CifarResNet, ResNet, resnet18, resnet20, resnet34, resnet50, resnet56
from pydl.vision.models.unet import UNet
from pydl.vision.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "CifarResNet",
    "ConvNeXt",
    "DetectionBackbone",
    "FCOS",
    "FeaturePyramidNetwork",
    "LeNet5",
    "MobileNetV2",
    "ResNet",
    "UNet",
    "VGG",
    "convnext_tiny",
    "mobilenet_v2",
    "resnet18",
    "resnet20",
    "resnet34",
    "resnet50",
    "resnet56",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]
