# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The region model: what it codes, that it learns, and that it becomes part of a profile."""

from __future__ import annotations

from pathlib import Path

import cv2
from gsc_ros.codec.profile import (
    REGION_ANALYSIS_FILE,
    REGION_SYNTHESIS_FILE,
)
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')
pytest.importorskip('accelerate')

from gsc_ros.training.data import Archive, split_archives  # noqa: E402
from gsc_ros.training.klt import start_from_blocks  # noqa: E402
from gsc_ros.training.model import StructureConfig, StructureModel  # noqa: E402
from gsc_ros.training.region.export import export_graphs  # noqa: E402
from gsc_ros.training.region.gain import FINEST, sensitivity, set_gains  # noqa: E402
from gsc_ros.training.region.model import RegionModel  # noqa: E402
from gsc_ros.training.region.prediction import coded_part, predict  # noqa: E402
from gsc_ros.training.region.teacher import Teacher, TeacherError  # noqa: E402
from gsc_ros.training.region.trainer import RegionTrainer  # noqa: E402
from gsc_ros.training.trainer import load_weights, TrainingSettings  # noqa: E402

TEACHER = Path(__file__).parents[2] / 'shared/data/nets/deeplabv3_mnv2_pascal_quant.tflite'
CONFIG = StructureConfig(
    latent=192, analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)),
    quantizers=16, knots=2)
needs_teacher = pytest.mark.skipif(not TEACHER.exists(), reason='the shared data is absent')


def archives() -> tuple[Archive, ...]:
    """Return a scene of smooth coloured pictures."""
    generator = np.random.default_rng(0)
    return (Archive('scene', tuple(
        cv2.resize(generator.integers(0, 256, (9, 12, 3), np.uint8), (112, 96),
                   interpolation=cv2.INTER_CUBIC) for _ in range(24))),)


