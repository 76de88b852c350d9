# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A captioner behind an HTTP endpoint survives whatever the endpoint does."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
import socket
import threading
import time

from caption_endpoint import Answer, complete, Endpoint, say, serving
from codec_image import picture
import cv2
from gsc_ros.codec.caption import endpoint as module
from gsc_ros.codec.caption.captioner import Captioner, CaptionerName, CaptionerSettings
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.error import CaptionError
import numpy as np
import pytest

IMAGE = picture(120, 200)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Make the pauses of our own short; those that an endpoint asks for stay."""
    monkeypatch.setattr(module, 'FIRST_PAUSE_S', 0.02)
    monkeypatch.delenv(module.API_KEY_VARIABLE, raising=False)


@contextmanager
def asking(*answers: Answer, **settings) -> Iterator[tuple[Captioner, Endpoint]]:
    with serving(*answers) as endpoint:
        yield open_captioner(CaptionerName.OPENAI, CaptionerSettings(
            **{'url': endpoint.url, 'model': 'a-model', 'timeout_s': 10.0} | settings)), endpoint


def test_the_endpoint_gets_prompt_and_picture_and_its_answer_is_the_caption(monkeypatch):
    with asking(complete(' A wall.\nA rock.'), prompt='What is it?', max_tokens=7) as (
            captioner, endpoint):
        assert captioner.describe(IMAGE) == 'A wall. A rock.'
    request = endpoint.requests[0]
    assert request.path == '/v1/chat/completions'
    assert 'Authorization' not in request.headers
    assert {name: request.body[name] for name in ('model', 'max_tokens', 'temperature')} == {
        'model': 'a-model', 'max_tokens': 7, 'temperature': 0}
    shown, told = request.body['messages'][0]['content']
    assert told == {'type': 'text', 'text': 'What is it?'}
    kind, _, data = shown['image_url']['url'].partition(',')
    assert kind == 'data:image/jpeg;base64'
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(seen[..., ::-1].astype(int) - IMAGE).mean() < 8


def test_the_key_comes_from_the_environment_alone(monkeypatch):
    monkeypatch.setenv(module.API_KEY_VARIABLE, 'secret')
    with asking(complete('A wall.')) as (captioner, endpoint):
        captioner.describe(IMAGE)
    assert endpoint.requests[0].headers['Authorization'] == 'Bearer secret'


def test_a_picture_is_limited_in_pixels_and_bytes():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    with asking(complete('Noise.'), max_pixels=3_000_000) as (captioner, endpoint):
        captioner.describe(noise)
    url = endpoint.requests[0].body['messages'][0]['content'][0]['image_url']['url']
    assert len(url) <= 4 * module.MAX_IMAGE_BYTES / 3 + 100


def test_an_endpoint_that_is_busy_is_asked_again_when_it_says():
    with asking(say('busy', 429, Retry_After='1'), complete('A wall.')) as (captioner, endpoint):
        assert captioner.describe(IMAGE) == 'A wall.'
    first, second = endpoint.requests
    assert 1.0 <= second.time_s - first.time_s < 5.0


def test_an_endpoint_that_wants_long_patience_is_left_alone_for_so_long():
    later = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    for wait in ('3600', later):
        with asking(say('busy', 429, Retry_After=wait)) as (captioner, endpoint):
            with pytest.raises(CaptionError, match='answers 429, for 3[56]'):
                captioner.describe(IMAGE)
            with pytest.raises(CaptionError, match='asked for patience'):
                captioner.describe(IMAGE)
            assert len(endpoint.requests) == 1


def test_trouble_that_passes_is_not_noticed():
    with asking(say('', 500), say('', 503), complete('A wall.')) as (captioner, endpoint):
        assert captioner.describe(IMAGE) == 'A wall.'
    assert len(endpoint.requests) == 3


def test_trouble_that_stays_is_given_up():
    with asking(say('', 500), attempts=2) as (captioner, endpoint):
        with pytest.raises(CaptionError, match='answers 500, 2 times'):
            captioner.describe(IMAGE)
        assert len(endpoint.requests) == 2


@pytest.mark.parametrize('status', [301, 400, 401, 404])
def test_a_refusal_is_repeated_with_its_reason_and_not_tried_again(status):
    with asking(say('no\x1b[2J such model', status, Location='http://x/')) as (
            captioner, endpoint):
        with pytest.raises(CaptionError, match=rf'answers {status}: no\[2J such model'):
            captioner.describe(IMAGE)
        assert len(endpoint.requests) == 1


@pytest.mark.parametrize('body', [
    '', 'garbage', '[]', '{}', '{"choices": []}', '{"choices": [7]}', 'null', '[' * 60_000,
    '{"choices": [{"message": {"content": null}}]}', '{"choices": {"0": 1}}', '"\ud7ff"',
    '{"choices": [{"message": {"content": 5}}]}'])
def test_an_answer_that_is_none_is_an_error(body):
    with asking(say(body)) as (captioner, _):
        with pytest.raises(CaptionError, match=r'no chat completion|holds no text'):
            captioner.describe(IMAGE)


def clatter(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b'\x1b[2J no\0 HTTP\r\n\r\n')
    handler.close_connection = True


def test_what_is_not_http_is_quoted_as_one_printable_line():
    with asking(clatter, attempts=1) as (captioner, _):
        with pytest.raises(CaptionError) as caught:
            captioner.describe(IMAGE)
    assert '[2J no HTTP' in str(caught.value)
    assert str(caught.value).isprintable()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b' ' * 65536)


def test_an_endless_answer_is_read_only_up_to_a_bound():
    with asking(endless) as (captioner, _):
        with pytest.raises(CaptionError, match='longer than'):
            captioner.describe(IMAGE)


def silence(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.0)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header('Content-Length', '1000')
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b' ')
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\n')
    for number in range(100):
        handler.wfile.write(f'X-{number}: y\r\n'.encode())
        time.sleep(0.05)


@pytest.mark.parametrize('answer', [silence, drip, drip_headers])
def test_a_request_has_a_time_limit_as_a_whole(answer):
    with asking(answer, timeout_s=0.3, attempts=2) as (captioner, endpoint):
        start = time.monotonic()
        with pytest.raises(CaptionError, match='it took too long, 2 times'):
            captioner.describe(IMAGE)
        assert time.monotonic() - start < 3.0
        assert len(endpoint.requests) == 2


def test_an_endpoint_that_is_not_there_is_an_error():
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        captioner = open_captioner(CaptionerName.OPENAI, CaptionerSettings(
            url=f'http://127.0.0.1:{unused.getsockname()[1]}/v1', model='a-model'))
        with pytest.raises(CaptionError, match=r'no answer from 127\.0\.0\.1: .*refused, 3 times'):
            captioner.describe(IMAGE)


def test_closing_breaks_off_a_request():
    with asking(drip, timeout_s=60.0) as (captioner, endpoint):
        closer = threading.Timer(0.3, captioner.close)
        closer.start()
        start = time.monotonic()
        with pytest.raises(CaptionError, match='closed'):
            captioner.describe(IMAGE)
        assert time.monotonic() - start < 3.0
        with pytest.raises(CaptionError, match='closed'):
            captioner.describe(IMAGE)
        assert len(endpoint.requests) == 1


def test_closing_breaks_off_a_pause():
    with asking(say('', 429, Retry_After='50')) as (captioner, _):
        threading.Timer(0.3, captioner.close).start()
        start = time.monotonic()
        with pytest.raises(CaptionError, match='closed'):
            captioner.describe(IMAGE)
        assert time.monotonic() - start < 5.0


@pytest.mark.parametrize('url', [
    '', 'localhost:8000', 'ftp://host/v1', 'http://', 'http://me:pw@host/v1', 'http://host:x/v1',
    'http://host:99999/v1', 'http://host/v1?a=b', 'http://[::1/v1'])
def test_a_url_that_is_none_of_http_is_refused(url):
    with pytest.raises(CaptionError, match='URL|of the form'):
        open_captioner(CaptionerName.OPENAI, CaptionerSettings(url=url, model='a-model'))
