# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trainer: it learns, resumes where it stopped, and writes what can be read again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('compressai')
pytest.importorskip('accelerate')

from gsc_ros.training.data import Archive, split_archives  # noqa: E402
from gsc_ros.training.model import StructureConfig, StructureModel  # noqa: E402
from gsc_ros.training.trainer import (  # noqa: E402
    draw_channels,
    draw_levels,
    load_weights,
    ms_ssim,
    save_weights,
    StructureTrainer,
    TrainingSettings,
)

CONFIG = StructureConfig(
    latent=12, analysis=((16, 1), (16, 1)), synthesis=((16, 1), (16, 1), (16, 1)), quantizers=2,
    knots=2)


def archives() -> tuple[Archive, ...]:
    """Return a scene of smooth coloured pictures."""
    generator = np.random.default_rng(0)
    return (Archive('scene', tuple(
        cv2.resize(generator.integers(0, 256, (5, 6, 3), np.uint8), (80, 64),
                   interpolation=cv2.INTER_CUBIC) for _ in range(24))),)


def trainer(output: Path, **settings: float) -> StructureTrainer:
    """Return a trainer of a few thousand weights."""
    values = {'batch': 4, 'crop': 32, 'steps': 1000, 'warmup': 2, 'basis': 50} | settings
    return StructureTrainer(split_archives(archives()), TrainingSettings(**values), CONFIG, output)


def test_a_short_training_lowers_the_objective(tmp_path):
    run = trainer(tmp_path, steps=120, rate=2e-3, batch=8)
    before = run.validate()
    report = run.run()
    assert report.steps == 120
    assert report.loss < 0.9 * before
    assert (tmp_path / 'best.safetensors').stat().st_size < 16_000_000


def test_resuming_gives_the_very_weights_of_an_unbroken_run(tmp_path):
    whole = trainer(tmp_path / 'whole')
    for _ in range(6):
        whole.update()
    first = trainer(tmp_path / 'parts')
    for _ in range(3):
        first.update()
    first.save(1.0)
    second = trainer(tmp_path / 'parts')
    assert second.resume()
    assert second.step == 3
    for _ in range(3):
        second.update()
    for (name, value), other in zip(
            whole.bare.state_dict().items(), second.bare.state_dict().values()):
        assert torch.equal(value, other), name
    for name, value in whole.average.items():
        assert torch.equal(value, second.average[name]), name


def test_there_is_nothing_to_resume_in_an_empty_directory(tmp_path):
    assert not trainer(tmp_path).resume()


def test_only_the_best_weights_are_kept(tmp_path):
    run = trainer(tmp_path)
    run.save(1.0)
    best = (tmp_path / 'best.safetensors').read_bytes()
    run.update()
    run.save(2.0)
    assert (tmp_path / 'best.safetensors').read_bytes() == best
    assert run.best == 1.0


@pytest.mark.parametrize('score', [float('inf'), float('nan')])
def test_a_validation_that_is_not_finite_is_told_and_never_the_best(tmp_path, score):
    run = trainer(tmp_path)
    with pytest.warns(UserWarning, match=f'after 0 steps is {score}'):
        run.save(score)
    assert not (tmp_path / 'best.safetensors').exists()
    assert (tmp_path / 'state.safetensors').exists()
    run.save(1.0)
    assert run.best == 1.0 and (tmp_path / 'best.safetensors').exists()


def make_every_symbol_unlikely(model: StructureModel) -> None:
    """Let the rate expect hardly any spread and large means, so that likelihoods underflow."""
    with torch.no_grad():
        model.rate.base.fill_(-20)
        model.rate.near.fill_(50)


def test_the_rate_stays_finite_after_weights_were_stored_in_half_precision(tmp_path):
    run = trainer(tmp_path)
    make_every_symbol_unlikely(run.bare)
    save_weights(run.bare, tmp_path / 'weights.safetensors')
    run.start_from(load_weights(tmp_path / 'weights.safetensors'))
    assert np.isfinite(run.validate())
    parts = run.update()
    assert parts['rate'] > 1 and torch.isfinite(parts['rate'])
    assert torch.isfinite(parts['objective'])
    assert all(torch.isfinite(p).all() for p in run.bare.parameters())


