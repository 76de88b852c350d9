# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A moving rover's view of a rocky plain under the sun, rendered with numpy and OpenCV.

The ground is a height map that repeats every `TILE_M` metres, with colour, sunlight and shadows
baked into a mipmap. A frame is made in three steps:

    rays of a level camera march over the map ──> for each column, the slopes that hide the rest
    each pixel of the tilted camera           ──> the map segment that its ray hits, exactly
    the hit points                            ──> colour, by distance and haze

So image, depth, calibration and motion agree: every pixel is where the pinhole camera sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
from gsc_ros.sources.frame import Calibration, NS_PER_S, SourceError, SourceFrame
import numpy as np

TILE_M = 30.72
CELLS = 1024
CELL_M = TILE_M / CELLS
#: Fine grain, too fine for the map, repeats this often along a side of it.
DETAIL_REPEATS = 12
DETAIL_CELLS = 512

DEFAULT_COUNT = 300
#: Focal length as a share of the image width: a field of view of 65 degrees.
FOCAL = 0.785
FRAME_ID = 'rover_camera_optical'
#: A fixed day, so that frames are the same whenever they are rendered.
START_NS = 1_700_000_000 * NS_PER_S

CAMERA_HEIGHT_M = 1.25
SPEED_M_S = 0.6
PITCH_DOWN_RAD = 0.16
NEAR_M = 0.5
FAR_M = 400.0
STEP_GROWTH = 1.011
#: Beyond this distance heights come from a smoothed map: rocks smaller than a step would flicker.
SMOOTH_FROM_M, SMOOTH_TO_M = 8.0, 20.0
HAZE_M = 260.0
SUN_AZIMUTH_CELLS = (2, 1)  # the light comes from there, in cells of the map (x, y)
SUN_ELEVATION_RAD = 0.46

_HAZE = np.array([205, 176, 146], np.float32)
_ZENITH = np.array([128, 122, 128], np.float32)
_RIDGE = np.array([142, 110, 88], np.float32)


@dataclass(frozen=True, eq=False)
class Pose:
    """
    Where the camera is.

    :param rotation: float64 [3, 3], optical frame (x right, y down, z forward) to world (z up).
    :param position: float64 [3], metres, world.
    """

    rotation: np.ndarray
    position: np.ndarray


@dataclass(frozen=True, eq=False)
class _World:
    """The map, all of it periodic: heights in metres, colour 0..255 by mipmap level."""

    height: np.ndarray
    smooth_height: np.ndarray
    rolling_height: np.ndarray
    colours: tuple[np.ndarray, ...]
    detail: np.ndarray
    ridges: np.ndarray


