"""Pictures of results, with the names of torchvision.utils: boxes, masks, grids. Through Pillow (`pip install "pydl-cpu[vision]"`)."""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from pydl.tensor import Tensor, from_numpy, uint8
from pydl.vision.images import Path, pillow, planes, to_bytes, write_png

Colour = str | tuple[int, int, int]
# Colours that can be told apart, also by most people who do not see all of them (Okabe & Ito 2008).
PALETTE: tuple[Colour, ...] = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))


def checked(name: str, image: Tensor) -> np.ndarray:
    """The image as (H, W, 3) uint8, a copy; floats 0 .. 1 are made bytes."""
    if not isinstance(image, Tensor):
        raise TypeError(f"{name}: image must be a Tensor, got {type(image).__name__}")
    if image.dtype != uint8 and not image.is_floating_point():
        raise TypeError(f"{name}: expected a uint8 image, or floats from 0 to 1, got {image.dtype}")
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in tuple(image.shape):
        raise ValueError(f"{name}: expected an image (3, H, W) or (1, H, W), got shape {tuple(image.shape)}")
    pixels = image.detach().numpy()
    if image.dtype != uint8:
        pixels = to_bytes(pixels * 255)
    return np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0)).copy()


def colours_of(name: str, colors: Colour | Sequence[Colour] | None, count: int) -> list[tuple[int, int, int]]:
    """RGB for each of `count` things; colours are names, "#rrggbb" or (r, g, b)."""
    (image_color,) = pillow(name, "ImageColor")
    if colors is None:
        given: Sequence[Colour] = [PALETTE[i % len(PALETTE)] for i in range(count)]
    elif isinstance(colors, str):
        given = [colors] * count
    elif len(colors) == 3 and all(isinstance(c, (int, np.integer)) for c in colors):
        given = [cast(Colour, tuple(colors))] * count
    else:
        given = cast(Sequence[Colour], colors)
    if len(given) < count:
        raise ValueError(f"{name}: expected a colour for each of {count}, got {len(given)}")
    return [colour_of(name, image_color, one) for one in given[:count]]


def colour_of(name: str, image_color: Any, colour: Colour) -> tuple[int, int, int]:
    try:
        red, green, blue = image_color.getrgb(colour)[:3] if isinstance(colour, str) else map(int, colour)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: colors: expected a name, '#rrggbb' or (r, g, b), got {colour!r}") from error
    if not 0 <= min(red, green, blue) <= max(red, green, blue) <= 255:
        raise ValueError(f"{name}: colors: expected numbers from 0 to 255, got {colour!r}")
    return red, green, blue


def draw_bounding_boxes(image: Tensor, boxes: Tensor, labels: Sequence[str | None] | None = None,
                        colors: Colour | Sequence[Colour] | None = None, fill: bool = False, width: int = 1, font: Path | None = None,
                        font_size: int | None = None) -> Tensor:
    """An image (3 or 1, H, W), uint8 or floats 0 .. 1, with boxes (K, 4) x1 y1 x2 y2 on it -> (3, H, W) uint8.

    labels: a text for each (None: none); colors: one or one a box (names, "#rrggbb" or (r, g, b)); fill: also inside, half transparent;
    width: of the lines, in pixels; font: a TrueType file (Pillow's own font without one). Raises ValueError, TypeError for
    what does not fit, boxes with x2 < x1 or y2 < y1 or NaN among them.
    """
    name = "draw_bounding_boxes"
    pixels = checked(name, image)
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected boxes (K, 4), got {tuple(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__}")
    corners = boxes.detach().numpy().astype(np.float64)
    if not (np.isfinite(corners).all() and (corners[:, 2:] >= corners[:, :2]).all()):
        raise ValueError(f"{name}: expected finite boxes with x1 <= x2 and y1 <= y2, got {corners.tolist()[:5]}")
    if labels is not None and len(labels) != len(corners):
        raise ValueError(f"{name}: expected a label for each of {len(corners)} boxes, got {len(labels)}")
    if not isinstance(width, int):
        raise TypeError(f"{name}: width must be an int, got {type(width).__name__}")
    if width < 1:
        raise ValueError(f"{name}: width must be 1 or more, got {width}")
    image_module, image_draw, image_font = pillow(name, "Image", "ImageDraw", "ImageFont")
    rgb = colours_of(name, colors, len(corners))
    picture = image_module.fromarray(pixels)
    draw = image_draw.Draw(picture, "RGBA" if fill else None)
    try:
        letters = image_font.load_default(font_size or 10) if font is None else image_font.truetype(font, font_size or 10)
    except OSError as error:
        raise OSError(f"{name}: {font}: not a font that Pillow can read: {error}") from error
    corners = np.clip(corners, -1e6, 1e6)       # beyond what Pillow draws
    for i, (x1, y1, x2, y2) in enumerate(corners.tolist()):
        # the box reaches to x2, so that its last pixel is the one before
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), fill=(*rgb[i], 100) if fill else None, outline=rgb[i], width=width)
        if labels is not None and labels[i] is not None:
            label(draw, letters, str(labels[i]), x1, y1, rgb[i])
    return planes(np.array(picture))