def test_the_rate_has_no_say_when_the_synthesis_alone_is_trained(tmp_path):
    run = trainer(tmp_path, synthesis_only=True)
    score = run.validate()
    frozen = {n: v.clone() for n, v in run.bare.state_dict().items() if not n.startswith('g_s.')}
    with torch.no_grad():
        run.bare.rate.base.fill_(float('nan'))
    run.start_from(run.bare)
    assert run.validate() == score
    parts = run.update()
    assert torch.isnan(parts['rate']) and torch.isfinite(parts['objective'])
    run.bare.rate.base.data.copy_(frozen['rate.base'])
    assert all(torch.equal(run.bare.state_dict()[n], v) for n, v in frozen.items())


def test_a_run_ends_when_its_minutes_are_over(tmp_path):
    report = trainer(tmp_path, minutes=1e-6).run()
    assert report.steps == 1


def test_saved_weights_come_back_within_half_precision(tmp_path):
    model = trainer(tmp_path).averaged()
    save_weights(model, tmp_path / 'weights.safetensors')
    again = load_weights(tmp_path / 'weights.safetensors')
    assert again.config == model.config
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model.g_a(image), again.g_a(image), atol=2e-2)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    from safetensors.torch import save_file
    save_file({'x': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(ValueError, match='not a checkpoint'):
        load_weights(tmp_path / 'other.safetensors')


@pytest.mark.parametrize('settings', [
    {'crop': 40}, {'batch': 0}, {'minutes': 0.0}, {'lambda_low': 1.0, 'lambda_high': 0.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError):
        TrainingSettings(**settings)


def test_the_ladder_of_lambdas_rises_evenly():
    ladder = TrainingSettings().lambdas(6)
    ratios = ladder[1:] / ladder[:-1]
    assert np.allclose(ratios, ratios[0], rtol=1e-4)
    assert ratios[0] > 1


def test_levels_are_sorted_and_within_the_quantizers():
    for seed in range(10):
        levels = draw_levels(7, 6, np.random.default_rng(seed))
        assert len(levels) == 7
        assert (np.diff(levels) >= 0).all()
        assert levels.min() >= 0 and levels.max() < 6


def test_dropped_channels_are_prefixes_when_only_prefixes_are_asked_for():
    settings = TrainingSettings(prefix=1.0, subset=0.0)
    keep = draw_channels(200, 320, settings, np.random.default_rng(0))
    assert (keep[:, 0] == 1).all()
    assert (np.diff(keep, axis=1) <= 0).all()
    lengths = keep.sum(axis=1)
    assert lengths.min() < 4 and lengths.max() > 150


def test_random_subsets_favour_early_channels():
    settings = TrainingSettings(prefix=0.0, subset=1.0)
    keep = draw_channels(500, 320, settings, np.random.default_rng(0))
    assert keep[:, :32].mean() > keep[:, -32:].mean() + 0.2


def test_ms_ssim_is_one_for_equal_images_and_falls_with_noise():
    image = torch.rand(2, 3, 64, 64)
    assert torch.allclose(ms_ssim(image, image), torch.ones(2), atol=1e-5)
    slight, heavy = (ms_ssim(image, image + amount * torch.randn_like(image))
                     for amount in (0.05, 0.5))
    assert (heavy < slight).all() and (slight < 1).all()


def test_one_scale_of_ms_ssim_agrees_with_the_reference():
    reference = pytest.importorskip('pytorch_msssim')
    first, second = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    ours = ms_ssim(first, second * 0.2 + first * 0.8, weights=(1.0,))
    theirs = reference.ssim(
        first, second * 0.2 + first * 0.8, data_range=1.0, size_average=False)
    assert torch.allclose(ours, theirs, atol=1e-4)
