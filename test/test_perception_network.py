# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Task networks are opened by name, and detectors' answers are read as their families mean them."""

from __future__ import annotations

from pathlib import Path

from gsc_ros.evaluation.dataset import cityscapes
from gsc_ros.perception.network.decoder import Family, family_of
from gsc_ros.perception.network.label import class_map, COCO, PASCAL_VOC
from gsc_ros.perception.network.letterbox import letterbox, stretched
from gsc_ros.perception.network.network import (
    MAX_DETECTIONS,
    NetworkError,
    NetworkSettings,
    Task,
)
from gsc_ros.perception.network.opening import networks, open_network
from gsc_ros.perception.network.suppression import kept
from gsc_ros.sources.sequence import read_image
import numpy as np
import pytest
from shared_data import kitti_drive, REPOSITORY, shared_data
from tiny_detector import write_constant, write_mean_colour, write_rt_detr

# Of 200 x 100 pixels: in a frame of 64 x 64 it has 64 x 32, from row 16 on.
PICTURE = np.zeros((100, 200, 3), np.uint8)
# Left, top, right, bottom of an object in it, and where that is in the frame.
OBJECT = [50, 20, 150, 80]
FRAMED = [16, 16 + 6.4, 48, 16 + 25.6]
NAMES = "{0: 'person', 1: 'car', 2: 'dog'}"


def centred(box: list[float]) -> list[float]:
    """Return centre and size of a box given by its corners."""
    left, top, right, bottom = box
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def yolo8(*found: tuple[list[float], int, float], classes: int = 3, count: int = 12) -> np.ndarray:
    """Return an output of YOLOv8 with objects, each a framed box, a class and a score."""
    output = np.zeros((1, 4 + classes, count), np.float32)
    for column, (box, kind, score) in enumerate(found):
        output[0, :4, column] = centred(box)
        output[0, 4 + kind, column] = score
    return output


def detector(path: Path, **settings: object):
    """Open an ONNX detector."""
    return open_network('onnx-detector', NetworkSettings(model=str(path), **settings))


def test_yolo8_is_read_through_its_letterbox(tmp_path: Path):
    path = write_constant(tmp_path / 'yolo11x.onnx', {'output0': yolo8((FRAMED, 1, 0.9))},
                          metadata={'names': NAMES})
    network = detector(path)
    found = network(PICTURE)
    assert network.task is Task.DETECTION and network.name == 'yolo11x'
    assert network.classes == ('person', 'car', 'dog')
    assert found.boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)
    assert found.classes.tolist() == [1] and found.scores == pytest.approx([0.9])
    assert (found.boxes.dtype, found.classes.dtype, found.scores.dtype) == (
        np.float32, np.int64, np.float32)


def test_yolo8_of_80_classes_without_metadata_has_the_classes_of_coco(tmp_path: Path):
    output = yolo8((FRAMED, 2, 0.5), classes=80, count=100)
    network = detector(write_constant(tmp_path / 'a.onnx', {'output0': output}))
    assert network.classes == COCO and network(PICTURE).classes.tolist() == [2]


def test_yolo8_suppresses_within_a_class_and_keeps_less_overlap(tmp_path: Path):
    near = [FRAMED[0] + 1, *FRAMED[1:]]
    half = [FRAMED[0] + 16, FRAMED[1], FRAMED[2] + 16, FRAMED[3]]
    output = yolo8((near, 1, 0.8), (FRAMED, 1, 0.9), (FRAMED, 0, 0.7), (half, 1, 0.6),
                   ([0, 0, 9, 9], 1, 0.2))
    network = detector(write_constant(tmp_path / 'a.onnx', {'output0': output},
                                      metadata={'names': NAMES}))
    found = network(PICTURE)
    assert found.classes.tolist() == [1, 0, 1]
    assert found.scores == pytest.approx([0.9, 0.7, 0.6])


def test_a_box_counts_for_every_class_that_is_certain_enough(tmp_path: Path):
    output = yolo8((FRAMED, 1, 0.9))
    output[0, 4, 0] = 0.3
    path = write_constant(tmp_path / 'a.onnx', {'output0': output}, metadata={'names': NAMES})
    assert detector(path)(PICTURE).classes.tolist() == [1, 0]
    assert detector(path, min_score=0.5)(PICTURE).classes.tolist() == [1]


