# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labels, crops, losses and export of the importance network."""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.cli.main import main
from gsc_ros.perception.network.network import Detected, Task
from gsc_ros.perception.source.importance import ImportanceSource
from gsc_ros.perception.source.importance_model import ImportanceModel
from gsc_ros.training.data import Archive, DataError
from gsc_ros.training.importance_data import (
    CROP,
    CropMaker,
    label_archives,
    Labelled,
    load_labels,
    save_labels,
    STRIDE,
    target,
    thinned,
)
from gsc_ros.training.importance_label import contrasts, label, Labels, windows
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('accelerate')

from gsc_ros.training import importance  # noqa: E402
from gsc_ros.training.generator.loop import LoopSettings  # noqa: E402
from gsc_ros.training.importance import (  # noqa: E402
    export_importance,
    generalised_iou,
    held_out,
    losses,
    train_importance,
)
from gsc_ros.training.importance_network import Exported, ImportanceNetwork  # noqa: E402


class RedDetector:
    """Finds the red box of a picture, as far as it is seen."""

    task, name, identity, min_score, classes = Task.DETECTION, 'red', 'red', 0.1, ('red',)

    def __call__(self, image):
        rows, columns = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 100)
        if not len(rows):
            return Detected(np.empty((0, 4), np.float32), np.empty(0, np.int64),
                            np.empty(0, np.float32))
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detected(np.array([box], np.float32), np.zeros(1, np.int64),
                        np.array([0.9], np.float32))


