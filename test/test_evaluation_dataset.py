# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets are read in the layouts they are published in, and others are refused with them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from gsc_ros.evaluation.dataset import cityscapes, coco, hypersim, kitti_depth, kodak
from gsc_ros.evaluation.dataset.dataset import (
    BoxTruth,
    DatasetError,
    DepthTruth,
    evenly,
    IGNORE,
    LabelTruth,
)
from gsc_ros.evaluation.dataset.opening import LAYOUT_NAMES, open_dataset
import numpy as np
import pytest
from shared_data import REPOSITORY, shared_data

DRIVE = '2011_09_26_drive_0002_sync'


def write(path: Path, pixels: np.ndarray) -> Path:
    """Write pixels, RGB or of one channel, and make the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


def picture(height: int = 40, width: int = 60, red: int = 200) -> np.ndarray:
    """Return a red picture whose rows differ in green and whose columns differ in blue."""
    image = np.full((height, width, 3), red, np.uint8)
    image[..., 1] = np.arange(height)[:, None] % 256
    image[..., 2] = np.arange(width) % 256
    return image


def lidar(height: int, width: int) -> np.ndarray:
    """Return a depth map whose value is 256 metres' units times the row, 0 on even columns."""
    plane = np.repeat(np.arange(height, dtype=np.uint16)[:, None] * 128, width, axis=1)
    plane[:, ::2] = 0
    return plane


def write_drive(root: Path, pictures: Path, numbers: tuple[int, ...] = (5, 6)) -> None:
    """Write the depth of a drive, and its pictures as KITTI raw has them."""
    for number in range(max(numbers) + 3):
        write(pictures / DRIVE / 'image_02' / 'data' / f'{number:010d}.png', picture(375, 1242))
    for number in numbers:
        write(root / DRIVE / 'proj_depth' / 'groundtruth' / 'image_02' / f'{number:010d}.png',
              lidar(375, 1242))


@pytest.mark.parametrize('depth, pictures', [
    ('2011_09_26', '2011_09_26'), ('val', '2011_09_26'), ('train', 'raw/2011_09_26'),
    ('val', 'val')])
def test_kitti_depth_finds_the_pictures_of_a_drive(tmp_path: Path, depth: str, pictures: str):
    write_drive(tmp_path / depth, tmp_path / pictures)
    for root in (tmp_path, tmp_path / depth, tmp_path / depth / DRIVE):
        found = open_dataset(root)
        assert found.name == 'kitti-depth' and found.truth is DepthTruth
        assert found.names == [f'{DRIVE}/image_02/{number:010d}' for number in (5, 6)]
    assert found.read(1).image.shape == (352, 1216, 3)


def test_kitti_pictures_and_depth_are_cropped_to_the_bottom_and_the_middle(tmp_path: Path):
    write_drive(tmp_path, tmp_path / '2011_09_26')
    sample = open_dataset(tmp_path).read(0)
    assert np.array_equal(sample.image, picture(375, 1242)[375 - 352:, 13:13 + 1216])
    # 128 / 256 metres a row; the first column of the crop is the odd column 13.
    assert sample.truth.metres.dtype == np.float32
    assert sample.truth.metres[:, 0].tolist() == [row * 0.5 for row in range(23, 375)]
    assert not sample.truth.metres[:, 1].any()
    assert sample.truth.cap == 80


def test_the_validation_selection_of_kitti_comes_before_its_drives(tmp_path: Path):
    write_drive(tmp_path / 'val', tmp_path / '2011_09_26')
    folder = tmp_path / 'depth_selection' / 'val_selection_cropped'
    write(folder / 'image' / f'{DRIVE}_image_0000000008_image_03.png', picture(352, 1216))
    write(folder / 'groundtruth_depth' / f'{DRIVE}_groundtruth_depth_0000000008_image_03.png',
          lidar(352, 1216))
    for root in (tmp_path, tmp_path / 'depth_selection', folder):
        found = open_dataset(root)
        assert found.names == [f'{DRIVE}_image_0000000008_image_03']
    assert np.array_equal(found.read(0).image, picture(352, 1216))
    assert found.read(0).truth.metres[100, 1] == 50


def test_kitti_depth_without_pictures_says_where_they_belong(tmp_path: Path):
    write_drive(tmp_path / 'val', tmp_path / 'elsewhere' / 'deep' / 'raw')
    with pytest.raises(DatasetError, match=rf'the pictures of {DRIVE} are not(.|\n)*DATE_drive'):
        open_dataset(tmp_path)


def test_a_depth_map_of_8_bits_is_refused_by_name(tmp_path: Path):
    write_drive(tmp_path / 'val', tmp_path / '2011_09_26')
    bad = tmp_path / 'val' / DRIVE / 'proj_depth' / 'groundtruth' / 'image_02' / '0000000005.png'
    write(bad, np.zeros((375, 1242), np.uint8))
    with pytest.raises(DatasetError, match='0000000005.png: has 1 .* uint8, not one of uint16'):
        open_dataset(tmp_path).read(0)