def test_yolo5_multiplies_objectness_and_class(tmp_path: Path):
    output = np.zeros((1, 1500, 8), np.float32)
    output[0, 7] = [*centred(FRAMED), 0.5, 0.1, 0.2, 0.8]
    output[0, 8] = [*centred(FRAMED), 0.1, 1, 1, 1]
    network = detector(write_constant(tmp_path / 'a.onnx', {'output': output},
                                      metadata={'names': "['person', 'car', 'dog']"}))
    found = network(PICTURE)
    assert found.boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)
    assert found.classes.tolist() == [2] and found.scores == pytest.approx([0.4])


def test_an_end_to_end_yolo_has_corners_already(tmp_path: Path):
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = [*FRAMED, 0.3, 1]
    output[0, 1] = [*FRAMED, 0.8, 1]
    network = detector(write_constant(tmp_path / 'a.onnx', {'output0': output},
                                      metadata={'names': NAMES}))
    found = network(PICTURE)
    assert found.scores == pytest.approx([0.8, 0.3]) and found.classes.tolist() == [1, 1]
    assert found.boxes[0] == pytest.approx(OBJECT, abs=1e-3)


def test_rt_detr_is_told_the_size_of_the_picture(tmp_path: Path):
    shares = np.array([[0.25, 0.2, 0.75, 0.8], [0.5, 0.5, 1.2, 1.2]])
    network = detector(write_rt_detr(tmp_path / 'a.onnx', shares, np.array([2, 79]),
                                     np.array([0.3, 0.9])))
    found = network(PICTURE)
    assert network.classes == COCO and found.classes.tolist() == [79, 2]
    assert found.boxes == pytest.approx(np.array([[100, 50, 200, 100], OBJECT]), abs=1e-3)


def test_rt_detr_by_ultralytics_answers_in_shares(tmp_path: Path):
    output = np.zeros((1, 300, 7), np.float32)
    output[0, 5] = [0.5, 0.5, 0.5, 0.6, 0, 0.7, 0]
    network = detector(write_constant(tmp_path / 'a.onnx', {'output0': output},
                                      metadata={'names': NAMES}))
    found = network(PICTURE)
    assert found.boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)
    assert found.classes.tolist() == [1]


def test_kin_of_detr_answer_in_logits(tmp_path: Path):
    logits = np.full((1, 10, 80), -9, np.float32)
    logits[0, 3, 17] = 0
    boxes = np.full((1, 10, 4), 0.5, np.float32)
    boxes[0, 3] = [0.5, 0.5, 0.5, 0.6]
    found = detector(write_constant(tmp_path / 'a.onnx', {'logits': logits, 'pred_boxes': boxes})
                     )(PICTURE)
    assert found.boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)
    assert found.classes.tolist() == [17] and found.scores == pytest.approx([0.5])


@pytest.mark.parametrize('shape, classes, family', [
    ([1, 84, 8400], None, Family.YOLO8), ([1, 25200, 85], None, Family.YOLO5),
    ([1, 300, 84], None, Family.RT_DETR_ULTRALYTICS), ([1, 300, 6], None, Family.YOLO_END_TO_END),
    ([1, 25200, 6], 1, Family.YOLO5), ([1, 5, 8400], 1, Family.YOLO8),
    ([1, 6, 8400], 2, Family.YOLO8), ([1, 0, 6], None, Family.YOLO_END_TO_END),
    ([1, 84, 8400], 3, None), ([1, 1000], None, None), ([2, 84, 8400], None, None)])
def test_families_are_told_by_shape(shape, classes, family):
    assert family_of({'output0': shape}, classes) is family


def test_a_network_with_masks_is_no_detector():
    assert family_of({'output0': [1, 116, 8400], 'output1': [1, 32, 160, 160]}, 80) is None