def _lattice_noise(random: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Return smooth periodic noise, float32 [size, size], from `cells` random values a side."""
    values = random.standard_normal((cells, cells)).astype(np.float32)
    border = 2
    padded = np.pad(values, border, mode='wrap')
    scale = size // cells
    large = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    start = border * scale
    return large[start:start + size, start:start + size]


def _fractal(random: np.random.Generator, size: int, coarsest: int, finest: int,
             roughness: float) -> np.ndarray:
    """Sum octaves of lattice noise from `coarsest` to `finest` cells a side."""
    total = np.zeros((size, size), np.float32)
    cells, weight = coarsest, 1.0
    while cells <= finest:
        total += weight * _lattice_noise(random, size, cells)
        cells, weight = cells * 2, weight * roughness
    return total


def _place_rocks(random: np.random.Generator, height: np.ndarray) -> np.ndarray:
    """
    Raise faceted rocks out of the ground.

    :param height: float32 [CELLS, CELLS], metres; changed in place.
    :return: float32 [CELLS, CELLS], 0 where ground is, else the tint of the rock, 0.5..1.5.
    """
    tint = np.zeros_like(height)
    count = 1500
    # Many small stones and few boulders, as on Mars: a power law.
    radii = np.minimum(0.035 * random.pareto(1.55, count) + 0.03, 0.75)
    # Stones lie in clusters around each other.
    centres = random.uniform(0, CELLS, (count, 2))
    clusters = random.uniform(0, CELLS, (40, 2))
    near = random.random(count) < 0.55
    chosen = clusters[random.integers(0, len(clusters), count)]
    centres[near] = (chosen + random.normal(0, 2.0 / CELL_M, (count, 2)))[near]
    for radius, (x, y) in zip(radii, centres):
        _place_rock(random, height, tint, float(radius), float(x), float(y))
    return tint


def _place_rock(random: np.random.Generator, height: np.ndarray, tint: np.ndarray, radius: float,
                x: float, y: float) -> None:
    reach = int(radius * 1.3 / CELL_M) + 2
    columns = np.arange(int(x) - reach, int(x) + reach + 1)
    rows = np.arange(int(y) - reach, int(y) + reach + 1)
    stretch = random.uniform(0.65, 1.0)
    turn = random.uniform(0, np.pi)
    dx = ((columns - x) * CELL_M)[None, :]
    dy = ((rows - y) * CELL_M)[:, None]
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / stretch
    # A convex stone: the lowest of some random planes, flattened at the top.
    top = radius * random.uniform(0.45, 0.95)
    stone = np.full((rows.size, columns.size), top, np.float32)
    faces = int(random.integers(6, 11))
    for face in range(faces):
        angle = 2 * np.pi * (face + random.uniform(-0.3, 0.3)) / faces
        steepness = random.uniform(0.9, 2.6)
        offset = radius * random.uniform(0.75, 1.0)
        stone = np.minimum(
            stone, steepness * (offset - along * np.cos(angle) - across * np.sin(angle)))
    tilt = random.uniform(-0.35, 0.35, 2)
    stone = np.minimum(stone, top * 0.9 + tilt[0] * along + tilt[1] * across)
    place = np.ix_(rows % CELLS, columns % CELLS)
    ground = height[place]
    foot = float(ground[reach, reach]) - 0.15 * top
    risen = foot + stone
    inside = (stone > 0) & (risen > ground)
    height[place] = np.where(inside, risen, ground)
    tint[place] = np.where(inside, np.float32(random.uniform(0.6, 1.25)), tint[place])


def _sunlight(height: np.ndarray) -> np.ndarray:
    """Return the light on the ground, float32 [CELLS, CELLS], 0..1, cast shadows included."""
    slope_x = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) / np.float32(2 * CELL_M)
    slope_y = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) / np.float32(2 * CELL_M)
    step_x, step_y = SUN_AZIMUTH_CELLS
    length = float(np.hypot(step_x, step_y))
    flat = np.cos(SUN_ELEVATION_RAD)
    facing = (np.sin(SUN_ELEVATION_RAD)
              - flat * (slope_x * (step_x / length) + slope_y * (step_y / length)))
    facing /= np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    # The height of the shadow over each cell, found by doubling: what shades from n steps towards
    # the sun shades from 2n too. 64 steps of 2.2 cells are 4.3 m.
    drop = length * CELL_M * np.tan(SUN_ELEVATION_RAD)
    shade = np.roll(height, (-step_y, -step_x), (0, 1)) - np.float32(drop)
    steps = 1
    while steps < 64:
        shifted = np.roll(shade, (-step_y * steps, -step_x * steps), (0, 1))
        shade = np.maximum(shade, shifted - np.float32(drop * steps))
        steps *= 2
    lit = np.clip(1 - (shade - height) / np.float32(0.02), 0, 1)
    lit = cv2.blur(lit, (3, 3))
    return np.clip(facing, 0, 1) * lit


def _colour(random: np.random.Generator, height: np.ndarray, tint: np.ndarray) -> np.ndarray:
    """Return what the ground looks like from above, uint8 [CELLS, CELLS, 3], RGB."""
    patches = _fractal(random, CELLS, 8, 512, 0.62)
    patches /= patches.std()
    dust = np.clip(0.5 + 0.35 * patches, 0, 1)[..., None]
    ground = (np.array([176, 132, 96], np.float32) * dust
              + np.array([124, 92, 70], np.float32) * (1 - dust))
    grain = random.standard_normal((CELLS, CELLS), np.float32)[..., None]
    rock = np.array([112, 92, 80], np.float32) * tint[..., None] + 6 * grain
    # Dust lies on the stones where they are flat.
    surface = np.where(tint[..., None] > 0, 0.75 * rock + 0.25 * ground, ground + 5 * grain)
    light = _sunlight(height)[..., None]
    sun = np.array([1.62, 1.48, 1.30], np.float32)
    sky = np.array([0.36, 0.35, 0.38], np.float32)
    return np.clip(surface * (sky + sun * light), 0, 255).astype(np.uint8)


def _smaller(image: np.ndarray) -> np.ndarray:
    """Halve a periodic map with a small blur."""
    padded = cv2.copyMakeBorder(image, 4, 4, 4, 4, cv2.BORDER_WRAP)
    return np.ascontiguousarray(cv2.pyrDown(padded)[2:-2, 2:-2])


def _wrap(image: np.ndarray) -> np.ndarray:
    """Append the first row and column, so that interpolation needs no wrapping of its own."""
    return cv2.copyMakeBorder(image, 0, 1, 0, 1, cv2.BORDER_WRAP)


@lru_cache(maxsize=2)
def _make_world(seed: int) -> _World:
    random = np.random.default_rng(seed)
    rolling = _lattice_noise(random, CELLS, 2) * 0.25 + _lattice_noise(random, CELLS, 4) * 0.22
    height = rolling + 0.045 * _fractal(random, CELLS, 16, 256, 0.5)
    # Ripples of sand, broken up by the patches they lie in.
    across = (np.arange(CELLS, dtype=np.float32) * (2 * np.pi * 72 / CELLS))[None, :]
    bent = across + 1.6 * _lattice_noise(random, CELLS, 16)
    height += 0.012 * np.sin(bent) * np.clip(_lattice_noise(random, CELLS, 8), 0, 1)
    tint = _place_rocks(random, height)
    colours = [_colour(random, height, tint)]
    while colours[-1].shape[0] > 64:
        colours.append(_smaller(colours[-1]))
    smooth = _smaller(_smaller(height))
    detail = _fractal(random, DETAIL_CELLS, 32, 512, 0.95)
    detail = np.clip(128 + 26 * detail / detail.std(), 0, 255).astype(np.uint8)
    angles = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    ridges = np.zeros((2, angles.size), np.float32)
    for layer, (base, size) in enumerate(((0.030, 0.016), (0.012, 0.010))):
        ridges[layer] = base
        for octave in range(3, 9):
            waves = random.integers(2 ** octave, 2 ** (octave + 1))
            ridges[layer] += size * 2.0 ** (3 - octave) * np.abs(
                np.sin(angles * waves / 2 + random.uniform(0, 2 * np.pi)))
    return _World(_wrap(height), _wrap(smooth), rolling,
                  tuple(_wrap(colour) for colour in colours), _wrap(detail), ridges)


class TerrainSource:
    """
    The built-in source. Frames depend on nothing but the arguments.

    :param seed: of the terrain and of the way over it, >= 0.
    :param width: pixels, at least 16.
    :param height: pixels, at least 16.
    :param fps: frames per second of rover time, > 0.
    :param count: frames, >= 1.
    :raises SourceError: an argument is out of its range.
    """

    name = 'terrain'
    skipped = 0

    def __init__(self, seed: int = 0, width: int = 640, height: int = 384, fps: float = 10.0,
                 count: int = DEFAULT_COUNT) -> None:
        if min(width, height) < 16 or max(width, height) > 8192:
            raise SourceError(f'terrain of {width} x {height} pixels, not within 16 to 8192')
        if not 0 < fps <= 1000 or count < 1 or seed < 0:
            raise SourceError(f'terrain with fps {fps}, {count} frames and seed {seed}')
        self.fps = float(fps)
        self._count = count
        self._width, self._height = width, height
        focal = FOCAL * width
        self.calibration = Calibration.pinhole(
            width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        self._world = _make_world(seed)
        self._way = np.random.default_rng(seed + 1).uniform(0, 2 * np.pi, 4)
        columns = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / np.float32(focal)
        rows = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / np.float32(focal)
        self._columns, self._rows = columns[None, :], rows[:, None]
        ratio = np.log(FAR_M / NEAR_M) / np.log(STEP_GROWTH)
        self._steps = np.geomspace(NEAR_M, FAR_M, int(ratio)).astype(np.float32)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._count

    def __iter__(self) -> Iterator[SourceFrame]:
        """Render the frames in order."""
        for index in range(self._count):
            yield self.frame(index)

    def frame(self, index: int) -> SourceFrame:
        """Render frame `index`, 0 the first; image uint8 [H, W, 3], depth inf for the sky."""
        image, depth = self._render(self.pose(index))
        return SourceFrame(image, START_NS + round(index * NS_PER_S / self.fps), FRAME_ID,
                           self.calibration, depth)

    def pose(self, index: int) -> Pose:
        """Return where the camera is in frame `index`."""
        way = SPEED_M_S * index / self.fps
        x, y, heading = self._track(way)
        # The wheels smooth the ground out: body height and tilt come from its rolling part.
        ahead = self._rolling(x + 0.5 * np.cos(heading), y + 0.5 * np.sin(heading))
        behind = self._rolling(x - 0.5 * np.cos(heading), y - 0.5 * np.sin(heading))
        left = self._rolling(x - 0.5 * np.sin(heading), y + 0.5 * np.cos(heading))
        right = self._rolling(x + 0.5 * np.sin(heading), y - 0.5 * np.cos(heading))
        shake = np.sin(way * np.array([7.0, 9.7, 5.1]) + self._way[:3])
        pitch = np.arctan(ahead - behind) - PITCH_DOWN_RAD + 0.004 * shake[0]
        roll = np.arctan(left - right) + 0.005 * shake[1]
        z = (ahead + behind) / 2 + CAMERA_HEIGHT_M + 0.006 * shake[2]
        forward = np.array([np.cos(heading) * np.cos(pitch), np.sin(heading) * np.cos(pitch),
                            np.sin(pitch)])
        level = np.array([np.sin(heading), -np.cos(heading), 0.0])
        up = np.cross(level, forward)
        to_right = np.cos(roll) * level - np.sin(roll) * up
        down = -(np.cos(roll) * up + np.sin(roll) * level)
        return Pose(np.stack([to_right, down, forward], axis=1), np.array([x, y, z]))

    def _track(self, way: float) -> tuple[float, float, float]:
        """Return x, y and heading after `way` metres of gentle curves."""
        start = self._way[3]
        panel = way / 1024
        headings = start + 0.35 * np.sin((np.arange(1024) + 0.5) * (panel / 6.0))
        return (float(np.cos(headings).sum() * panel), float(np.sin(headings).sum() * panel),
                float(start + 0.35 * np.sin(way / 6.0)))

    def _rolling(self, x: float, y: float) -> float:
        map_x = np.array([[x / CELL_M % CELLS]], np.float32)
        map_y = np.array([[y / CELL_M % CELLS]], np.float32)
        return float(cv2.remap(self._world.rolling_height, map_x, map_y, cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_WRAP)[0, 0])

    def _render(self, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
        # Directions of all pixels in a level frame: forward, right and up, per metre of depth.
        rotation = pose.rotation.astype(np.float32)
        heading = np.arctan2(rotation[1, 2], rotation[0, 2])
        cosine, sine = np.float32(np.cos(heading)), np.float32(np.sin(heading))
        level = np.array([[cosine, sine, 0], [sine, -cosine, 0], [0, 0, 1]], np.float32) @ rotation
        forward, right, up = (
            axis[0] * self._columns + axis[1] * self._rows + axis[2] for axis in level)
        side = right / forward
        slope = up / forward
        distance = self._march(pose, cosine, sine, side, slope)
        ground = np.isfinite(distance)
        image = self._sky(side, slope, heading)
        first = int(np.argmax(ground.any(axis=1)))
        if ground.any():
            self._paint(image[first:], distance[first:], side[first:], ground[first:], pose,
                        cosine, sine)
        return image.astype(np.uint8), distance / forward

    def _march(self, pose: Pose, cosine: np.float32, sine: np.float32, side: np.ndarray,
               slope: np.ndarray) -> np.ndarray:
        """
        Return how far ahead each ray meets the ground.

        :param side: float32 [H, W], metres to the right per metre ahead.
        :param slope: float32 [H, W], metres up per metre ahead.
        :return: float32 [H, W], metres ahead in the horizontal plane, inf where sky is.
        """
        steps = self._steps
        column_count, bins = self._width, 2 * self._height
        side_low, side_high = float(side.min()), float(side.max())
        slope_low, slope_high = float(slope.min()), float(slope.max())
        sides = np.linspace(side_low, side_high, column_count, dtype=np.float32)[None, :]
        slopes = self._ground_slopes(pose, cosine, sine, sides)
        hidden = np.maximum.accumulate(slopes, axis=0)
        # For every column, how many steps lie below each slope: the number of the first that is
        # not hidden. Slopes fall into bins from the top of the view to its bottom.
        bin_of = np.ceil((slope_high - hidden) * np.float32((bins - 1) / (slope_high - slope_low)))
        bin_of = np.clip(bin_of, 0, bins).astype(np.int32)
        bin_of *= column_count
        bin_of += np.arange(column_count, dtype=np.int32)[None, :]
        counts = np.bincount(bin_of.ravel(), minlength=(bins + 1) * column_count)
        counts = counts[:bins * column_count].astype(np.int32).reshape(bins, column_count)
        first = steps.size - np.cumsum(counts, axis=0, dtype=np.int32)
        row = np.rint((slope_high - slope) * np.float32((bins - 1) / (slope_high - slope_low)))
        column = np.rint((side - side_low) * np.float32(
            (column_count - 1) / (side_high - side_low))).astype(np.int32)
        place = row.astype(np.int32) * column_count + column
        index = first.ravel()[place]
        sky = index >= steps.size
        index = np.clip(index, 1, steps.size - 1)
        place = index * column_count + column
        # The ray against the straight segment of ground between two steps.
        near, far = steps[index - 1], steps[index]
        over = (slope - slopes.ravel()[place - column_count]) * near
        under = (slopes.ravel()[place] - slope) * far
        share = np.clip(over / np.maximum(over + under, 1e-6), 0, 1)
        distance = near + share * (far - near)
        distance[sky] = np.inf
        return distance

    def _ground_slopes(self, pose: Pose, cosine: np.float32, sine: np.float32,
                       sides: np.ndarray) -> np.ndarray:
        """Return the slope up to the ground at every step of every column, float32 [S, C]."""
        steps = self._steps[:, None]
        x, y = (np.float32(value / CELL_M % CELLS) for value in pose.position[:2])
        ahead = steps / np.float32(CELL_M)
        map_x = x + ahead * (cosine + sine * sides)
        map_y = y + ahead * (sine - cosine * sides)
        split_low = int(np.searchsorted(self._steps, SMOOTH_FROM_M))
        split_high = int(np.searchsorted(self._steps, SMOOTH_TO_M))
        heights = np.empty_like(map_x)
        heights[:split_high] = _sample(self._world.height, map_x[:split_high], map_y[:split_high])
        smooth = _sample(self._world.smooth_height, map_x[split_low:] / 4, map_y[split_low:] / 4)
        share = np.clip((steps[split_low:split_high] - SMOOTH_FROM_M)
                        / (SMOOTH_TO_M - SMOOTH_FROM_M), 0, 1)
        both = split_high - split_low
        heights[split_low:split_high] += share * (smooth[:both] - heights[split_low:split_high])
        heights[split_high:] = smooth[both:]
        return (heights - np.float32(pose.position[2])) / steps

    def _paint(self, image: np.ndarray, distance: np.ndarray, side: np.ndarray,
               ground: np.ndarray, pose: Pose, cosine: np.float32, sine: np.float32) -> None:
        """Put the colour of the ground into `image`, float32 [H, W, 3], where `ground` is."""
        distance = np.where(ground, distance, np.float32(FAR_M))
        x, y = (np.float32(value / CELL_M % CELLS) for value in pose.position[:2])
        ahead = distance / np.float32(CELL_M)
        map_x = x + ahead * (cosine + sine * side)
        map_y = y + ahead * (sine - cosine * side)
        # A pixel covers distance / focal metres across and more along: take the level between.
        focal = self.calibration.k[0]
        lod = np.log2(np.maximum(distance * np.float32(2.2 / (focal * CELL_M)), 1.0))
        colour = np.zeros((*distance.shape, 3), np.float32)
        for level, texture in enumerate(self._world.colours):
            weight = np.clip(1 - np.abs(lod - level), 0, 1)
            if level == len(self._world.colours) - 1:
                weight = np.where(lod > level, np.float32(1), weight)
            rows = np.flatnonzero(weight.any(axis=1))
            if rows.size == 0:
                continue
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            scale = np.float32(0.5 ** level)
            colour[part] += weight[part, :, None] * _sample(
                texture, map_x[part] * scale, map_y[part] * scale)
        near = np.flatnonzero((distance < 8).any(axis=1))
        if near.size:
            part = slice(int(near[0]), None)
            scale = np.float32(DETAIL_REPEATS * DETAIL_CELLS / CELLS)
            grain = _sample(self._world.detail, map_x[part] * scale, map_y[part] * scale)
            strength = np.clip(1 - distance[part] / 8, 0, 1)
            colour[part] *= (1 + strength * (grain * np.float32(1 / 128) - 1))[..., None]
        clear = np.exp(distance * np.float32(-1 / HAZE_M))[..., None]
        colour = _HAZE + (colour - _HAZE) * clear
        image[...] = np.where(ground[..., None], np.clip(colour, 0, 255), image)

    def _sky(self, side: np.ndarray, slope: np.ndarray, heading: float) -> np.ndarray:
        """Return sky and far ridges everywhere, float32 [H, W, 3]; both are at infinity."""
        elevation = slope / np.sqrt(1 + side * side)
        share = np.clip(elevation * 1.6, 0, 1)[..., None] ** 0.7
        image = _HAZE + (_ZENITH - _HAZE) * share
        azimuth = heading - np.arctan(side)
        place = (azimuth * (self._world.ridges.shape[1] / (2 * np.pi))).astype(np.int32)
        for layer, haze in enumerate((0.62, 0.38)):
            ridge = self._world.ridges[layer].take(place, mode='wrap')
            cover = np.clip((ridge - elevation) * self.calibration.k[0] + 0.5, 0, 1)[..., None]
            image += cover * (_RIDGE + (_HAZE - _RIDGE) * np.float32(haze) - image)
        return image


def _sample(texture: np.ndarray, map_x: np.ndarray, map_y: np.ndarray) -> np.ndarray:
    """Interpolate a periodic map (first row and column appended) at the places given in cells."""
    size = np.float32(texture.shape[0] - 1)
    # cv2.remap addresses with 16 bits, and its own wrapping is slow: fold first.
    map_x = map_x - size * np.floor(map_x / size)
    map_y = map_y - size * np.floor(map_y / size)
    return cv2.remap(texture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