def test_the_shared_drive_is_a_kitti_depth_set():
    root = shared_data('kitti')
    if root is None:
        pytest.skip('needs the KITTI drive of the shared data')
    found = open_dataset(root)
    sample = found.read(40)
    assert found.name == 'kitti-depth' and len(found.names) == 78
    assert sample.image.shape == (352, 1216, 3)
    measured = sample.truth.metres[sample.truth.metres > 0]
    assert 0.02 < measured.size / sample.truth.metres.size < 0.3
    assert 1 < measured.min() and measured.max() < 130


def write_scene(root: Path, scene: str, frame: int, distance: np.ndarray | None) -> None:
    """Write one picture of Hypersim, and its depth as .npy when there is one."""
    images = root / scene / 'images'
    write(images / 'scene_cam_00_final_preview' / f'frame.{frame:04d}.tonemap.jpg', picture(48, 64))
    if distance is not None:
        folder = images / 'scene_cam_00_geometry_hdf5'
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f'frame.{frame:04d}.depth_meters.npy', distance)


def test_hypersim_turns_distance_into_depth(tmp_path: Path):
    """A wall square to the camera is further away in the corners, and equally deep."""
    focal = 886.81 * 64 / 1024
    x = np.arange(64) - 31.5
    y = (np.arange(48) - 23.5)[:, None]
    distance = (3 * np.sqrt(x ** 2 + y ** 2 + focal ** 2) / focal).astype(np.float16)
    distance[7, 9] = np.nan
    write_scene(tmp_path, 'ai_001_001', 4, distance)
    write_scene(tmp_path, 'ai_001_001', 5, None)
    found = open_dataset(tmp_path)
    assert found.name == 'hypersim' and found.names == ['ai_001_001/cam_00/0004']
    metres = found.read(0).truth.metres
    assert metres.dtype == np.float32 and metres[7, 9] == 0
    metres[7, 9] = 3
    assert metres == pytest.approx(np.full((48, 64), 3), rel=1e-3)
    assert open_dataset(tmp_path / 'ai_001_001').names == found.names


def test_hypersim_takes_the_public_test_split_where_the_list_is(tmp_path: Path):
    for scene, frame in (('ai_001_001', 0), ('ai_002_001', 0), ('ai_002_001', 1)):
        write_scene(tmp_path, scene, frame, np.ones((48, 64), np.float16))
    (tmp_path / hypersim.SPLIT).write_text(
        'scene_name,camera_name,frame_id,included_in_public_release,exclude_reason,'
        'split_partition_name\n'
        'ai_001_001,cam_00,0,True,,train\n'
        'ai_002_001,cam_00,0,True,,test\n'
        'ai_002_001,cam_00,1,False,bad,test\n')
    assert open_dataset(tmp_path).names == ['ai_002_001/cam_00/0000']
    (tmp_path / hypersim.SPLIT).write_text('a,b\n1,2\n')
    with pytest.raises(DatasetError, match='is not the list of splits'):
        open_dataset(tmp_path)


def test_hypersim_depth_in_hdf5_is_read(tmp_path: Path):
    h5py = pytest.importorskip('h5py')
    write_scene(tmp_path, 'ai_001_001', 0, None)
    folder = tmp_path / 'ai_001_001' / 'images' / 'scene_cam_00_geometry_hdf5'
    folder.mkdir()
    with h5py.File(folder / 'frame.0000.depth_meters.hdf5', 'w') as file:
        file.create_dataset('dataset', data=np.full((48, 64), 2, np.float16), compression='gzip')
    middle = open_dataset(tmp_path).read(0).truth.metres[23:25, 31:33]
    assert middle == pytest.approx(np.full((2, 2), 2), rel=1e-3)
    with h5py.File(folder / 'frame.0000.depth_meters.hdf5', 'w') as file:
        file['other'] = 1
    with pytest.raises(DatasetError, match='frame.0000.depth_meters.hdf5: cannot be read'):
        open_dataset(tmp_path).read(0)


def test_without_h5py_it_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_scene(tmp_path, 'ai_001_001', 0, None)
    folder = tmp_path / 'ai_001_001' / 'images' / 'scene_cam_00_geometry_hdf5'
    folder.mkdir()
    (folder / 'frame.0000.depth_meters.hdf5').touch()
    monkeypatch.setattr(hypersim, 'find_spec', lambda _: None)
    with pytest.raises(DatasetError, match=r"need h5py, .* pip install 'gsc_ros\[eval\]'"):
        open_dataset(tmp_path)


