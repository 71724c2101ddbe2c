"""Models of pydl.vision.models: shapes, numbers of parameters, keys, and weights that another library has saved."""
import numpy as np
import pytest

import pydl
from pydl import nn
from pydl.vision import models
from pydl.vision.models import resnet

# Model, shape of an image, parameters for ten classes. Those of torchvision's networks are its own, less what 990 classes take.
NETWORKS = {
    "LeNet5": (lambda: models.LeNet5(), (1, 28, 28), 61_706),
    "vgg11_bn": (lambda: models.vgg11_bn(), (3, 32, 32), 9_231_114),
    "resnet18": (lambda: models.resnet18(10), (3, 64, 64), 11_689_512 - 990 * 513),
    "resnet34": (lambda: models.resnet34(10), (3, 64, 64), 21_797_672 - 990 * 513),
    "resnet50": (lambda: models.resnet50(10), (3, 64, 64), 25_557_032 - 990 * 2049),
    "resnet20": (lambda: models.resnet20(), (3, 32, 32), 269_722),
    "resnet56": (lambda: models.resnet56(), (3, 32, 32), 853_018),
    "mobilenet_v2": (lambda: models.mobilenet_v2(10), (3, 64, 64), 3_504_872 - 990 * 1281),
    "convnext_tiny": (lambda: models.convnext_tiny(10), (3, 64, 64), 28_589_128 - 990 * 769),
}
SMALL = ("LeNet5", "resnet20")


@pytest.mark.parametrize("name", NETWORKS)
def test_number_of_parameters(name):
    build, _, count = NETWORKS[name]
    assert sum(p.numel() for p in build().parameters()) == count


@pytest.mark.parametrize("name", NETWORKS)
def test_logits(name):
    build, shape, _ = NETWORKS[name]
    model = build().eval()
    with pydl.no_grad():
        x = pydl.randn(2, *shape)
        y = model(x)
        assert y.shape == (2, 10) and np.isfinite(y.numpy()).all()
        alone = model(x[1:])
    np.testing.assert_allclose(alone.numpy(), y.numpy()[1:], rtol=1e-3, atol=1e-3 * np.abs(y.numpy()).max())


@pytest.mark.parametrize("name", SMALL)
def test_learns(name):
    pydl.manual_seed(0)
    build, shape, _ = NETWORKS[name]
    model, x, t = build(), pydl.randn(8, *shape), pydl.tensor(np.arange(8))
    optimizer = pydl.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 and all(p.grad is not None for p in model.parameters())


def test_vgg_layers_have_torchvision_names():
    keys = models.vgg11().features.state_dict().keys()
    assert [key for key in keys if key.endswith("weight")] == [f"{i}.weight" for i in (0, 3, 6, 8, 11, 13, 16, 18)]


def test_names_of_mobilenet_and_convnext():
    mobile, convnext = models.mobilenet_v2(10).state_dict(), models.convnext_tiny(10).state_dict()
    for key, shape in (("features.0.0.weight", (32, 3, 3, 3)), ("features.1.conv.0.0.weight", (32, 1, 3, 3)),
                       ("features.1.conv.1.weight", (16, 32, 1, 1)), ("features.2.conv.1.1.running_mean", (96,)),
                       ("features.18.0.weight", (1280, 320, 1, 1)), ("classifier.1.weight", (10, 1280))):
        assert mobile[key].shape == shape
    for key, shape in (("features.0.1.weight", (96,)), ("features.1.0.layer_scale", (96, 1, 1)), ("features.1.0.block.0.weight", (96, 1, 7, 7)),
                       ("features.1.2.block.3.weight", (384, 96)), ("features.2.1.weight", (192, 96, 2, 2)), ("classifier.2.bias", (10,))):
        assert convnext[key].shape == shape


def test_stochastic_depth_leaves_out_whole_branches():
    pydl.manual_seed(0)
    from pydl.vision.models.convnext import CNBlock
    block, x = CNBlock(4, 1.0, 0.5), pydl.randn(64, 4, 5, 5)
    whole = (block.eval()(x) - x).detach().numpy()
    part = (block.train()(x) - x).detach().numpy()
    kept = np.abs(part).reshape(64, -1).max(1) > 0
    assert 16 < kept.sum() < 48
    np.testing.assert_allclose(part[kept], 2 * whole[kept], rtol=1e-4, atol=1e-5)


def test_residual_networks_have_blocks():
    with pytest.raises(ValueError, match="CifarResNet: expected blocks of 1 or more, got 0"):
        models.CifarResNet(0)
    with pytest.raises(ValueError, match=r"ResNet: expected layers to be four numbers of 1 or more, got \(2, 2, 0, 2\)"):
        models.ResNet(resnet.BasicBlock, (2, 2, 0, 2))


