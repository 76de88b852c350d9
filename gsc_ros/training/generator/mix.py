# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The paper's training images: 5,000 each of KITTI, Flickr30k, COCO 2017 and iNaturalist (4.1).

Each is read where it was unpacked, in the layout of its publisher. Which images are taken depends
on the seed and on their names in the dataset alone: neither on the machine nor on the order of a
listing, and an image that is added elsewhere in the dataset moves no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
import hashlib
import json
from pathlib import Path

from gsc_ros.codec.caption.captioner import Captioner
from gsc_ros.training.data import DataError
from gsc_ros.training.generator.data import Geometry, load_image, rows

COUNT = 5000
# The drives that the depth benchmark of KITTI validates on: what is measured there must not have
# been trained on.
KITTI_VALIDATION = frozenset((
    '2011_09_26_drive_0002_sync', '2011_09_26_drive_0005_sync', '2011_09_26_drive_0013_sync',
    '2011_09_26_drive_0020_sync', '2011_09_26_drive_0023_sync', '2011_09_26_drive_0036_sync',
    '2011_09_26_drive_0079_sync', '2011_09_26_drive_0095_sync', '2011_09_26_drive_0113_sync',
    '2011_09_28_drive_0037_sync', '2011_09_29_drive_0026_sync', '2011_09_30_drive_0016_sync',
    '2011_10_03_drive_0047_sync'))


@dataclass(frozen=True)
class Found:
    """
    What a dataset holds for training.

    :param names: files of the images, relative to the root of the dataset, with ``/``.
    :param captions: what the dataset itself says of some of them, by name.
    """

    names: list[str]
    captions: Mapping[str, str] = field(default_factory=dict)


def relative(root: Path, files: Iterable[Path]) -> list[str]:
    """Return files as names under ``root``, sorted."""
    return sorted(file.relative_to(root).as_posix() for file in files)


def kitti(root: Path) -> Found:
    """Return the left and right colour images of raw drives, without those of the validation."""
    drives = [d for d in root.glob('20??_??_??/20??_??_??_drive_????_sync')
              if d.name not in KITTI_VALIDATION]
    files = [file for drive in drives for camera in ('image_02', 'image_03')
             for file in drive.glob(f'{camera}/data/*.png')]
    return Found(relative(root, files or root.glob('training/image_2/*.png')))


def flickr30k(root: Path) -> Found:
    """Return the images of ``train.txt`` (Flickr30k Entities' split), else all of them."""
    names = relative(root, root.glob('flickr30k-images/*.jpg'))
    if (root / 'train.txt').is_file():
        training = set((root / 'train.txt').read_text(encoding='utf-8').split())
        names = [name for name in names if Path(name).stem in training]
    captions: dict[str, str] = {}
    for file in sorted(root.glob('results*.token')):
        for line in file.read_text(encoding='utf-8').splitlines():
            label, tab, caption = line.partition('\t')
            if tab:
                # Five people wrote one each; the first is taken.
                captions.setdefault(f'flickr30k-images/{label.partition("#")[0]}', caption.strip())
    return Found(names, captions)


def coco(root: Path) -> Found:
    """Return the training images, with the first caption of each where they are at hand."""
    captions: dict[str, str] = {}
    file = root / 'annotations' / 'captions_train2017.json'
    if file.is_file():
        for entry in read_json(file)['annotations']:
            name = f'train2017/{entry["image_id"]:012d}.jpg'
            captions.setdefault(name, entry['caption'].strip())
    return Found(relative(root, root.glob('train2017/*.jpg')), captions)


def inaturalist(root: Path) -> Found:
    """Return the training images of any of the competitions from 2017 to 2021."""
    listed = sorted(root.glob('train20??.json'))
    if listed:
        return Found(sorted(entry['file_name'] for entry in read_json(listed[0])['images']))
    for folder in ('train', 'train_mini'):
        names = relative(root, root.glob(f'{folder}/*/*.jpg'))
        if names:
            return Found(names)
    return Found([])


def read_json(file: Path) -> dict:
    """
    Return the object of an annotation file.

    :raises DataError: when it cannot be read.
    """
    try:
        return json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        raise DataError(f'{file}: not JSON ({error})') from error


@dataclass(frozen=True)
class Source:
    """A dataset of the mix: how to find its images, and where they should be, for the reader."""

    find: Callable[[Path], Found]
    layout: str