def write_city(root: Path, labels: np.ndarray) -> None:
    """Write one picture of Cityscapes and its annotation."""
    name = 'ulm_000001_000019'
    write(root / 'leftImg8bit' / 'val' / 'ulm' / f'{name}_leftImg8bit.png',
          picture(*labels.shape))
    write(root / 'gtFine' / 'val' / 'ulm' / f'{name}_gtFine_labelIds.png', labels)


def test_cityscapes_picks_the_19_classes_and_ignores_the_others(tmp_path: Path):
    labels = np.arange(36, dtype=np.uint8).reshape(4, 9)
    labels[labels > 33] = 255  # a licence plate is -1
    write_city(tmp_path, labels)
    found = open_dataset(tmp_path)
    assert found.name == 'cityscapes' and found.truth is LabelTruth and len(found.classes) == 19
    truth = found.read(0).truth.labels
    names = {int(label): found.classes[kind] for label, kind in zip(labels.flat, truth.flat)
             if kind != IGNORE}
    # As in cityscapesScripts' table of labels.
    assert names == {
        7: 'road', 8: 'sidewalk', 11: 'building', 12: 'wall', 13: 'fence', 17: 'pole',
        19: 'traffic light', 20: 'traffic sign', 21: 'vegetation', 22: 'terrain', 23: 'sky',
        24: 'person', 25: 'rider', 26: 'car', 27: 'truck', 28: 'bus', 31: 'train',
        32: 'motorcycle', 33: 'bicycle'}
    assert truth.max() == IGNORE and truth.dtype == np.int32


def test_labels_of_something_else_are_refused(tmp_path: Path):
    write_city(tmp_path, np.full((4, 9), 70, np.uint8))
    with pytest.raises(DatasetError, match='has label 70'):
        open_dataset(tmp_path).read(0)


def test_a_picture_of_cityscapes_without_annotation_is_named(tmp_path: Path):
    write_city(tmp_path, np.zeros((4, 9), np.uint8))
    write(tmp_path / 'leftImg8bit' / 'val' / 'ulm' / 'ulm_2_3_leftImg8bit.png', picture())
    with pytest.raises(DatasetError, match='1 of 2 .*/ulm_2_3_gtFine_labelIds.png'):
        open_dataset(tmp_path)


def test_truth_of_another_size_is_refused(tmp_path: Path):
    write_city(tmp_path, np.zeros((4, 9), np.uint8))
    write(tmp_path / 'leftImg8bit' / 'val' / 'ulm' / 'ulm_000001_000019_leftImg8bit.png', picture())
    with pytest.raises(DatasetError, match='9 x 4 pixels, but .* has 60 x 40'):
        open_dataset(tmp_path).read(0)


def annotations() -> dict:
    """Return COCO's annotations of three pictures with two classes, ids 1 and 90."""
    return {
        'images': [{'id': 139, 'file_name': '000000000139.jpg', 'height': 40, 'width': 60},
                   {'id': 7, 'file_name': '000000000007.jpg', 'height': 40, 'width': 60},
                   {'id': 900, 'file_name': '000000000900.jpg', 'height': 40, 'width': 60}],
        'annotations': [
            {'id': 1, 'image_id': 139, 'category_id': 90, 'bbox': [5, 6, 10, 20], 'area': 150.5,
             'iscrowd': 0},
            {'id': 2, 'image_id': 139, 'category_id': 1, 'bbox': [0, 0, 60, 40], 'area': 2000,
             'iscrowd': 1}],
        'categories': [{'id': 90, 'name': 'toothbrush'}, {'id': 1, 'name': 'person'}]}


def write_coco(root: Path, content: object, numbers: tuple[int, ...] = (7, 139, 900)) -> None:
    """Write annotations and the pictures of these numbers."""
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    (root / coco.ANNOTATIONS).write_text(json.dumps(content))
    for number in numbers:
        write(root / 'val2017' / f'{number:012d}.jpg', picture())


def test_coco_has_corners_of_boxes_and_classes_without_gaps(tmp_path: Path):
    write_coco(tmp_path, annotations())
    found = open_dataset(tmp_path)
    assert found.name == 'coco' and found.truth is BoxTruth
    assert found.classes == ('person', 'toothbrush')
    assert found.names == ['000000000007', '000000000139', '000000000900']
    truth = found.read(1).truth
    assert truth.boxes.tolist() == [[5, 6, 15, 26], [0, 0, 60, 40]]
    assert truth.classes.tolist() == [1, 0] and truth.crowd.tolist() == [False, True]
    assert truth.areas.tolist() == [150.5, 2000] and truth.image_id == 139
    nothing = found.read(0).truth
    assert nothing.boxes.shape == (0, 4) and nothing.image_id == 7


def test_a_part_of_coco_is_a_data_set(tmp_path: Path):
    write_coco(tmp_path, annotations(), numbers=(900,))
    assert open_dataset(tmp_path).names == ['000000000900']


