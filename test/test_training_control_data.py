# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a control branch is trained on: the paper's mix, and images with captions."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from gsc_ros.codec.error import CaptionError
from gsc_ros.training.data import DataError
from gsc_ros.training.generator.data import CaptionedImage, fit, Geometry, load_image, read_images
from gsc_ros.training.generator.mix import (
    described,
    KITTI_VALIDATION,
    Picked,
    sample_mix,
    write_manifest,
)
import numpy as np
import pytest


def touch(root: Path, *names: str) -> None:
    """Make empty files: the mix goes by names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture(name='roots')
def dataset_roots(tmp_path) -> dict[str, Path]:
    """Return four datasets of a few images in the layouts of their publishers."""
    roots = {name: tmp_path / name for name in ('kitti', 'flickr30k', 'coco', 'inaturalist')}
    for drive in ('2011_09_26_drive_0001_sync', sorted(KITTI_VALIDATION)[0]):
        touch(roots['kitti'], *(f'2011_09_26/{drive}/image_0{camera}/data/{i:010d}.png'
                                for camera in (2, 3) for i in range(5)))
    touch(roots['flickr30k'], *(f'flickr30k-images/{i}.jpg' for i in range(9)))
    (roots['flickr30k'] / 'train.txt').write_text('\n'.join(map(str, range(7))))
    (roots['flickr30k'] / 'results_20130124.token').write_text(
        ''.join(f'{i}.jpg#{n}\tSaying {n} of {i} .\n' for i in range(9) for n in range(5)))
    touch(roots['coco'], *(f'train2017/{i:012d}.jpg' for i in range(8)), 'val2017/x.jpg')
    (roots['coco'] / 'annotations').mkdir()
    (roots['coco'] / 'annotations' / 'captions_train2017.json').write_text(json.dumps(
        {'annotations': [{'image_id': i, 'caption': f'Thing {i}. '} for i in range(4)]}))
    touch(roots['inaturalist'], *(f'train_val_images/Aves/Parus/{i}.jpg' for i in range(9)))
    (roots['inaturalist'] / 'train2017.json').write_text(json.dumps(
        {'images': [{'file_name': f'train_val_images/Aves/Parus/{i}.jpg'} for i in range(6)]}))
    return roots


def test_the_mix_takes_as_many_training_images_of_each_dataset(roots):
    mix = sample_mix(roots, count=4)
    assert [sum(image.dataset == name for image in mix) for name in roots] == [4, 4, 4, 4]
    assert not any(drive in image.name for image in mix for drive in KITTI_VALIDATION)
    assert all(int(Path(i.name).stem) < 7 for i in mix if i.dataset == 'flickr30k')
    assert all(int(Path(i.name).stem) < 6 for i in mix if i.dataset == 'inaturalist')
    assert all(image.caption == f'Saying 0 of {Path(image.name).stem} .'
               for image in mix if image.dataset == 'flickr30k')
    assert {i.caption for i in mix if i.dataset == 'coco'} <= {
        '', *(f'Thing {n}.' for n in range(4))}


def test_the_manifest_depends_on_nothing_but_the_seed(roots, tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        write_manifest(sample_mix(roots, count=3, seed=seed), roots, tmp_path / name)
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()
    assert (tmp_path / 'a').read_bytes() != (tmp_path / 'c').read_bytes()


def test_a_new_image_of_a_dataset_takes_the_place_of_one_at_most(roots):
    before = {image.name for image in sample_mix({'coco': roots['coco']}, count=5)}
    touch(roots['coco'], 'train2017/000000000999.jpg')
    after = {image.name for image in sample_mix({'coco': roots['coco']}, count=5)}
    assert len(before - after) <= 1


def test_another_layout_is_told_with_the_one_expected(roots, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'train2017/\*\.jpg'):
        sample_mix({'coco': tmp_path / 'empty'}, count=1)
    with pytest.raises(DataError, match='nowhere'):
        sample_mix({'coco': tmp_path / 'nowhere'}, count=1)
    with pytest.raises(DataError, match='8 training images, but 9'):
        sample_mix({'coco': roots['coco']}, count=9)
    (roots['inaturalist'] / 'train2017.json').write_text('{"pictures": []}')
    with pytest.raises(DataError, match='inaturalist'):
        sample_mix({'inaturalist': roots['inaturalist']}, count=1)
    for name in ('gone.jpg', '../coco/train2017/000000000000.jpg'):
        (roots['inaturalist'] / 'train2017.json').write_text(
            json.dumps({'images': [{'file_name': name}]}))
        with pytest.raises(DataError, match=f'there is no {name}'):
            sample_mix({'inaturalist': roots['inaturalist']}, count=1)
    (roots['coco'] / 'annotations' / 'captions_train2017.json').write_text(
        '{"annotations": [{"image_id": "a", "caption": "b"}]}')
    with pytest.raises(DataError, match='not that of coco'):
        sample_mix({'coco': roots['coco']}, count=1)
    (roots['flickr30k'] / 'train.txt').write_bytes(b'\xff')
    with pytest.raises(DataError, match='not that of flickr30k'):
        sample_mix({'flickr30k': roots['flickr30k']}, count=1)
    (roots['inaturalist'] / 'train2017.json').write_text('{')
    with pytest.raises(DataError, match='not JSON'):
        sample_mix({'inaturalist': roots['inaturalist']}, count=1)


def picture(path: Path, height: int = 64, width: int = 96) -> Path:
    """Write a small picture and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    return path.resolve()