def test_pixels_come_as_red_green_blue_between_0_and_1(tmp_path: Path):
    network = detector(write_mean_colour(tmp_path / 'colour.onnx'), min_score=0.1)
    image = np.full((64, 64, 3), (255, 51, 0), np.uint8)
    found = network(image)
    assert [network.classes[kind] for kind in found.classes] == ['red', 'green']
    assert found.scores == pytest.approx([1, 0.2], abs=1e-5)
    assert found.boxes[0].tolist() == [0, 0, 64, 64]


def test_half_precision_and_open_sizes_are_served(tmp_path: Path):
    path = write_constant(tmp_path / 'a.onnx', {'output0': yolo8((FRAMED, 1, 0.9))}, side='side',
                          half=True, metadata={'names': NAMES, 'imgsz': '[64, 64]'})
    assert detector(path)(PICTURE).boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)
    path = write_constant(tmp_path / 'b.onnx', {'output0': yolo8(([160, 224, 480, 416], 1, 0.9))},
                          side='side', metadata={'names': NAMES})
    assert detector(path)(PICTURE).boxes == pytest.approx(np.array([OBJECT]), abs=1e-3)


def test_no_more_objects_come_than_the_most(tmp_path: Path):
    boxes = [([index % 60, index // 60, index % 60 + 0.5, index // 60 + 0.5], 1,
              0.3 + index / 10_000) for index in range(MAX_DETECTIONS + 40)]
    output = yolo8(*boxes, count=400)
    found = detector(write_constant(tmp_path / 'a.onnx', {'output0': output},
                                    metadata={'names': NAMES}))(PICTURE)
    assert len(found) == MAX_DETECTIONS
    assert (np.diff(found.scores) <= 0).all() and found.scores[0] == pytest.approx(0.3339)


def test_nothing_found_is_no_error(tmp_path: Path):
    found = detector(write_constant(tmp_path / 'a.onnx', {'output0': yolo8()},
                                    metadata={'names': NAMES}))(PICTURE)
    assert found.boxes.shape == (0, 4) and len(found.classes) == len(found.scores) == 0


def test_names_from_a_file_come_before_those_of_the_model(tmp_path: Path):
    path = write_constant(tmp_path / 'a.onnx', {'output0': yolo8()}, metadata={'names': NAMES})
    (tmp_path / 'names').write_text('man\nbus\nwolf\n\n')
    assert detector(path, names=tmp_path / 'names').classes == ('man', 'bus', 'wolf')
    (tmp_path / 'names').write_text('man\nbus\n')
    with pytest.raises(NetworkError, match=r'\[1, 7, 12\].*for 2 classes'):
        detector(path, names=tmp_path / 'names')
    (tmp_path / 'names').write_text('')
    with pytest.raises(NetworkError, match='not a list of class names'):
        detector(path, names=tmp_path / 'names')


@pytest.mark.parametrize('names', ['', '[', '(' * 500, '{0: "a", 2: "b"}', '7', 'import os'])
def test_classes_without_names_are_asked_for(tmp_path: Path, names: str):
    path = write_constant(tmp_path / 'a.onnx', {'output0': yolo8()}, metadata={'names': names})
    with pytest.raises(NetworkError, match='has 3 classes without names: give a file'):
        detector(path)


def test_a_class_beyond_the_names_is_an_error(tmp_path: Path):
    output = np.zeros((1, 300, 6), np.float32)
    output[0, 0] = [*FRAMED, 0.8, 80]
    network = detector(write_constant(tmp_path / 'a.onnx', {'output0': output}))
    with pytest.raises(NetworkError, match='found class 80, but there are names for 80'):
        network(PICTURE)


@pytest.mark.parametrize('name', ['onnx-detector', 'fastestdet', 'deeplab'])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, name: str):
    path = tmp_path / 'net.bin'
    path.write_bytes(b'no network')
    with pytest.raises(NetworkError, match='net.bin: not a'):
        open_network(name, NetworkSettings(model=str(path)))
    with pytest.raises(NetworkError, match='away.bin: no such file'):
        open_network(name, NetworkSettings(model=str(tmp_path / 'away.bin')))
    with pytest.raises(NetworkError, match=f'{name} needs a file'):
        open_network(name)


