# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc plan`: what a link will carry."""

from __future__ import annotations

from command_line import call
import pytest


def test_the_json_has_what_was_asked_and_what_is_foretold(capsys):
    outcome = call(
        capsys, 'plan', '--bps', 2400, '--cameras', 1, '--fps', 2, '--mtu', 128, '--json')
    plan = outcome.json
    assert outcome.status == 0 and outcome.err == ''
    assert (plan['bps'], plan['mtu'], plan['security'], plan['fps']) == (2400, 128, 'aes-ccm', 2.0)
    assert plan['regime'] == 'layers shed' and plan['frame_period_s'] == 0.5
    assert plan['datagrams'] == 2 and 100 < plan['frame_bytes'] < 130
    assert plan['payload_share'] == pytest.approx(8 * plan['frame_bytes'] * 2 / 2400)


def test_the_table_says_it_in_words(capsys):
    outcome = call(capsys, 'plan', '--bps', 9600, '--cameras', 2, '--fps', 10, '--loss', 0.1)
    assert outcome.status == 0
    assert '2 cameras at 10 Hz' in outcome.out and 'need no repair' in outcome.out


def test_more_cameras_and_stronger_security_leave_smaller_packets(capsys):
    def size(*words):
        return call(capsys, 'plan', '--bps', 9600, '--fps', 2, '--json', *words).json['frame_bytes']

    assert size('--cameras', 2) < size('--cameras', 1) / 1.9
    assert size('--security', 'chacha20-poly1305') < size() < size('--security', 'none')
    assert size('--overhead', 28) < size()


def test_a_preset_gives_budget_mtu_and_delay_and_options_replace_them(capsys):
    plan = call(capsys, 'plan', '--preset', 'iridium', '--fps', 0.5, '--json').json
    assert (plan['bps'], plan['mtu']) == (2400, 256) and plan['latency_s'] > 0.9
    plan = call(capsys, 'plan', '--preset', 'iridium', '--bps', 4800, '--fps', 0.5, '--delay-ms',
                0, '--json').json
    assert plan['bps'] == 4800 and plan['latency_s'] < 2.5


def test_the_round_trip_counts_half_and_makes_repairs_dearer_where_it_is_long(capsys):
    def planned(*words):
        return call(capsys, 'plan', '--bps', 9600, '--fps', 5, '--loss', 0.1, '--json', *words).json

    assert planned('--rtt', 1.2) == planned('--delay-ms', 600)
    assert planned('--rtt', 1.2)['latency_s'] > planned('--rtt', 0.2)['latency_s'] + 0.4
    assert planned('--rtt', 1.2)['repair_share'] > 1.2 * planned('--rtt', 0.2)['repair_share']
    assert planned('--rtt', 1.2, '--useful-s', 20)['repair_share'] < 0.15
    assert call(capsys, 'plan', '--bps', 9600, '--rtt', 1, '--delay-ms', 5).status == 2


def test_a_link_without_a_budget_is_a_usage_error(capsys):
    outcome = call(capsys, 'plan', '--fps', 2)
    assert outcome.status == 2 and '--bps' in outcome.err


def test_an_unknown_preset_is_named_beside_those_there_are(capsys):
    outcome = call(capsys, 'plan', '--preset', 'pigeon')
    assert outcome.status == 1 and "'pigeon'" in outcome.err and 'iridium' in outcome.err


@pytest.mark.parametrize('content', ['', 'a: 1', '- 1', '{', '/**/bridge: {ros__parameters: 5}',
                                     '/**/bridge: {ros__parameters: {link_bps: x}}',
                                     '/**/bridge: {ros__parameters: {mtu: 1.5}}'])
def test_what_is_no_preset_is_refused(tmp_path, capsys, content):
    path = tmp_path / 'bad.yaml'
    path.write_text(content)
    outcome = call(capsys, 'plan', '--preset', path, '--bps', 2400)
    assert outcome.status == 1 and str(path) in outcome.err


@pytest.mark.parametrize('words', [
    ('--bps', 5), ('--bps', 2400, '--fps', 0), ('--bps', 2400, '--loss', 2),
    ('--bps', 2400, '--loss', 1), ('--bps', 2400, '--bytes', 30, '--least-bytes', 40),
    ('--bps', 2400, '--mtu', 16), ('--bps', 2400, '--security', 'rot13')])
def test_bad_options_are_usage_errors(capsys, words):
    assert call(capsys, 'plan', *words).status == 2


def test_a_loss_of_everything_is_refused_in_words(capsys):
    outcome = call(capsys, 'plan', '--bps', 2400, '--fps', 2, '--loss', 1)
    assert outcome.status == 2 and 'must be below 1' in outcome.err