def pictures(count: int = 4, seed: int = 0) -> list[Labelled]:
    """Return gray noise with one red box in each picture, labelled by a detector of red."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        image = generator.integers(90, 130, (240, 400, 1)).repeat(3, 2).astype(np.uint8)
        top, left = generator.integers(40, 120), generator.integers(40, 280)
        image[top:top + 60, left:left + 70] = (220, 30, 30)
        images.append(image)
    archive = Archive('red', tuple(images))
    return list(label_archives([archive], lambda image: label(image, RedDetector())))


def test_windows_cover_the_picture_and_small_ones_only_large_pictures():
    for width, height, count in ((1200, 400, 14), (320, 160, 5)):
        found = [window for window, _ in windows(width, height)]
        assert len(found) == count and found[0] == (0, 0, width, height)
        covered = np.zeros((height, width), bool)
        for left, top, right, bottom in found[1:5]:
            covered[top:bottom, left:right] = True
        assert covered.all()


def test_a_box_that_a_window_cuts_is_not_taken_from_it():
    for archive in pictures():
        for image, labels in zip(archive.images, archive.labels):
            sure = labels.boxes[labels.trust > 0.5] * [400, 240, 400, 240]
            rows, columns = np.nonzero(image[..., 0] > 200)
            whole = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert len(sure) == 1 and np.allclose(sure[0], whole, atol=2)


def test_contrast_shows_what_differs_from_its_surroundings():
    (archive,) = pictures(1)
    rows, columns = np.nonzero(archive.images[0][..., 0] > 200)
    left, top, right, bottom = contrasts(archive.images[0])[0]
    middle = (left + right) / 2, (top + bottom) / 2
    assert abs(middle[0] - columns.mean()) < 12 and abs(middle[1] - rows.mean()) < 12
    assert contrasts(np.full((100, 200, 3), 128, np.uint8)) == []


def test_labels_are_read_as_they_were_written(tmp_path: Path):
    labelled = pictures()
    save_labels(labelled, tmp_path / 'labels.npz')
    archives = [Archive(each.name, each.images) for each in labelled]
    (read,) = load_labels(archives, tmp_path / 'labels.npz')
    for one, other in zip(read.labels, labelled[0].labels):
        assert np.array_equal(one.boxes, other.boxes) and np.array_equal(one.trust, other.trust)
    with pytest.raises(DataError, match='not of 3'):
        load_labels([thinned(archives[0], 3)], tmp_path / 'labels.npz')
    (tmp_path / 'labels.npz').write_bytes(b'labels')
    with pytest.raises(DataError):
        load_labels(archives, tmp_path / 'labels.npz')


def test_the_last_pictures_of_a_long_archive_are_held_out():
    image = np.zeros((8, 8, 3), np.uint8)
    nothing = Labels(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    training, validation = held_out([
        Labelled(name, (image,) * count, (nothing,) * count)
        for name, count in (('long', 50), ('short', 10))])
    assert [len(archive.images) for archive in training] == [47, 10]
    assert [archive.name for archive in validation] == ['long']


def test_the_target_is_a_bell_on_each_thing_with_its_box():
    boxes = np.array([[16, 16, 80, 48], [120, 40, 128, 48]], np.float32)
    heat, sides = target(boxes, np.array([1.0, 0.5]))
    assert heat.shape == (1, CROP[0] // STRIDE, CROP[1] // STRIDE)
    assert heat.max() == 1 and heat[0, 3, 5] > 0.8 and heat[0, 5, 15] == 0.5
    assert np.array_equal(sides[:, 3, 5], boxes[0]) and np.array_equal(sides[:, 5, 15], boxes[1])
    assert heat[0, 12:, 20:].max() < 0.01


def test_crops_repeat_with_the_seed_and_their_boxes_lie_on_things():
    maker = CropMaker(pictures())
    one, other = (maker.batch(8, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.images, other.images) and np.array_equal(one.heat, other.heat)
    assert one.images.shape == (8, 3, *CROP) and 0 <= one.images.min() <= one.images.max() <= 1
    assert one.heat.max() > 0.9
    inside = one.boxes[:, :, :, :] * (one.heat > 0.3)
    assert inside.min() >= 0 and inside[:, 2].max() <= CROP[1] and inside[:, 3].max() <= CROP[0]


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(DataError):
        CropMaker(pictures(1), {'red': 0})


def test_generalised_iou_is_one_for_the_same_and_negative_far_apart():
    def one(*box):
        return torch.tensor(box, dtype=torch.float32).reshape(1, 4, 1, 1)

    assert generalised_iou(one(0, 0, 4, 4), one(0, 0, 4, 4)).item() == pytest.approx(1)
    assert generalised_iou(one(0, 0, 4, 4), one(0, 2, 4, 6)).item() == pytest.approx(1 / 3)
    assert generalised_iou(one(0, 0, 1, 1), one(9, 9, 10, 10)).item() == pytest.approx(-0.98)


def test_the_loss_of_the_score_vanishes_at_its_target_whatever_that_is():
    heat = torch.tensor([0.0, 0.4, 1.0]).reshape(1, 1, 1, 3)
    box = torch.tensor([0.0, 0, 8, 8]).reshape(1, 4, 1, 1).expand(1, 4, 1, 3)
    right, _ = losses(torch.logit(heat.clamp(1e-4, 1 - 1e-4)), box, heat, box)
    wrong, of_box = losses(torch.logit(1 - heat.clamp(1e-4, 1 - 1e-4)), box, heat, box)
    assert right.item() < 1e-6 < 0.1 < wrong.item() and of_box.item() == pytest.approx(0, abs=1e-6)


def test_training_lowers_the_loss_and_the_exported_graph_answers_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(importance, 'CALIBRATION_BATCHES', 2)
    figures: list[dict[str, float]] = []
    network = train_importance(
        pictures(), LoopSettings(steps=12, warmup=2, rate=3e-3, log_steps=4), 4, tmp_path / 'run',
        report=lambda loop, values: figures.append(values))
    assert figures[-1]['score'] < figures[0]['score']
    size = export_importance(network, tmp_path / 'network', 0.3, {'date': 'today'})
    assert size < 1_000_000
    image = np.random.default_rng(1).integers(0, 255, (96, 160, 3)).astype(np.uint8)
    score, box = ImportanceModel(tmp_path / 'network')(image)
    with torch.no_grad():
        torch_score, torch_box = Exported(network)(
            torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255)))
    assert np.allclose(score, torch_score[0, 0], atol=2e-2)
    assert np.allclose(box.transpose(2, 0, 1), torch_box[0], atol=2)
    assert isinstance(ImportanceSource(tmp_path / 'network').find(image, 0), list)


def test_a_new_network_sees_next_to_nothing():
    score, box = Exported(ImportanceNetwork().eval())(torch.rand(1, 3, 64, 96))
    assert score.shape == (1, 1, 8, 12) and box.shape == (1, 4, 8, 12)
    assert score.max() < 0.05
    assert torch.allclose(box[0, :, 0, 0], torch.tensor([-20.0, -20, 28, 28]), atol=1)


@pytest.mark.parametrize(('arguments', 'status', 'words'), [
    (['--data', 'nowhere', '--teacher', 'x.onnx'], 1, 'nowhere'),
    (['--data', '.', '--teacher', 'x.onnx', '--weight', 'street'], 2, 'KEY=VALUE'),
    (['--data', '.', '--teacher', 'x.onnx', '--weight', 'street=much'], 2, 'much'),
    (['--data', '.', '--teacher', 'x.onnx'], 1, 'x.onnx')])
def test_the_command_says_what_is_wrong(
        arguments: list[str], status: int, words: str, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('picture.png', np.zeros((32, 32, 3), np.uint8))
    assert main(['train', 'importance', '--output', 'out', *arguments]) == status
    assert words in capsys.readouterr().err