@pytest.mark.parametrize('damage', [
    lambda content: content.pop('categories'),
    lambda content: content['annotations'][0].pop('bbox'),
    lambda content: content['annotations'][0].update(bbox=[1, 2]),
    lambda content: content['annotations'][0].update(category_id=5),
    lambda content: content['annotations'][0].update(image_id=5),
    lambda content: content.update(images=3)])
def test_damaged_annotations_of_coco_are_refused(tmp_path: Path, damage):
    content = annotations()
    damage(content)
    write_coco(tmp_path, content)
    with pytest.raises(DatasetError, match='instances_val2017.json: is not an annotation'):
        open_dataset(tmp_path)


def test_kodak_is_known_by_its_names_and_has_no_truth(tmp_path: Path):
    for number in (10, 9):
        write(tmp_path / f'kodim{number:02d}.png', picture(red=number))
    found = open_dataset(tmp_path)
    assert (found.name, found.truth) == ('kodak', None)
    assert found.names == ['kodim09', 'kodim10']
    sample = found.read(0)
    assert sample.truth is None and sample.image[0, 0].tolist() == [9, 0, 0]


def test_any_folder_is_a_data_set_without_labels(tmp_path: Path):
    write(tmp_path / '10.png', picture(red=10))
    write(tmp_path / '9.png', np.full((40, 60), 9, np.uint8))
    write(tmp_path / '9.jpg', picture())
    found = open_dataset(tmp_path)
    assert found.truth is None and list(found.names) == ['9.jpg', '9.png', '10']
    assert found.read(1).image.shape == (40, 60, 3)
    assert found.read(2).image[0, 0].tolist() == [10, 0, 0]


def test_pictures_in_folders_below_are_found(tmp_path: Path):
    for name in ('b/1', 'a/2', 'a/10'):
        write(tmp_path / f'{name}.png', picture())
    assert open_dataset(tmp_path).names == ['a/2', 'a/10', 'b/1']


def test_the_frames_of_a_video_are_read_in_any_order(tmp_path: Path):
    path = tmp_path / 'drive.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 5.0, (64, 48))
    for red in range(0, 240, 40):
        writer.write(np.full((48, 64, 3), (0, 0, red), np.uint8))
    writer.release()
    found = open_dataset(path)
    assert list(found.names) == [f'{index:06d}' for index in range(6)]
    forward = [found.read(index).image for index in range(6)]
    assert [round(image[..., 0].mean() / 40) for image in forward] == list(range(6))
    for index in (4, 1, 1, 5):
        assert np.array_equal(found.read(index).image, forward[index])


def test_labels_may_be_left_aside(tmp_path: Path):
    write_city(tmp_path, np.zeros((4, 9), np.uint8))
    found = open_dataset(tmp_path, 'folder')
    assert found.truth is None and found.read(0).truth is None
    assert found.names == ['ulm_000001_000019']
    (tmp_path / 'gtFine').rename(tmp_path.parent / 'away')
    assert len(open_dataset(tmp_path, 'folder').names) == 1


def test_some_samples_are_spread_evenly(tmp_path: Path):
    for number in range(10):
        write(tmp_path / f'{number}.png', picture(red=number))
    found = evenly(open_dataset(tmp_path), 4)
    assert found.names == ['0', '2', '5', '7'] and found.read(2).image[0, 0, 0] == 5
    assert len(evenly(open_dataset(tmp_path), None).names) == 10
    assert len(evenly(open_dataset(tmp_path), 99).names) == 10
    with pytest.raises(DatasetError):
        evenly(open_dataset(tmp_path), 0)


@pytest.mark.parametrize('layout, expected', [
    ('kitti-depth', kitti_depth.LAYOUT), ('hypersim', hypersim.LAYOUT),
    ('cityscapes', cityscapes.LAYOUT), ('coco', coco.LAYOUT), ('kodak', kodak.LAYOUT),
    ('folder', 'bag')])
def test_a_wrong_layout_is_answered_with_the_right_one(tmp_path: Path, layout: str, expected: str):
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path, layout)
    assert str(tmp_path) in str(caught.value) and expected in str(caught.value)


def test_every_layout_is_documented():
    text = (REPOSITORY / 'docs' / 'datasets.md').read_text(encoding='utf-8')
    for name in LAYOUT_NAMES:
        assert f'| `{name}` |' in text


def test_what_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DatasetError, match='nowhere: no such file'):
        open_dataset(tmp_path / 'nowhere')
    with pytest.raises(DatasetError, match=f"'imagenet' is no layout.*{LAYOUT_NAMES[0]}"):
        open_dataset(tmp_path, 'imagenet')
    text = tmp_path / 'notes.txt'
    text.write_text('no video')
    with pytest.raises(DatasetError, match='notes.txt'):
        open_dataset(text)