SOURCES = {
    'kitti': Source(kitti, 'raw drives as 2011_09_26/2011_09_26_drive_0001_sync/image_02/data/'
                    '*.png, or the object benchmark as training/image_2/*.png'),
    'flickr30k': Source(flickr30k, 'flickr30k-images/*.jpg; captions in results_20130124.token and '
                        'the split in train.txt are used when there'),
    'coco': Source(coco, 'train2017/*.jpg; annotations/captions_train2017.json is used when there'),
    'inaturalist': Source(inaturalist, 'train2017.json beside train_val_images/ (2017; alike 2018, '
                          '2019), or train/*/*.jpg or train_mini/*/*.jpg (2021)'),
}


@dataclass(frozen=True)
class Picked:
    """An image of the mix: its dataset, its name there, and its caption, empty for none."""

    dataset: str
    name: str
    caption: str = ''


def pick(found: Found, dataset: str, count: int, seed: int) -> list[Picked]:
    """
    Return ``count`` images of a dataset, in the order of their names.

    :raises DataError: when there are fewer.
    """
    if len(found.names) < count:
        raise DataError(f'{dataset}: {len(found.names)} training images, but {count} are wanted '
                        '(--count)')

    def lot(name: str) -> bytes:
        return hashlib.sha256(f'{seed}/{dataset}/{name}'.encode()).digest()

    return [Picked(dataset, name, found.captions.get(name, ''))
            for name in sorted(sorted(found.names, key=lot)[:count])]


def sample_mix(roots: Mapping[str, Path], count: int = COUNT, seed: int = 1) -> list[Picked]:
    """
    Return ``count`` images of each dataset.

    :param roots: where the datasets are, by a name of ``SOURCES``.
    :raises DataError: when one is unknown, missing, laid out otherwise, or too small.
    """
    mix = []
    for dataset, root in roots.items():
        if dataset not in SOURCES:
            raise DataError(f'no dataset {dataset!r}; there are {", ".join(SOURCES)}')
        if not root.is_dir():
            raise DataError(f'{root}: no such directory, expected {dataset}')
        source = SOURCES[dataset]
        try:
            found = source.find(root)
        except DataError:
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f'{root}: an annotation file is not that of {dataset}: '
                            f'{type(error).__name__} {error}') from error
        if not found.names:
            raise DataError(f'{root}: no training images of {dataset}; expected {source.layout}')
        picked = pick(found, dataset, count, seed)
        for image in picked:
            # An annotation file may name what is not there, or is not the dataset's.
            if '..' in Path(image.name).parts or not (root / image.name).is_file():
                raise DataError(f'{root}: there is no {image.name}, which the dataset names')
        mix += picked
    return mix


def described(
        mix: Iterable[Picked], roots: Mapping[str, Path], log: Path, captioner: Captioner,
        anew: bool = False) -> Iterator[Picked]:
    """
    Yield the mix with captions by a captioner.

    :param log: JSON Lines of ``image`` and ``caption``, to which every caption is added as it is
        written: a run that was broken off goes on with those that are missing.
    :param anew: write those captions too that people have written.
    :raises DataError: when an image or the log cannot be read.
    :raises CaptionError: when the captioner has no caption.
    """
    known = {image: caption for _, image, caption in rows(log)} if log.is_file() else {}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a', encoding='utf-8') as file:
        for image in mix:
            place = str(roots[image.dataset].resolve() / image.name)
            if image.caption and not anew:
                yield image
                continue
            if place not in known:
                known[place] = captioner.describe(load_image(Path(place), Geometry(multiple=1)))
                entry = {'image': place, 'caption': known[place]}
                file.write(json.dumps(entry, ensure_ascii=False) + '\n')
                file.flush()
            yield replace(image, caption=known[place])


def write_manifest(mix: Iterable[Picked], roots: Mapping[str, Path], path: Path) -> None:
    """
    Write the mix as JSON Lines with ``image``, ``dataset`` and ``caption``.

    ``image`` is the absolute path of the file; the rest does not depend on the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', encoding='utf-8') as file:
        for image in mix:
            line = {'image': str(roots[image.dataset].resolve() / image.name),
                    'dataset': image.dataset, 'caption': image.caption}
            file.write(json.dumps(line, ensure_ascii=False) + '\n')