@pytest.fixture(name='base', scope='module')
def block_transform() -> StructureModel:
    """Return a structure model that has the block transform of the scene, and no more."""
    torch.manual_seed(0)
    model = StructureModel(CONFIG).eval()
    pictures = np.stack([image[:96, :96] for image in archives()[0].images])
    start_from_blocks(model, pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return model


@pytest.fixture(name='pictures', scope='module')
def two_pictures() -> torch.Tensor:
    """Return pictures [2, 3, 64, 96] in [0, 1]."""
    images = np.stack([image[:64, :96] for image in archives()[0].images[:2]])
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def mse(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the mean square error."""
    return float((one - other).square().mean())


@torch.no_grad()
def test_without_symbols_a_new_model_shows_the_prediction(base, pictures):
    model = RegionModel.from_structure(base)
    prediction = torch.flip(pictures, (3,))
    nothing = torch.zeros(2, CONFIG.latent, 8, 12)
    shown, error = model.g_s(nothing, prediction, torch.tensor([0.0, 1.0]))
    # The synthesis network starts at zero: what is left is the block transform, there and back.
    assert mse(shown, prediction) < 1e-6
    assert error.shape == (2, 1, 64, 96)
    assert (error >= 0).all()


@torch.no_grad()
def test_finer_levels_come_closer_and_all_of_it_where_it_is_coded_only(base, pictures):
    model = RegionModel.from_structure(base)
    set_gains(model, pictures, None)
    prediction = torch.full_like(pictures, 0.5)
    everywhere = torch.ones(2, 1, 8, 12)
    errors = [mse(model(pictures, prediction, torch.full((2,), level), everywhere)[0], pictures)
              for level in (0, 5, 10, 15)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4
    left = everywhere.clone()
    left[..., 6:] = 0
    half, _ = model(pictures, prediction, torch.full((2,), 15), left)
    assert mse(half[..., 48:], prediction[..., 48:]) < 1e-6
    assert mse(half[..., :48], pictures[..., :48]) < errors[0] / 4


@torch.no_grad()
def test_a_better_prediction_leaves_fewer_symbols(base, pictures):
    model = RegionModel.from_structure(base)
    set_gains(model, pictures, None)
    level = torch.full((2,), 12)

    def symbols(prediction: torch.Tensor) -> int:
        return int(torch.count_nonzero(
            model.quantised(model.g_a(pictures, prediction), level)))

    near = (pictures + 0.02).clamp(0, 1)
    assert symbols(pictures) == 0
    assert symbols(near) < symbols(torch.full_like(pictures, 0.5)) / 2


def test_predictions_are_8_bit_pictures_of_the_base_and_parts_are_boxes(base, pictures):
    model = RegionModel.from_structure(base)
    for seed in range(6):
        generator = np.random.default_rng(seed)
        prediction = predict(base, model, pictures, generator)
        assert prediction.shape == pictures.shape
        assert torch.allclose(prediction * 255, (prediction * 255).round(), atol=1e-3)
        assert 0 < mse(prediction, pictures) < 0.2
        part = coded_part(pictures, generator)
        assert set(part.unique().tolist()) <= {0.0, 1.0}


def test_a_short_training_lowers_the_objective_and_leaves_the_symbols_alone(base, tmp_path):
    settings = TrainingSettings(
        batch=4, crop=32, steps=30, warmup=2, rate=1e-2, synthesis_only=True)
    trainer = RegionTrainer(split_archives(archives()), settings, base, None, tmp_path)
    transform = trainer.bare.g_a.transform.weight.clone()
    gains = trainer.bare.gains.clone()
    # A fault that is there to be learned away.
    for values in (trainer.bare.state_dict(), trainer.average):
        values['g_s.image_head.0.bias'] += 0.3
    before = trainer.validate()
    report = trainer.run()
    assert report.loss < 0.9 * before
    assert torch.equal(trainer.bare.g_a.transform.weight, transform)
    assert torch.equal(trainer.bare.g_s.transform.weight, transform)
    assert torch.equal(trainer.bare.gains, gains)
    for name in ('best', 'state'):
        saved = load_weights(tmp_path / f'{name}.safetensors', RegionModel)
        assert torch.allclose(saved.gains, gains, rtol=1e-2)
        bias = saved.g_s.image_head[0].bias
        assert torch.allclose(bias, trainer.average['g_s.image_head.0.bias'], atol=1e-2)


@torch.no_grad()
def test_the_graphs_agree_with_torch_at_any_size(tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    torch.manual_seed(0)
    config = StructureConfig(
        analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)), quantizers=2, knots=2)
    model = RegionModel(config).eval()
    for parameter in model.parameters():
        parameter.copy_(parameter.half().float())
    export_graphs(model, tmp_path)
    analysis, synthesis = (
        onnxruntime.InferenceSession(str(tmp_path / name), providers=['CPUExecutionProvider'])
        for name in (REGION_ANALYSIS_FILE, REGION_SYNTHESIS_FILE))
    for height, width in ((8, 8), (24, 16)):
        image, prediction = torch.rand(2, 1, 3, height, width)
        (y,) = analysis.run(
            None, {'image': image.numpy(), 'prediction': prediction.numpy()})
        assert np.allclose(y, model.g_a(image, prediction).numpy(), atol=1e-4)
        shown, error = synthesis.run(None, {
            'y_hat': y, 'prediction': prediction.numpy(), 'level': np.ones(1, np.float32)})
        expected = model.g_s(torch.from_numpy(y), prediction, torch.ones(1))
        assert np.allclose(shown, expected[0].numpy(), atol=1e-3)
        assert np.allclose(error, expected[1].numpy(), atol=1e-3)


@needs_teacher
def test_the_teacher_computes_what_its_file_does():
    litert = pytest.importorskip('ai_edge_litert.interpreter')
    picture = cv2.resize(archives()[0].images[0], (513, 513), interpolation=cv2.INTER_CUBIC)
    teacher = Teacher(TEACHER)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    features = teacher.features(tensor)
    interpreter = litert.Interpreter(
        str(TEACHER), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]['index'], picture[None])
    interpreter.invoke()
    found = 0
    for details in interpreter.get_tensor_details():
        scale, zero = details['quantization']
        for feature in features:
            shape = list(feature.permute(0, 2, 3, 1).shape)
            if list(details['shape']) != shape or not scale:
                continue
            value = (interpreter.get_tensor(details['index']).astype(np.float32) - zero) * scale
            mine = feature.permute(0, 2, 3, 1).numpy()
            found += np.corrcoef(value.ravel(), mine.ravel())[0, 1] > 0.99
    assert found >= len(features)


@needs_teacher
def test_the_teacher_minds_blur_more_than_brightness_and_steps_follow(base, pictures):
    pytest.importorskip('ai_edge_litert')
    teacher = Teacher(TEACHER)
    reference = teacher.features(pictures)
    assert float(teacher.distance(pictures, reference).max()) == 0
    blurred = torch.nn.functional.avg_pool2d(pictures, 9, stride=1, padding=4)
    brighter = (pictures + 0.03).clamp(0, 1)
    distances = [float(teacher.distance(picture, reference).mean())
                 for picture in (brighter, blurred)]
    assert 0 < distances[0] < distances[1]
    model = RegionModel.from_structure(base)
    set_gains(model, pictures, teacher)
    matters = sensitivity(model, pictures, teacher)
    most, least = int(matters[:48].argmax()), int(matters[:48].argmin())
    assert model.gains[15, most] > model.gains[15, least] >= 0.999 * FINEST


@pytest.mark.parametrize('content', [b'', b'not a network', bytes(64), b'\0\0\0\0TFL3' + bytes(8)])
def test_a_file_that_is_no_network_is_refused(tmp_path, content):
    pytest.importorskip('ai_edge_litert')
    path = tmp_path / 'net.tflite'
    path.write_bytes(content)
    with pytest.raises(TeacherError, match='net.tflite'):
        Teacher(path)
    with pytest.raises(TeacherError, match='missing.tflite'):
        Teacher(tmp_path / 'missing.tflite')