def test_a_graph_that_is_no_detector_is_refused():
    with pytest.raises(NetworkError, match='none of the detectors that are known'):
        detector(REPOSITORY / 'gsc_ros' / 'profiles' / 'tiny' / 'analysis.onnx')


def test_a_device_that_is_not_there_is_refused(tmp_path: Path):
    path = write_constant(tmp_path / 'a.onnx', {'output0': yolo8()}, metadata={'names': NAMES})
    with pytest.raises(NetworkError, match="'abacus' is no device"):
        detector(path, device='abacus')
    assert detector(path, device='cpu').classes


def test_identity_is_that_of_weights_and_threshold(tmp_path: Path):
    one = write_constant(tmp_path / 'a.onnx', {'output0': yolo8()}, metadata={'names': NAMES})
    other = write_constant(tmp_path / 'b.onnx', {'output0': yolo8((FRAMED, 1, 0.5))},
                           metadata={'names': NAMES})
    assert detector(one).identity == detector(one).identity
    assert len({detector(one).identity, detector(other).identity,
                detector(one, min_score=0.1).identity}) == 3


@pytest.mark.parametrize('size', [(100, 200), (333, 97), (64, 64), (1, 500), (480, 640)])
@pytest.mark.parametrize('fit', [letterbox, stretched])
def test_a_box_comes_back_from_the_frame(size: tuple[int, int], fit):
    height, width = size
    canvas, frame = fit(np.zeros((height, width, 3), np.uint8), 96, 64)
    assert canvas.shape == (64, 96, 3)
    box = np.array([[0.1 * width, 0, width, 0.7 * height]])
    scale = np.array([frame.scale_x, frame.scale_y] * 2)
    framed = box * scale + np.array([frame.left, frame.top] * 2)
    assert framed.min() >= 0 and framed[0, 2] <= 96.01 and framed[0, 3] <= 64.01
    assert frame.to_picture(framed) == pytest.approx(box, rel=1e-5)
    assert frame.to_picture(np.array([[-99, -99, 999, 999]])).tolist() == [[0, 0, width, height]]


def test_a_letterbox_is_gray_around_the_picture():
    canvas, _ = letterbox(np.full((100, 200, 3), 7, np.uint8), 64, 64)
    assert (canvas[16:48] == 7).all()
    assert (canvas[:16] == 114).all() and (canvas[48:] == 114).all()


def test_suppression_is_greedy_and_by_class():
    generator = np.random.default_rng(3)
    centre, size = generator.random((80, 2)), generator.random((80, 2)) * 0.5
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    classes, scores = generator.integers(0, 3, 80), generator.random(80)

    def overlap(one, other):
        sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
        shared = np.prod(np.maximum(sides, 0))
        return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)

    expected: list[int] = []
    for index in np.argsort(-scores):
        if all(classes[other] != classes[index] or overlap(boxes[other], boxes[index]) <= 0.4
               for other in expected):
            expected.append(index)
    assert kept(boxes, classes, scores, 0.4).tolist() == expected
    assert kept(np.zeros((0, 4)), np.zeros(0), np.zeros(0), 0.4).tolist() == []


def test_classes_are_found_by_meaning():
    assert class_map(('tv monitor', 'Motorbike', 'unicorn', 'TVmonitor'), COCO).tolist() == [
        COCO.index('tv'), COCO.index('motorcycle'), -1, COCO.index('tv')]
    # All of Pascal VOC's classes but the background are in COCO.
    assert class_map(PASCAL_VOC, COCO).tolist().count(-1) == 1
    both = [name for name, index in zip(cityscapes.CLASSES, class_map(cityscapes.CLASSES, COCO))
            if index >= 0]
    assert both == ['traffic light', 'person', 'car', 'truck', 'bus', 'train', 'motorcycle',
                    'bicycle']


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(NetworkError, match="'resnet' is no network; there are: depth-anything-v2,"):
        open_network('resnet')
    with pytest.raises(NetworkError, match='deeplab is a network for segmentation, not for depth'):
        open_network('deeplab', task=Task.DEPTH)
    assert {entry.task for entry in networks(Task.DEPTH)} <= {Task.DEPTH, None}
    assert 'rt-detr' in [entry.name for entry in networks(Task.DETECTION)]