def label(draw: Any, letters: Any, text: str, x: float, y: float, rgb: tuple[int, int, int]) -> None:
    """Text above (x, y), or below where there is no room, on the colour."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=letters)
    height = bottom - top + 2
    up = y - height if y >= height else y
    draw.rectangle((x, up, x + right - left + 2, up + height), fill=rgb)
    dark = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 128
    draw.text((x + 1 - left, up + 1 - top), text, font=letters, fill=(0, 0, 0) if dark else (255, 255, 255))


def draw_segmentation_masks(image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colour | Sequence[Colour] | None = None) -> Tensor:
    """An image (3 or 1, H, W) with bool masks (K, H, W) or (H, W) laid over it -> (3, H, W) uint8.

    alpha: 0 (not to be seen) .. 1 (covers the image); colors: one or one a mask; where masks overlap, colours are averaged.
    """
    name = "draw_segmentation_masks"
    pixels = checked(name, image)
    if not 0 <= alpha <= 1:
        raise ValueError(f"{name}: alpha must be from 0 to 1, got {alpha}")
    if not isinstance(masks, Tensor) or masks.numpy().dtype != bool:
        raise TypeError(f"{name}: masks must be a bool Tensor, got {masks.dtype if isinstance(masks, Tensor) else type(masks).__name__}")
    layers = masks.numpy() if masks.ndim == 3 else masks.numpy()[None]
    if layers.ndim != 3 or layers.shape[1:] != pixels.shape[:2]:
        raise ValueError(f"{name}: expected masks (K, H, W) of the image's size {pixels.shape[:2]}, got shape {tuple(masks.shape)}")
    rgb = np.array(colours_of(name, colors, len(layers)), dtype=np.float32).reshape(-1, 3)
    count = layers.sum(0)
    covered = count > 0
    mean = np.einsum("khw,kc->hwc", layers.astype(np.float32), rgb)[covered] / count[covered][:, None]
    pixels[covered] = to_bytes((1 - alpha) * pixels[covered].astype(np.float32) + np.float32(alpha) * mean)
    return planes(pixels)


def make_grid(tensor: Tensor | Sequence[Tensor], nrow: int = 8, padding: int = 2, normalize: bool = False,
              value_range: tuple[float, float] | None = None, scale_each: bool = False, pad_value: float = 0.0) -> Tensor:
    """Images (N, C, H, W), or a list of (C, H, W), in one: nrow beside each other, `padding` pixels of pad_value around each.

    One channel becomes three. normalize: least .. largest value (of all, or with scale_each of each image; or value_range) become 0 .. 1.
    """
    images = tensor.detach().numpy() if isinstance(tensor, Tensor) else stacked(tensor)
    if images.ndim in (2, 3):
        images = images.reshape(1, -1, *images.shape[-2:])
    if images.ndim != 4:
        raise ValueError(f"make_grid: expected images (N, C, H, W), got shape {images.shape}")
    if nrow < 1 or padding < 0:
        raise ValueError(f"make_grid: expected nrow of 1 or more and padding of 0 or more, got {nrow} and {padding}")
    if images.shape[0] == 0 or 0 in images.shape:
        raise ValueError(f"make_grid: expected one image or more with some pixels, got shape {images.shape}")
    if images.shape[1] == 1:
        images = np.repeat(images, 3, 1)
    if normalize:
        images = normalized(images, value_range, scale_each)
    elif value_range is not None or scale_each:
        raise ValueError("make_grid: value_range and scale_each go with normalize=True")
    n, channels, height, width = images.shape
    columns = min(nrow, n)
    rows = math.ceil(n / columns)
    if images.dtype.kind != "f" and not (float(pad_value).is_integer() and 0 <= pad_value <= 255):
        raise ValueError(f"make_grid: expected pad_value to be a whole number from 0 to 255 for images of {images.dtype}, got {pad_value}")
    grid = np.full((channels, rows * (height + padding) + padding, columns * (width + padding) + padding), pad_value, images.dtype)
    for i, image in enumerate(images):
        top, left = i // columns * (height + padding) + padding, i % columns * (width + padding) + padding
        grid[:, top:top + height, left:left + width] = image
    return from_numpy(grid)


def stacked(images: Sequence[Tensor]) -> np.ndarray:
    if not images or not all(isinstance(image, Tensor) for image in images):
        raise TypeError("make_grid: expected a Tensor, or a list of one or more")
    if len({tuple(image.shape) for image in images}) > 1:
        raise ValueError(f"make_grid: expected images of one shape, got {sorted({tuple(image.shape) for image in images})}")
    return np.stack([image.detach().numpy() for image in images])


def normalized(images: np.ndarray, value_range: tuple[float, float] | None, each: bool) -> np.ndarray:
    work = images.astype(np.float32) if images.dtype.kind != "f" else images
    if value_range is not None:
        low, high = (np.asarray(value, work.dtype) for value in value_range)
        if not low < high:
            raise ValueError(f"make_grid: value_range must be (least, most), got {value_range}")
    else:
        axes = (1, 2, 3) if each else None
        low, high = work.min(axes, keepdims=True), work.max(axes, keepdims=True)
    return (np.clip(work, low, high) - low) / np.maximum(high - low, 1e-5)


def save_image(tensor: Tensor | Sequence[Tensor], fp: Path, **options: Any) -> None:
    """make_grid(tensor, **options) as a PNG file; floats are taken as 0 .. 1, bytes as they are."""
    grid = make_grid(tensor, **options)
    if grid.dtype != uint8 and not grid.is_floating_point():
        raise TypeError(f"save_image: expected uint8, or floats from 0 to 1, got {grid.dtype}")
    write_png(grid if grid.dtype == uint8 else from_numpy(to_bytes(grid.numpy() * 255)), fp)


__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]
