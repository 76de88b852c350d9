# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks of transformers are loaded as the hub lays them out, and their answers read rightly."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import shutil
import threading

from gsc_ros.evaluation.dataset import cityscapes
from gsc_ros.perception.network.label import COCO
from gsc_ros.perception.network.network import NetworkError, NetworkSettings, Task
from gsc_ros.perception.network.opening import open_network
import numpy as np
from PIL import Image
import pytest
from tiny_task_network import (
    write_depth_anything,
    write_mask2former,
    write_rt_detr,
    write_segformer,
)

torch = pytest.importorskip('torch')
transformers = pytest.importorskip('transformers')

PICTURE = np.random.default_rng(1).integers(0, 256, (70, 101, 3), np.uint8)


@pytest.fixture(scope='module')
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of each architecture."""
    root = tmp_path_factory.mktemp('models')
    write_depth_anything(root / 'Depth-Anything-V2-Large-hf')
    write_depth_anything(root / 'metric', metric=True)
    write_mask2former(root / 'mask2former', cityscapes.CLASSES)
    write_segformer(root / 'segformer', ('road', 'sky'))
    write_rt_detr(root / 'rtdetr', COCO)
    return root


def settings(model: Path, **others: object) -> NetworkSettings:
    """Return settings that name a model, on the CPU."""
    return NetworkSettings(model=str(model), device='cpu', **others)


def test_depth_anything_answers_disparity_at_the_size_of_the_picture(models: Path):
    path = models / 'Depth-Anything-V2-Large-hf'
    network = open_network('depth-anything-v2', settings(path), Task.DEPTH)
    assert (network.kind, network.name) == ('disparity', 'Depth-Anything-V2-Large-hf')
    depth = network(PICTURE)
    assert depth.shape == (70, 101) and depth.dtype == np.float32
    assert np.ptp(depth) > 0 and np.array_equal(depth, network(PICTURE))
    # transformers' own pipeline on the same files, at the same size.
    peer = transformers.pipeline('depth-estimation', model=str(path), device='cpu')
    expected = peer(Image.fromarray(PICTURE))['predicted_depth'].numpy()
    assert depth == pytest.approx(expected, abs=1e-5)


def test_a_metric_depth_network_answers_metres(models: Path):
    network = open_network('depth-anything-v2', settings(models / 'metric'))
    assert network.kind == 'metres'
    depth = network(PICTURE)
    # Its last step is a sigmoid times the largest depth; random weights are near the middle.
    assert 0 < depth.min() and depth.max() < 80 and depth.mean() > 5


def test_identity_follows_the_weights(models: Path, tmp_path: Path):
    same = write_depth_anything(tmp_path / 'same')
    other = write_depth_anything(tmp_path / 'other', seed=9)
    one, again, another = (open_network('depth-anything-v2', settings(path)).identity
                           for path in (models / 'Depth-Anything-V2-Large-hf', same, other))
    assert one == again != another


def test_threads_are_those_of_the_settings_and_given_back(models: Path):
    before = torch.get_num_threads()
    network = open_network('depth-anything-v2', settings(models / 'metric', threads=1))
    network(PICTURE)
    assert torch.get_num_threads() == before


def test_mask2former_tells_cityscapes_classes_at_the_size_of_the_picture(models: Path):
    network = open_network('mask2former', settings(models / 'mask2former'), Task.SEGMENTATION)
    assert network.classes == cityscapes.CLASSES
    labels = network(PICTURE)
    assert labels.shape == (70, 101) and labels.dtype == np.int32
    assert 0 <= labels.min() and labels.max() < 19


def test_mask2former_sees_the_picture_as_it_is(models: Path):
    """The frame is the picture, unscaled, and padding to a multiple of 32 that is not answered."""
    path = models / 'mask2former'
    own = open_network('mask2former', settings(path))
    image = PICTURE[:64, :96]
    processor = transformers.AutoImageProcessor.from_pretrained(path)
    model = transformers.AutoModelForUniversalSegmentation.from_pretrained(path).eval()
    with torch.inference_mode():
        outputs = model(**processor(image, do_resize=False, return_tensors='pt'))
        masks = torch.nn.functional.interpolate(
            outputs.masks_queries_logits, size=(64, 96), mode='bilinear')[0].sigmoid()
        scores = torch.einsum('qc,qhw->chw', outputs.class_queries_logits[0].softmax(-1)[:, :-1],
                              masks)
    assert np.array_equal(own(image), scores.argmax(0).numpy())
    scaled = open_network('segmentation', settings(path))
    assert own.identity != scaled.identity and scaled(image).shape == (64, 96)


def test_masks_become_classes_at_full_size():
    """What is one column of the mask is a few columns of the picture, where it belongs."""
    from gsc_ros.perception.network.transformers_segmentation import mask_classes

    class_logits = torch.full((3, 4), -20.0)
    class_logits[[0, 1, 2], [2, 0, 3]] = 20  # a pole, the road, nothing
    mask_logits = torch.full((3, 8, 512), -10.0)
    mask_logits[0, :, 100] = 30
    mask_logits[1] = 10
    mask_logits[1, :, 100] = -30
    mask_logits[2] = 50
    pixel_mask = torch.ones((32, 2048), dtype=torch.int64)
    labels = mask_classes(class_logits, mask_logits, pixel_mask, (32, 2048))
    assert set(labels.unique().tolist()) == {0, 2}
    # Column 100 of the mask is 400 to 403 of the picture, and half way to its neighbours.
    assert torch.nonzero(labels[16] == 2).flatten().tolist() == list(range(399, 405))


def test_masks_in_the_padding_are_left_out():
    from gsc_ros.perception.network.transformers_segmentation import mask_classes

    class_logits = torch.tensor([[9.0, -9, -9], [-9, 9, -9]])
    mask_logits = torch.full((2, 8, 8), -9.0)
    mask_logits[0, :4] = 9
    mask_logits[1, 4:] = 9
    pixel_mask = torch.zeros((32, 32), dtype=torch.int64)
    pixel_mask[:16, :24] = 1
    labels = mask_classes(class_logits, mask_logits, pixel_mask, (14, 48))
    assert labels.shape == (14, 48) and (labels == 0).all()


def test_masks_agree_with_those_of_transformers_at_the_size_it_was_written_for(models: Path):
    from gsc_ros.perception.network.transformers_segmentation import mask_classes

    generator = torch.Generator().manual_seed(5)
    outputs = transformers.models.mask2former.modeling_mask2former\
        .Mask2FormerForUniversalSegmentationOutput(
            class_queries_logits=torch.randn((1, 40, 20), generator=generator),
            masks_queries_logits=torch.randn((1, 40, 96, 96), generator=generator))
    processor = transformers.AutoImageProcessor.from_pretrained(models / 'mask2former')
    expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(384, 384)])[0]
    labels = mask_classes(outputs.class_queries_logits[0], outputs.masks_queries_logits[0],
                          torch.ones((384, 384), dtype=torch.int64), (384, 384))
    assert (labels == expected).float().mean() > 0.9999


@pytest.mark.parametrize('name', ['segmentation', 'mask2former'])
def test_segformer_is_a_segmenter_too(models: Path, name: str):
    network = open_network(name, settings(models / 'segformer'))
    assert network.classes == ('road', 'sky')
    peer = transformers.pipeline('image-segmentation', model=str(models / 'segformer'),
                                 device='cpu')
    labels = network(PICTURE)
    for part in peer(Image.fromarray(PICTURE)):
        kind = network.classes.index(part['label'])
        assert np.array_equal(np.asarray(part['mask']) > 0, labels == kind)


def test_rt_detr_finds_what_its_pipeline_finds(models: Path):
    path = models / 'rtdetr'
    scores = open_network('rt-detr', settings(path, min_score=0.01))(PICTURE).scores
    assert len(scores) == 20
    threshold = float(scores[9:11].mean())
    network = open_network('rt-detr', settings(path, min_score=threshold), Task.DETECTION)
    assert network.classes == COCO and network.min_score == threshold
    found = network(PICTURE)
    assert len(found) == 10 and (np.diff(found.scores) <= 0).all()
    peer = transformers.pipeline('object-detection', model=str(path), device='cpu')
    expected = sorted(peer(Image.fromarray(PICTURE), threshold=threshold),
                      key=lambda item: -item['score'])
    assert [network.classes[kind] for kind in found.classes] == [
        item['label'] for item in expected]
    assert found.scores == pytest.approx([item['score'] for item in expected], abs=1e-5)
    for box, item in zip(found.boxes, expected):  # the pipeline rounds to whole pixels
        assert np.trunc(box).tolist() == pytest.approx(
            np.clip(list(item['box'].values()), 0, [101, 70, 101, 70]), abs=1)
    fewer = open_network('rt-detr', settings(path, min_score=0.99))
    assert len(fewer(PICTURE)) == 0 and fewer.identity != network.identity


def test_a_model_of_another_kind_is_refused(models: Path):
    with pytest.raises(NetworkError, match='rtdetr: cannot be opened: .*RTDetrConfig'):
        open_network('depth-anything-v2', settings(models / 'rtdetr'))


def test_weights_that_are_missing_are_not_made_up(models: Path, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(models / 'segformer', tmp_path / 'half')
    path = tmp_path / 'half' / 'model.safetensors'
    weights = {name: weight for name, weight in load_file(path).items()
               if 'decode_head' not in name}
    save_file(weights, path, metadata={'format': 'pt'})
    with pytest.raises(NetworkError, match='half: has no weights for .* decode_head'):
        open_network('segmentation', settings(tmp_path / 'half'))


def test_pickled_weights_are_not_read(models: Path, tmp_path: Path):
    from safetensors.torch import load_file

    shutil.copytree(models / 'segformer', tmp_path / 'pickled')
    path = tmp_path / 'pickled' / 'model.safetensors'
    torch.save(load_file(path), path.with_name('pytorch_model.bin'))
    path.unlink()
    with pytest.raises(NetworkError, match='pickled: cannot be opened: .*safetensors'):
        open_network('segmentation', settings(tmp_path / 'pickled'))


def test_a_directory_without_a_model_is_named(tmp_path: Path):
    with pytest.raises(NetworkError, match='holds no model of transformers: no config.json'):
        open_network('rt-detr', settings(tmp_path))
    with pytest.raises(NetworkError, match='away: no such directory'):
        open_network('rt-detr', settings(tmp_path / 'away'))
    (tmp_path / 'file').touch()
    with pytest.raises(NetworkError, match='is a file'):
        open_network('rt-detr', settings(tmp_path / 'file'))
    with pytest.raises(NetworkError, match='no model is named'):
        open_network('segmentation')


@pytest.mark.parametrize('device, message', [
    ('abacus', "'abacus' is no device"), ('cuda:99', r'there are \d+ GPUs')])
def test_a_device_that_is_not_there_is_refused(models: Path, device: str, message: str):
    with pytest.raises(NetworkError, match=message):
        open_network('rt-detr', NetworkSettings(model=str(models / 'rtdetr'), device=device))


class Hub(BaseHTTPRequestHandler):
    """A hub on which one model is gated, and no other exists."""

    def do_HEAD(self) -> None:
        """Answer as huggingface.co does."""
        gated = '/gated/' in self.path
        self.send_response(403 if gated else 401)
        self.send_header('X-Error-Code', 'GatedRepo' if gated else 'RepoNotFound')
        self.end_headers()

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let the hub's client talk to a hub on this machine."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f'http://127.0.0.1:{server.server_address[1]}'
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', constants
                        .HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address))
    monkeypatch.setattr(constants, 'ENDPOINT', address)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures('hub')
def test_a_gated_model_is_said_to_be_gated():
    with pytest.raises(NetworkError, match=r'accept their terms.*huggingface.co/gated/model'):
        open_network('mask2former', NetworkSettings(model='gated/model'))


@pytest.mark.usefixtures('hub')
def test_a_model_that_the_hub_does_not_have_is_said_so():
    with pytest.raises(NetworkError, match='absent/model: no such model on the Hugging Face hub'):
        open_network('mask2former', NetworkSettings(model='absent/model'))


def test_without_a_hub_the_way_by_hand_is_shown(monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(NetworkError, match='hf download someone/model-of-nobody --local-dir DIR'):
        open_network('mask2former', NetworkSettings(model='someone/model-of-nobody'))