def test_every_network_of_ours_is_documented():
    text = (REPOSITORY / 'docs' / 'networks.md').read_text(encoding='utf-8')
    for entry in networks():
        if entry.task is not None:
            assert f'| `{entry.name}` | {entry.task.value} |' in text


def test_settings_out_of_range_are_refused():
    with pytest.raises(NetworkError, match='0 threads'):
        NetworkSettings(threads=0)
    with pytest.raises(NetworkError, match='least score of 2'):
        NetworkSettings(min_score=2)


def install(folder: Path, name: str, code: str) -> None:
    """Lay out an installed package `my_NAME` of one module, with a network of that entry point."""
    (folder / f'my_{name}.py').write_text(code)
    information = folder / f'my_{name}-1.0.dist-info'
    information.mkdir()
    (information / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: my-{name}\nVersion: 1.0\n')
    (information / 'entry_points.txt').write_text(
        f'[gsc_ros.networks]\n{name} = my_{name}:Flat\n')


def documented_network() -> str:
    """Return the example of docs/networks.md."""
    text = (REPOSITORY / 'docs' / 'networks.md').read_text(encoding='utf-8')
    return text.split('```python\n')[1].split('```')[0]


def test_the_documented_example_is_ten_lines_and_a_network(tmp_path: Path, monkeypatch):
    code = documented_network()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10 + 4  # with its imports
    install(tmp_path, 'flat', code)
    monkeypatch.syspath_prepend(tmp_path)
    assert ('flat', 'from my-flat') in [(entry.name, entry.about) for entry in networks()]
    network = open_network('flat', task=Task.DEPTH)
    depth = network(PICTURE)
    assert depth.shape == (100, 200) and depth.dtype == np.float32
    with pytest.raises(NetworkError, match='flat is a network for depth, not for detection'):
        open_network('flat', task=Task.DETECTION)


def test_a_package_that_a_network_misses_is_named(tmp_path: Path, monkeypatch):
    install(tmp_path, 'costly', 'import no_such_package\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NetworkError, match='costly needs no_such_package, which is not installed'):
        open_network('costly')


def street() -> np.ndarray:
    """Return the first picture of the shared drive, or skip."""
    drive = kitti_drive()
    if drive is None or shared_data('nets') is None:
        pytest.skip('needs the drive and the networks of the shared data')
    return read_image(sorted(drive.glob('image_02/data/*.png'))[0])


@pytest.mark.parametrize('name', ['fastestdet', 'onnx-detector'])
def test_the_real_fastestdet_finds_cars(name: str):
    image = street()
    path = shared_data('nets', 'fastestdet_coco.onnx')
    names = shared_data('nets', 'coco.names')
    network = open_network(name, NetworkSettings(model=str(path), names=names), Task.DETECTION)
    found = network(image)
    assert (class_map(network.classes, COCO) == np.arange(80)).all()
    assert COCO.index('car') in found.classes and (found.scores >= network.min_score).all()
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert (found.boxes <= [image.shape[1], image.shape[0]] * 2).all()
    more = open_network(name, NetworkSettings(model=str(path), min_score=0.001))(image)
    assert len(more) > 10 * len(found)
    assert more.boxes[:len(found)] == pytest.approx(found.boxes)


def test_the_real_deeplab_finds_cars():
    image = street()
    path = shared_data('nets', 'deeplabv3_mnv2_pascal_quant.tflite')
    network = open_network('deeplab', NetworkSettings(model=str(path)), Task.SEGMENTATION)
    labels = network(image)
    assert labels.shape == image.shape[:2] and labels.dtype == np.int32
    shares = {network.classes[kind]: (labels == kind).mean() for kind in np.unique(labels)}
    assert shares['background'] > 0.3 and shares['car'] > 0.1
    # The padding is below the picture in the network's frame: it must not come back.
    flipped = network(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]
    assert (flipped == labels).mean() > 0.85
