# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real local HTTP server that speaks the protocol of OpenAI-compatible endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading
import time


@dataclass(frozen=True)
class Request:
    """What the server was asked, and when."""

    path: str
    headers: dict[str, str]
    body: dict
    time_s: float


# Answers one request; the last of them answers all that follow.
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Endpoint:
    """The address of the server, and what it was asked."""

    url: str = ''
    requests: list[Request] = field(default_factory=list)


def say(text: str, status: int = 200, **headers: str) -> Answer:
    """Return an answer with this body."""
    def answer(handler: BaseHTTPRequestHandler) -> None:
        data = text.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace('_', '-'), value)
        handler.send_header('Content-Length', str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
    return answer


def complete(caption: object) -> Answer:
    """Return an answer that is a chat completion."""
    return say(json.dumps({'id': 'x', 'object': 'chat.completion', 'choices': [
        {'index': 0, 'message': {'role': 'assistant', 'content': caption}}]}))


@contextmanager
def serving(*answers: Answer) -> Iterator[Endpoint]:
    """Run a server on a free port of this machine."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
            number = len(endpoint.requests)
            endpoint.requests.append(
                Request(self.path, dict(self.headers), body, time.monotonic()))
            try:
                answers[min(number, len(answers) - 1)](self)
            except OSError:  # the client has gone
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    endpoint.url = f'http://127.0.0.1:{server.server_port}/v1'
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
