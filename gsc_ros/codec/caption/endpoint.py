# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A captioner behind an OpenAI-compatible endpoint, such as vLLM or llama.cpp serve.

Nothing that the endpoint does can do harm: every request has a time limit as a whole, an answer is
read only up to a bound, and trouble that may pass is tried again after a growing pause.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
import http.client
import json
import math
import os
import random
import socket
import threading
import time
from urllib.parse import urlsplit

import cv2
from gsc_ros.codec.caption.captioner import CaptionerSettings
from gsc_ros.codec.caption.line import one_line
from gsc_ros.codec.caption.thumbnail import fit_pixels
from gsc_ros.codec.error import CaptionError
import numpy as np

# The only place that the key is taken from. Not OPENAI_API_KEY: a key for one service must not go
# to whatever address a parameter names.
API_KEY_VARIABLE = 'GSC_CAPTION_API_KEY'

MAX_IMAGE_BYTES = 512 * 1024
MAX_RESPONSE_BYTES = 64 * 1024
JPEG_QUALITY = 85
# Pauses between attempts grow from the first to the longest, in seconds.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
# An endpoint that asks for more patience than this gets it between captions, not within one.
LONGEST_WAIT_S = 60.0
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class _PassingError(Exception):
    """An attempt has failed in a way that may pass; `wait_s` is what the endpoint asks for."""

    def __init__(self, reason: str, wait_s: float = 0.0):
        super().__init__(reason)
        self.wait_s = wait_s