class TestUNet:
    def test_gives_logits_of_every_pixel(self):
        model = models.UNet(channels=2, num_classes=3, widths=(4, 8, 16)).eval()
        assert model(pydl.randn(2, 2, 16, 24)).shape == (2, 3, 16, 24)

    @pytest.mark.parametrize("shape", [(1, 1, 10, 8), (1, 1, 8, 10), (1, 8, 8)])
    def test_refuses_images_that_cannot_be_halved(self, shape):
        with pytest.raises(ValueError, match="multiples of 4"):
            models.UNet(widths=(4, 8, 16))(pydl.randn(*shape))

    def test_takes_patches_for_pixels(self):
        model = models.UNet(num_classes=3, widths=(4, 8), patch=2).eval()
        x = pydl.randn(2, 1, 8, 12)
        inner = models.UNet(4, 12, widths=(4, 8)).eval()
        inner.load_state_dict(model.state_dict())
        expected = pydl.ops.pixel_shuffle(inner(pydl.ops.pixel_unshuffle(x, 2)), 2)
        np.testing.assert_array_equal(model(x).detach().numpy(), expected.detach().numpy())
        assert model.multiple == 4 and expected.shape == (2, 3, 8, 12)
        with pytest.raises(ValueError, match="multiples of 4"):
            model(pydl.randn(1, 1, 8, 10))

    def test_refuses_one_width(self):
        with pytest.raises(ValueError, match="two widths"):
            models.UNet(widths=(4,))
        with pytest.raises(ValueError, match="patch of 1 or more"):
            models.UNet(patch=0)

    def test_dropout_is_at_the_smallest_size(self):
        model = models.UNet(widths=(8, 16, 16, 16), dropout=0.5)
        assert [one[3].p for one in model.down] == [0, 0, 0.5] and model.stem[3].p == 0


class TestFeaturePyramid:
    def test_adds_the_smaller_image(self):
        pyramid = models.FeaturePyramidNetwork((3, 5), 4)
        images = [pydl.randn(1, 3, 8, 8), pydl.randn(1, 5, 4, 4)]
        large, small = pyramid(images)
        assert large.shape == (1, 4, 8, 8) and small.shape == (1, 4, 4, 4)
        inner = [block(image) for block, image in zip(pyramid.inner_blocks, images, strict=True)]
        above = np.kron(inner[1].detach().numpy(), np.ones((1, 1, 2, 2)))
        expected = pyramid.layer_blocks[0](pydl.tensor((inner[0].detach().numpy() + above).astype(np.float32)))
        np.testing.assert_allclose(large.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)

    def test_refuses_another_number_of_images(self):
        with pytest.raises(ValueError, match="expected 2 images, got 1"):
            models.FeaturePyramidNetwork((3, 5), 4)([pydl.randn(1, 3, 8, 8)])


def torch_resnet18(torch):
    """ResNet-18 as torchvision names it, written anew in PyTorch."""
    n = torch.nn

    class Block(n.Module):
        def __init__(self, inputs, planes, stride):
            super().__init__()
            self.conv1, self.bn1 = n.Conv2d(inputs, planes, 3, stride, 1, bias=False), n.BatchNorm2d(planes)
            self.conv2, self.bn2 = n.Conv2d(planes, planes, 3, 1, 1, bias=False), n.BatchNorm2d(planes)
            self.downsample = None
            if stride != 1:
                self.downsample = n.Sequential(n.Conv2d(inputs, planes, 1, stride, bias=False), n.BatchNorm2d(planes))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet18(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1, self.fc = n.Conv2d(3, 64, 7, 2, 3, bias=False), n.BatchNorm2d(64), n.Linear(512, 1000)
            for i, (inputs, planes) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), 1):
                self.add_module(f"layer{i}", n.Sequential(Block(inputs, planes, 1 if i == 1 else 2), Block(planes, planes, 1)))

        def forward(self, x):
            x = n.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
            for i in range(1, 5):
                x = getattr(self, f"layer{i}")(x)
            return self.fc(x.mean((2, 3)))

    return ResNet18()


@pytest.mark.parity
def test_weights_saved_by_pytorch(tmp_path):
    torch, files = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)
    theirs = torch_resnet18(torch)
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.2, 0.2), (module.running_mean, -0.2, 0.2),
                                          (module.running_var, 0.5, 1.5)):
                    tensor.uniform_(low, high)
    files.save_file(theirs.state_dict(), tmp_path / "resnet18.safetensors")
    ours = models.resnet18()
    pydl.io.load_model(ours, tmp_path / "resnet18.safetensors")
    x = np.random.default_rng(0).standard_normal((2, 3, 224, 224), dtype=np.float32)
    with pydl.no_grad(), torch.no_grad():
        y, expected = ours.eval()(pydl.tensor(x)).numpy(), theirs.eval()(torch.tensor(x)).numpy()
    assert np.abs(y - expected).max() <= 1e-4 * np.abs(expected).max()
