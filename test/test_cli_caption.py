# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gsc encode --caption auto` lets a captioner write."""

from __future__ import annotations

from pathlib import Path

from caption_endpoint import complete, say, serving
from codec_image import picture
from command_line import call
import cv2
from gsc_ros.codec.packet import parse
from gsc_ros.codec.text import decompress
import pytest


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Return a folder with two pictures of one scene and one of another."""
    folder = tmp_path / 'in'
    folder.mkdir()
    for number, seed in enumerate((0, 0, 5)):
        cv2.imwrite(str(folder / f'{number}.png'), picture(96, 128, seed))
    return folder


def encode(capsys, pictures: Path, *arguments: object):
    return call(capsys, 'encode', pictures, '-o', pictures.parent / 'out', '--channels', '2',
                '--json', *arguments)


def sent(pictures: Path) -> list[tuple[str, int | None]]:
    packets = [parse(path.read_bytes())
               for path in sorted((pictures.parent / 'out').rglob('*.gsc'))]
    return [(decompress(packet.text), packet.caption_id) for packet in packets]


def test_an_endpoint_describes_every_picture(capsys, pictures):
    with serving(complete('A wall.'), complete('A rock.'), complete('Sand.')) as endpoint:
        shown = encode(capsys, pictures, '--caption', 'auto', '--captioner', 'openai',
                       '--caption-url', endpoint.url, '--caption-model', 'a-model',
                       '--caption-prompt', 'What?').json
    assert [result['caption'] for result in shown['results']] == ['A wall.', 'A rock.', 'Sand.']
    assert sent(pictures) == [('A wall.', 0), ('A rock.', 0), ('Sand.', 0)]
    assert endpoint.requests[0].body['messages'][0]['content'][1]['text'] == 'What?'


def test_a_stream_is_described_when_its_scene_changes(capsys, pictures):
    with serving(complete('A wall.'), complete('A rock.')) as endpoint:
        shown = encode(capsys, pictures, '--caption', 'auto', '--captioner', 'openai', '--stream',
                       '--caption-url', endpoint.url, '--caption-model', 'a-model').json
    assert [result['caption'] for result in shown['results']] == ['A wall.', 'A wall.', 'A rock.']
    assert sent(pictures) == [('A wall.', 0), ('', 0), ('A rock.', 1)]


def test_a_stream_sends_a_text_once(capsys, pictures):
    encode(capsys, pictures, '--caption', 'a wall', '--stream')
    assert sent(pictures) == [('a wall', 0), ('', 0), ('', 0)]


def test_a_captioner_that_fails_is_bad_data(capsys, pictures):
    with serving(say('', 401)) as endpoint:
        done = encode(capsys, pictures, '--caption', 'auto', '--captioner', 'openai',
                      '--caption-url', endpoint.url, '--caption-model', 'a-model')
    assert (done.status, '0.png: the endpoint answers 401' in done.err) == (1, True)


def test_a_captioner_without_its_model_is_bad_data(capsys, pictures):
    done = encode(capsys, pictures, '--caption', 'auto', '--caption-model', '/nowhere')
    assert (done.status, 'there is no model' in done.err) == (1, True)