def test_captions_come_from_tables_then_from_beside_the_image_then_from_a_template(tmp_path):
    named, beside, other = (picture(tmp_path / 'road' / f'{n}.png') for n in 'abc')
    for image in (named, beside):
        image.with_suffix('.txt').write_text('beside\nit')
    (tmp_path / 'table.csv').write_text('image,caption\na.png,"in a table, first"\n')
    images = read_images([tmp_path / 'road'], [tmp_path / 'table.csv'], 'a {folder}')
    assert images == (CaptionedImage(named, 'in a table, first'),
                      CaptionedImage(beside, 'beside it'), CaptionedImage(other, 'a road'))


def test_a_manifest_of_the_mix_names_images_and_captions(tmp_path):
    first = picture(tmp_path / 'train2017' / '000000000001.jpg')
    second = picture(tmp_path / 'train2017' / '000000000002.jpg')
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations' / 'captions_train2017.json').write_text(
        '{"annotations": [{"image_id": 1, "caption": "one"}]}')
    roots = {'coco': tmp_path}
    write_manifest(sample_mix(roots, count=2), roots, tmp_path / 'mix.jsonl')
    images = read_images([tmp_path / 'mix.jsonl'], template='a photo')
    assert images == (CaptionedImage(first, 'one'), CaptionedImage(second, 'a photo'))


class Counting:
    """A captioner that says how often it was asked, and breaks off when it has enough."""

    def __init__(self, most: int) -> None:
        self.count, self.most = 0, most

    def describe(self, image: np.ndarray) -> str:
        """Return a caption of its own for every image."""
        if self.count == self.most:
            raise CaptionError('enough')
        self.count += 1
        return f'{image.shape[1]} wide, {self.count}'

    def close(self) -> None:
        """Nothing is open."""


def test_captions_are_written_for_images_without_one_and_none_is_written_twice(tmp_path):
    mix = [Picked('coco', f'{name}.png', caption) for name, caption in (
        ('a', ''), ('b', 'by people'), ('c', ''))]
    for image in mix:
        picture(tmp_path / image.name)
    roots, log = {'coco': tmp_path}, tmp_path / 'mix.captions.jsonl'
    with pytest.raises(CaptionError):
        list(described(mix, roots, log, Counting(1)))
    captioner = Counting(9)
    captions = [image.caption for image in described(mix, roots, log, captioner)]
    assert captions == ['96 wide, 1', 'by people', '96 wide, 1']
    assert captioner.count == 1
    assert [i.caption for i in described(mix, roots, log, captioner, anew=True)] == [
        '96 wide, 1', '96 wide, 2', '96 wide, 1']


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('t.jsonl', '{"image": "gone.png", "caption": "x"}', 'gone.png'),
    ('t.jsonl', '{"picture": "a.png"}', '"image" and "caption"'),
    ('t.jsonl', '[1]', '"image" and "caption"'),
    ('t.jsonl', '{', 't.jsonl'),
    ('t.jsonl', '{"image": "a.png", "caption": 3}', 't.jsonl:1'),
    ('t.csv', 'file\nx\n', '"image" and "caption"'),
    ('t.txt', '', 'neither a folder')])
def test_a_bad_table_is_told_with_its_name(tmp_path, name, text, message):
    picture(tmp_path / 'a.png')
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_images([tmp_path / name])


def test_there_must_be_images(tmp_path):
    with pytest.raises(DataError, match='no images'):
        read_images([tmp_path])
    with pytest.raises(DataError, match='nowhere'):
        read_images([tmp_path / 'nowhere.jsonl'])


def test_an_image_is_scaled_to_the_area_and_cut_to_the_multiple(tmp_path):
    large = np.zeros((375, 1242, 3), np.uint8)
    assert fit(large, Geometry()).shape == (352, 1184, 3)
    assert fit(large, Geometry(max_pixels=10 ** 6)).shape == (352, 1216, 3)
    with pytest.raises(DataError, match='smaller than 32'):
        load_image(picture(tmp_path / 'small.png', 20, 200), Geometry())
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(DataError, match='not an image'):
        load_image(tmp_path / 'text.png', Geometry())
