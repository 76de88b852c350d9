# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Golden packets decode to the same symbols on every machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from golden_region import digest
from gsc_ros.codec import packet as wire
from gsc_ros.codec import text
from gsc_ros.codec.frame import FrameDecoder
from gsc_ros.codec.profile import load_profile
import pytest

FOLDER = Path(__file__).resolve().parent / 'golden'
DOCUMENT = json.loads((FOLDER / 'packets.json').read_text(encoding='utf-8'))
PROFILE = load_profile('tiny')
DECODER = FrameDecoder(PROFILE)
# The packets that a packet of a stream leans on.
FOLLOWED = {
    'stream_1': ('stream_0',), 'stream_2': ('stream_0', 'stream_1'), 'tracked_1': ('tracked_0',)}


def test_the_golden_packets_are_of_the_shipped_profile():
    assert DOCUMENT['profile'] == PROFILE.content_hash.hex(), (
        'the profile was trained anew: run python test/golden/regenerate.py')
    assert {path.stem for path in FOLDER.glob('*.gsc')} == set(DOCUMENT['packets'])


@pytest.mark.parametrize('name', DOCUMENT['packets'])
def test_a_golden_packet_decodes_to_its_symbols(name):
    expected = DOCUMENT['packets'][name]
    payload = (FOLDER / f'{name}.gsc').read_bytes()
    packet = wire.parse(payload)
    for before in FOLLOWED.get(name, ()):
        DECODER.decode((FOLDER / f'{before}.gsc').read_bytes())
    assert wire.serialize(packet) == payload
    read = DECODER.read(payload)
    found = {
        'bytes': len(payload), 'width': packet.width, 'height': packet.height,
        'channels': list(packet.channels), 'quantizer': packet.quantizer, 'seed': packet.seed,
        'stream_reference': packet.stream_reference,
        'caption': text.decompress(packet.text), 'caption_id': packet.caption_id,
        'symbols_sha256': hashlib.sha256(
            read.symbols.astype('<i2').tobytes()).hexdigest(),
        'objects': packet.objects.hex(),
        'regions_sha256': None if read.scene is None else digest(read.scene.regions)}
    assert found == expected
    picture = DECODER.render(read)
    assert len(picture.regions) == packet.region_count
    assert picture.image.shape == (packet.height, packet.width, 3)