class EndpointCaptioner:
    """Asks the model of an endpoint, one request at a time."""

    def __init__(self, settings: CaptionerSettings):
        """
        Check the settings; nothing is sent yet.

        :raises CaptionError: when the URL is not one of http or https, or no model is named.
        """
        try:
            url = urlsplit(settings.url)
            self._address = url.hostname or '', url.port
        except ValueError as error:
            raise CaptionError(f'{settings.url!r} is no URL: {error}') from error
        plain = not (url.username or url.password or url.query or url.fragment)
        if url.scheme not in ('http', 'https') or not self._address[0] or not plain:
            raise CaptionError(f'{settings.url!r} is not of the form http[s]://HOST[:PORT]/PATH')
        if not settings.model:
            raise CaptionError('the captioner needs the name of a model')
        self._connection_class = (
            http.client.HTTPSConnection if url.scheme == 'https' else http.client.HTTPConnection)
        self._path = url.path.rstrip('/') + '/chat/completions'
        self._settings = settings
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._not_before_s = -math.inf

    def describe(self, image: np.ndarray) -> str:
        """Return what the endpoint says of the image; see Captioner."""
        body = self._question(image)
        for attempt in range(1, self._settings.attempts + 1):
            if self._closing.is_set():
                raise CaptionError('the captioner is closed')
            if time.monotonic() < self._not_before_s:
                raise CaptionError('the endpoint has asked for patience')
            try:
                return one_line(_content(self._ask(body)), self._settings.max_characters)
            except _PassingError as error:
                if attempt == self._settings.attempts:
                    self._not_before_s = time.monotonic() + error.wait_s
                    raise CaptionError(f'{error}, {attempt} times') from error
                if error.wait_s > LONGEST_WAIT_S:
                    self._not_before_s = time.monotonic() + error.wait_s
                    raise CaptionError(f'{error}, for {error.wait_s:.0f} s') from error
                self._closing.wait(max(error.wait_s, _pause_s(attempt)))
        raise AssertionError('there is at least one attempt')

    def close(self) -> None:
        """Break off the request that is under way."""
        self._closing.set()
        self._break_off()

    def _question(self, image: np.ndarray) -> bytes:
        settings = self._settings
        jpeg = base64.b64encode(_jpeg(
            fit_pixels(image, settings.min_pixels, settings.max_pixels))).decode('ascii')
        return json.dumps({
            'model': settings.model, 'max_tokens': settings.max_tokens, 'temperature': 0,
            'messages': [{'role': 'user', 'content': [
                {'type': 'image_url', 'image_url': {'url': f'data:image/jpeg;base64,{jpeg}'}},
                {'type': 'text', 'text': settings.prompt}]}],
        }).encode('ascii')

    def _ask(self, body: bytes) -> bytes:
        """Return the body of a successful answer."""
        headers = {'Content-Type': 'application/json', 'Accept': 'application/json'}
        key = os.environ.get(API_KEY_VARIABLE)
        if key:
            headers['Authorization'] = f'Bearer {key}'
        connection = self._connection_class(*self._address, timeout=self._settings.timeout_s)
        late = threading.Event()
        trouble: Exception | None = None
        try:
            with self._limited(connection, late):
                connection.request('POST', self._path, body, headers)
                response = connection.getresponse()
                data = response.read(MAX_RESPONSE_BYTES + 1)
        # A connection that is broken off under a reader makes that reader raise ValueError.
        except (OSError, http.client.HTTPException, ValueError) as error:
            trouble = error
        finally:
            connection.close()
        # What was broken off may look like a short answer.
        if self._closing.is_set():
            raise CaptionError('the captioner is closed')
        if late.is_set() or isinstance(trouble, TimeoutError):
            raise _PassingError(f'no answer from {self._address[0]}: it took too long')
        if trouble is not None:
            # An exception quotes what came, which may be anything.
            reason = one_line(str(trouble), 200) or type(trouble).__name__
            raise _PassingError(f'no answer from {self._address[0]}: {reason}') from trouble
        if response.status in PASSING_STATUSES:
            raise _PassingError(
                f'the endpoint answers {response.status}',
                _retry_after_s(response.getheader('Retry-After', '')))
        if response.status != 200:
            raise CaptionError(f'the endpoint answers {response.status}: '
                               + one_line(data.decode('utf-8', 'replace'), 200))
        if len(data) > MAX_RESPONSE_BYTES:
            raise CaptionError(f'the answer is longer than {MAX_RESPONSE_BYTES} bytes')
        return data

    @contextmanager
    def _limited(
        self, connection: http.client.HTTPConnection, late: threading.Event,
    ) -> Iterator[None]:
        """Connect, and break off when the whole exchange exceeds its time; `late` is set then."""
        started = time.monotonic()
        connection.connect()
        with self._lock:
            self._socket = connection.sock
        if self._closing.is_set():
            self._break_off()

        def expire() -> None:
            late.set()
            self._break_off()

        # The time-out of a socket holds for each byte: one byte now and then would last for ever.
        timer = threading.Timer(
            max(0.0, started + self._settings.timeout_s - time.monotonic()), expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._socket = None

    def _break_off(self) -> None:
        with self._lock:
            if self._socket is None:
                return
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                pass


def _content(data: bytes) -> str:
    """Return the text of a chat completion."""
    try:
        content = json.loads(data)['choices'][0]['message']['content']
    # RecursionError: brackets nested ever deeper.
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CaptionError('the answer is no chat completion') from error
    if not isinstance(content, str):
        raise CaptionError('the answer holds no text')
    return content


def _jpeg(image: np.ndarray) -> bytes:
    """Return the image as a JPEG of limited size, made smaller until it is."""
    while True:
        done, data = cv2.imencode(
            '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise CaptionError('the picture cannot be made a JPEG')
        if len(data) <= MAX_IMAGE_BYTES:
            return data.tobytes()
        image = fit_pixels(image, 1, image.shape[0] * image.shape[1] // 2)


def _pause_s(attempt: int) -> float:
    """Return how long to pause after a failed attempt, the first being 1; at random within 2."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def _retry_after_s(header: str) -> float:
    """Return the seconds that a Retry-After header asks for: a number, or a date; 0 for neither."""
    try:
        return float(min(max(0, int(header)), 24 * 3600))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    wait_s = (date - datetime.now(timezone.utc)).total_seconds()
    return min(max(0.0, wait_s), 24 * 3600.0)
