# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures over a noisy channel: what a frame costs, what comes through, and what is shown."""

import random

from codec_image import picture
from gsc_ros.evaluation.snr.coding import NotFittingError, OwnCoder, PeerCoder
from gsc_ros.evaluation.snr.link import BITS_PER_USE, CapacityError, NoisyLink
from gsc_ros.evaluation.snr.plot import metrics_of, plots
from gsc_ros.evaluation.snr.score import mean, PairScorer
from gsc_ros.evaluation.snr.study import GRAY, OperatingPoint, SnrPlan, study
from gsc_ros.evaluation.still_peer import STILL_PEERS
from gsc_ros.evaluation.store import Store
from gsc_ros.evaluation.stream_cache import StreamCache
from gsc_ros.link.channel.noise import Modulation
import numpy as np
import pytest

BPSK = Modulation.BPSK
PEERS = {peer.name: peer for peer in STILL_PEERS}
SEEDS = range(40)


def data(size):
    """Return bytes that repeat in no way."""
    return random.Random(size).randbytes(size)


@pytest.fixture(scope='module')
def images():
    """Return three pictures of 192 x 168 that differ."""
    return [np.roll(picture(168, 192), 9 * index, axis=1) for index in range(3)]


@pytest.fixture(scope='module')
def own(images):
    """Return the coder of the shipped profile."""
    return OwnCoder('tiny', images, threads=1)


def plan(images, **changes):
    """Return a plan for JPEG alone."""
    values = {'images': images, 'snrs_db': [-10.0, 15.0],
              'operating_points': [OperatingPoint(16000, 0.5)], 'modulation': BPSK, 'mtu': 64,
              'peers': [PEERS['jpeg']], 'downscales': (4.0, 8.0), 'threads': 1, 'workers': 1,
              'trials': 2}
    return SnrPlan(**values | changes)


def result(wanted, tmp_path):
    """Run a study without VSI."""
    links = [NoisyLink(one.uses, wanted.modulation, one.code_rate, wanted.mtu)
             for one in wanted.operating_points]
    scorer = PairScorer(wanted.images, Store(tmp_path), with_vsi=False)
    return study(wanted, links, scorer, StreamCache(Store(tmp_path)), lambda *_: None)


@pytest.mark.parametrize('modulation', Modulation)
@pytest.mark.parametrize('uses, code_rate, mtu', [
    (2000, 0.5, 64), (8000, 0.3, 32), (15000, 0.9, 200)])
