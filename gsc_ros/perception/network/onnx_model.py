# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opening an ONNX file with ONNX Runtime."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gsc_ros.perception.network.network import NetworkError, NetworkSettings
import onnxruntime


def model_file(settings: NetworkSettings, name: str, what: str) -> Path:
    """
    Return the file that the settings name.

    :param name: of the network, and `what` it wants, for the message.
    :raises NetworkError: none is named, or it is not there.
    """
    if settings.model is None:
        raise NetworkError(f'{name} needs a file: {what}')
    path = Path(settings.model).expanduser()
    if not path.is_file():
        raise NetworkError(f'{path}: no such file; {name} wants {what}')
    return path


class OnnxModel:
    """
    An ONNX network in a session of its own.

    :param path: its file; weights in files beside it are found, too.
    :raises NetworkError: it cannot be read, or the device is not there.
    """

    def __init__(self, path: Path, settings: NetworkSettings) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.log_severity_level = 3
        try:
            self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=_providers(settings.device))
        except OSError as error:
            raise NetworkError(f'{path}: {error.strerror}') from error
        except NetworkError:
            raise
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise NetworkError(f'{path}: not an ONNX network: {error}'.split('\n')[0]) from error
        self.path = path
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self.metadata = dict(self.session.get_modelmeta().custom_metadata_map)


def _providers(device: str) -> list:
    available = onnxruntime.get_available_providers()
    if device == 'cpu' or device == 'auto' and 'CUDAExecutionProvider' not in available:
        return ['CPUExecutionProvider']
    kind, _, number = device.partition(':')
    if kind not in ('auto', 'cuda') or number and not number.isdecimal():
        raise NetworkError(f'{device!r} is no device: cpu, cuda, cuda:1 ... or auto')
    if 'CUDAExecutionProvider' not in available:
        raise NetworkError(f'device {device}: this ONNX Runtime has no CUDA; '
                           'try: pip install onnxruntime-gpu')
    return [('CUDAExecutionProvider', {'device_id': int(number or 0)}), 'CPUExecutionProvider']
