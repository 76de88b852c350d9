# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write the golden packets anew, with the profile `tiny` as it is now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import sys

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parent), str(FOLDER.parent.parent)]

from codec_image import picture  # noqa: E402
from golden_region import digest, region_packets  # noqa: E402
from gsc_ros.codec import packet as wire  # noqa: E402
from gsc_ros.codec import text  # noqa: E402
from gsc_ros.codec.frame import EncoderSettings, FrameDecoder, FrameEncoder  # noqa: E402
from gsc_ros.codec.profile import load_profile  # noqa: E402
from gsc_ros.codec.region.region import KeyRegion  # noqa: E402
from gsc_ros.codec.region.setting import RegionSettings  # noqa: E402
from gsc_ros.codec.selection import Selection  # noqa: E402
import numpy as np  # noqa: E402

CASES = {
    'ordinary': ((352, 1216), EncoderSettings()),
    'one_channel': ((352, 1216), EncoderSettings(channels=1)),
    'all_channels': ((200, 320), EncoderSettings(channels=320, quantizer=0)),
    'finest': ((96, 160), EncoderSettings(channels=64, quantizer=-1)),
    'selected': ((200, 320), EncoderSettings(channels=16, selection=Selection.SSIM, seed=200)),
    'caption': ((120, 97), EncoderSettings(channels=4, caption='A rover, a rock and a hill. ' * 3)),
    'unicode': ((16, 16), EncoderSettings(channels=2, caption='Öde 荒野', caption_id=77)),
    'as_before': ((64, 64), EncoderSettings(channels=4, caption_id=77, caption_reference=True)),
    'limited': ((480, 640), EncoderSettings(channels=320, max_bytes=400)),
}

OBJECTS = (
    KeyRegion((10, 20, 60, 90), source='detector', class_id=2, score=0.9),
    KeyRegion((200.5, 0, 400, 33), source='detector', class_id=255, score=0.2))


def main() -> None:
    """Encode every case, and a cut one, and describe what they decode to."""
    profile = load_profile('tiny')
    encoder, decoder = FrameEncoder(profile), FrameDecoder(profile)
    fresh = FrameEncoder(profile)
    for old in FOLDER.glob('*.gsc'):
        old.unlink()
    payloads = {}
    for name, (size, settings) in CASES.items():
        if settings.quantizer == -1:
            settings = EncoderSettings(
                channels=settings.channels, quantizer=profile.manifest.quantizers - 1)
        frame = encoder.encode(picture(*size, seed=len(payloads)), settings)
        payloads[name] = frame.payload
        if name == 'ordinary':
            payloads['cut'] = wire.cut(frame.payload, 5, frame.layer_ends)
    turning = picture(200, 340, seed=99)
    for number in range(3):
        view = np.ascontiguousarray(turning[:, 5 * number:5 * number + 320])
        payloads[f'stream_{number}'] = fresh.encode(
            view, EncoderSettings(channels=320, quantizer=number, stream=True)).payload
    payloads['objects'] = encoder.encode(
        picture(200, 320, seed=98), EncoderSettings(channels=4, regions=RegionSettings(most=0)),
        OBJECTS).payload
    payloads |= region_packets(profile)
    entries = {}
    for name, payload in payloads.items():
        (FOLDER / f'{name}.gsc').write_bytes(payload)
        packet = wire.parse(payload)
        symbols = decoder.decode_symbols(packet).astype('<i2').tobytes()
        scene = decoder.read(payload).scene
        entries[name] = {
            'bytes': len(payload), 'width': packet.width, 'height': packet.height,
            'channels': list(packet.channels), 'quantizer': packet.quantizer, 'seed': packet.seed,
            'stream_reference': packet.stream_reference,
            'caption': text.decompress(packet.text), 'caption_id': packet.caption_id,
            'symbols_sha256': hashlib.sha256(symbols).hexdigest(),
            'objects': packet.objects.hex(),
            'regions_sha256': None if scene is None else digest(scene.regions)}
    document = {'profile': profile.content_hash.hex(), 'packets': entries}
    (FOLDER / 'packets.json').write_text(json.dumps(document, indent=1) + '\n', encoding='utf-8')
    print(f'{len(entries)} packets, {sum(map(len, payloads.values()))} bytes')


if __name__ == '__main__':
    main()