def test_the_largest_packet_comes_through_within_its_symbols(modulation, uses, code_rate, mtu):
    link = NoisyLink(uses // BITS_PER_USE[modulation] * 4, modulation, code_rate, mtu)
    packet = data(link.capacity)
    sent = link.send(packet)
    assert link.receive(sent.datagrams) == packet
    assert link.uses(sent) <= uses // BITS_PER_USE[modulation] * 4
    assert len(sent.datagrams) == link.datagrams
    with pytest.raises(CapacityError, match='datagrams of'):
        link.send(packet + b'x')


@pytest.mark.parametrize('uses, data_datagrams', [(16000, 15), (64000, 62)])
def test_as_many_datagrams_may_be_lost_as_there_are_parities(uses, data_datagrams):
    link = NoisyLink(uses, BPSK, 0.5, 64)
    assert link.data == data_datagrams
    packet = data(link.capacity)
    datagrams = link.send(packet).datagrams
    # All that carry the packet, and where there are two codes still enough of each.
    rest = datagrams[link.data:]
    assert link.receive(rest) == packet
    assert link.receive(rest[-link.data + 1:]) is None


def test_what_a_small_packet_leaves_free_holds_parity():
    link = NoisyLink(16000, BPSK, 0.5, 64)
    sent = link.send(b'small')
    assert len(sent.datagrams) == link.datagrams
    assert all(link.receive([datagram]) == b'small' for datagram in sent.datagrams)


def test_a_base_comes_through_alone():
    link = NoisyLink(24000, BPSK, 0.5, 64)
    packet = data(link.capacity - 20)
    base = packet[:link.base_capacity(len(packet))]
    sent = link.send(packet, base)
    assert link.receive(sent.datagrams) == packet
    bodies = link.data
    first = -(-len(base) // 50)
    assert link.receive(sent.datagrams[:first]) == base
    assert link.receive(sent.datagrams[1:first]) is None
    # A parity of its own stands for the one that is missing, and is of no use to the rest.
    assert link.receive(sent.datagrams[1:first] + sent.datagrams[bodies:bodies + 1]) == base
    with pytest.raises(CapacityError, match='no base'):
        link.send(packet, data(len(base)))


def test_layers_keep_something_where_the_whole_is_lost():
    link = NoisyLink(24000, BPSK, 0.5, 64)
    packet = data(link.capacity - 20)
    base = packet[:link.base_capacity(len(packet))]
    came = {}
    for name, sent in (('alike', link.send(packet)), ('layers', link.send(packet, base))):
        came[name] = [sum(link.receive(link.damaged(sent, snr_db, seed)) is not None
                          for seed in SEEDS) for snr_db in (6.0, 6.5, 7.0)]
    assert came['layers'][0] > came['alike'][0] + 3
    assert came['layers'][1] > came['alike'][1]
    assert came['layers'][2] >= came['alike'][2] - 1


def test_the_same_seed_brings_the_same_noise_and_less_of_it_loses_less():
    link = NoisyLink(8000, BPSK, 0.5, 64)
    sent = link.send(data(link.capacity))
    assert link.damaged(sent, 6.0, 5) == link.damaged(sent, 6.0, 5)
    came = [{seed for seed in SEEDS if link.receive(link.damaged(sent, snr_db, seed))}
            for snr_db in (5.5, 6.0, 6.5, 7.5)]
    assert all(few <= many for few, many in zip(came, came[1:]))
    assert len(came[0]) < 5 and len(came[-1]) == len(SEEDS)


def test_a_lower_code_rate_and_a_sturdier_modulation_stand_more_noise():
    def came(snr_db, modulation, uses, code_rate):
        link = NoisyLink(uses, modulation, code_rate, 64)
        sent = link.send(data(link.capacity))
        return sum(link.receive(link.damaged(sent, snr_db, seed)) is not None for seed in SEEDS)
    assert came(6.0, BPSK, 16000, 0.25) > came(6.0, BPSK, 16000, 0.7) + 10
    assert came(8.0, BPSK, 8000, 0.5) > came(8.0, Modulation.QPSK, 4000, 0.5) + 10


@pytest.mark.parametrize('uses, code_rate, mtu, message', [
    (500, 0.5, 64, 'hold no frame'), (8000, 0.01, 64, 'hold no frame'),
    (8000, 0.5, 25, 'hold no frame'), (200_000, 0.5, 64, 'more than 126'),
    (200_000, 0.5, 1600, 'mtu')])
def test_a_channel_that_holds_no_frame_is_refused(uses, code_rate, mtu, message):
    with pytest.raises(CapacityError, match=message):
        NoisyLink(uses, BPSK, code_rate, mtu)


def test_a_peer_sends_the_best_that_fits(images, tmp_path):
    streams = StreamCache(Store(tmp_path))
    link = NoisyLink(40000, BPSK, 0.5, 64)
    many = PeerCoder(PEERS['webp'], images, (1.0, 2.0, 4.0), streams)(0, link)
    few = PeerCoder(PEERS['webp'], images, (4.0,), streams)(0, link)
    assert len(many.sent.packet) <= link.capacity
    assert len(many.sent.packet) > 0.8 * link.capacity
    error = [np.square(images[0] - coded.picture.astype(float)).mean() for coded in (many, few)]
    assert error[0] < error[1]
    assert many.picture.shape == images[0].shape


def test_a_peer_that_does_not_fit_says_how_small_it_is(images, tmp_path):
    coder = PeerCoder(PEERS['jpeg'], images, (2.0, 8.0), StreamCache(Store(tmp_path)))
    with pytest.raises(NotFittingError, match=r'bytes at least \(1/8, quality 1\), of 147'):
        coder(0, NoisyLink(3600, BPSK, 0.5, 64))


def test_ours_sends_the_same_packet_with_and_without_layers(own):
    link = NoisyLink(24000, BPSK, 0.5, 64)
    whole, layered = own.whole(1, link), own.layered(1, link)
    assert whole.sent.packet == layered.sent.packet
    assert len(whole.sent.packet) <= link.capacity
    assert not whole.sent.base and whole.base is None
    assert 0 < len(layered.sent.base) <= link.base_capacity(len(whole.sent.packet))
    assert np.array_equal(whole.picture, layered.picture)
    assert not np.array_equal(layered.base, layered.picture)


def test_where_no_layer_is_small_enough_all_is_protected_alike(own):
    link = NoisyLink(1100, BPSK, 0.5, 64)
    coded = own.layered(0, link)
    assert not coded.sent.base and coded.base is None


def test_ours_does_not_fit_where_no_packet_does(own):
    with pytest.raises(NotFittingError):
        own.whole(0, NoisyLink(520, BPSK, 0.5, 32))


def test_noise_that_leaves_nothing_shows_gray_and_none_shows_what_was_sent(images, tmp_path):
    done = result(plan(images), tmp_path)
    gray = np.full_like(images[0], GRAY)
    expected = mean([PairScorer(images, Store(tmp_path), False)._measured(number, gray)
                     for number in range(3)])
    for point in done.points:
        if point.snr_db == -10:
            assert (point.whole, point.base) == (0, 0)
            assert point.metrics == pytest.approx(expected)
            assert np.array_equal(done.pictures[point.shown], gray)
        else:
            assert (point.whole, point.base) == (1, 0)
            assert point.metrics['psnr'] > expected['psnr']
    assert {point.codec for point in done.points} == {'gsc', 'gsc-layers', 'jpeg'}


def test_a_lost_frame_leaves_the_last_picture_that_came(images, tmp_path):
    done = result(plan(images, snrs_db=[6.0, 6.25, 6.5], trials=4, peers=[]), tmp_path)
    clear = result(plan(images, snrs_db=[20.0], peers=[]), tmp_path)
    sent = [point for point in clear.points if point.codec == 'gsc']
    between = [point for point in done.points if point.codec == 'gsc' and 0 < point.whole < 1]
    assert between
    assert all(point.metrics['psnr'] < sent[0].metrics['psnr'] for point in between)
    assert all(point.metrics['ssim'] < sent[0].metrics['ssim'] for point in between)


def test_what_does_not_fit_has_no_points_but_a_reason(images, tmp_path):
    done = result(plan(images, operating_points=[OperatingPoint(3600, 0.5)]), tmp_path)
    fit = {one.codec: one for one in done.fits}
    assert fit['jpeg'].bytes is None and 'bytes at least' in fit['jpeg'].setting
    assert fit['jpeg'].fitting == 0
    assert fit['gsc'].fitting == 1 and fit['gsc'].bytes <= fit['gsc'].capacity == 147
    assert 'jpeg' not in {point.codec for point in done.points}


def test_every_codec_has_the_same_bytes_and_about_the_same_symbols(images, tmp_path):
    done = result(plan(images, peers=[PEERS['jpeg'], PEERS['webp']]), tmp_path)
    assert len({fit.capacity for fit in done.fits}) == 1
    assert all(fit.bytes <= fit.capacity for fit in done.fits)
    uses = [fit.uses for fit in done.fits]
    assert max(uses) <= 16000 and min(uses) > 0.85 * max(uses)


def test_scores_are_measured_once(images, tmp_path, monkeypatch):
    first = result(plan(images), tmp_path)

    def refuse(*_):
        raise AssertionError('measured again')
    monkeypatch.setattr(PairScorer, '_measured', refuse)
    assert result(plan(images), tmp_path).points == first.points


def test_a_learned_metric_is_a_figure_where_its_weights_are(images, tmp_path):
    wanted = plan(images, snrs_db=[-10.0, 15.0], peers=[])
    links = [NoisyLink(16000, BPSK, 0.5, 64)]
    scorer = PairScorer(images, Store(tmp_path), with_vsi=False,
                        lpips=lambda original, image: float(image.std() == 0))
    done = study(wanted, links, scorer, StreamCache(Store(tmp_path)), lambda *_: None)
    assert {point.snr_db: point.metrics['lpips'] for point in done.points} == {-10: 1, 15: 0}
    assert metrics_of(done) == ['psnr', 'ssim', 'lpips']
    drawn = plots(done, wanted, links)
    assert set(drawn) == {'psnr', 'ssim', 'lpips', 'whole'}
    assert b'less is better' in drawn['lpips']
