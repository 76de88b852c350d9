# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Loading networks of transformers, from the Hugging Face hub or a local directory.

Weights are read from safetensors alone, and no code that comes with a model is run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
import hashlib
from pathlib import Path
from typing import Any

from gsc_ros.perception.network.network import NetworkError, NetworkSettings
import torch
import transformers

_READ_AT_ONCE = 1 << 20


class HubModel:
    """
    A model with its image processor, on its device.

    :param auto_class: the class of transformers that opens an architecture, by its `model_type`,
        such as AutoModelForDepthEstimation.
    :param default: the id on the hub where the settings name no model; None where they must.
    :raises NetworkError: it is not there, cannot be reached, or is of another kind.
    """

    def __init__(self, auto_class: Callable[[str], Any], settings: NetworkSettings,
                 default: str | None) -> None:
        source = settings.model or default
        if source is None:
            raise NetworkError('no model is named: give a local directory, or an id on the Hugging '
                               'Face hub')
        directory = _directory(source)
        self.device = _device(settings.device)
        self._threads = settings.threads
        options: dict[str, Any] = {'local_files_only': directory is not None,
                                   'trust_remote_code': False}
        transformers.utils.logging.disable_progress_bar()
        verbosity = transformers.utils.logging.get_verbosity()
        transformers.utils.logging.set_verbosity_error()
        try:
            kind = transformers.AutoConfig.from_pretrained(directory or source, **options)
            self.processor = transformers.AutoImageProcessor.from_pretrained(
                directory or source, **options)
            self.model, loading = auto_class(kind.model_type).from_pretrained(
                directory or source, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True, **options)
        # transformers raises whatever it meets, and the hub's client too.
        except Exception as error:
            raise NetworkError(_explained(source, directory, error)) from error
        finally:
            transformers.utils.logging.set_verbosity(verbosity)
        _require_weights(source, self.model, loading['missing_keys'])
        self.model = self.model.to(self.device).eval()
        self.config = self.model.config
        self.name = Path(source).name
        self.identity = _digest(directory) if directory else (
            f'{source} {getattr(self.config, "_commit_hash", None)}')

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of their numbers."""
        names = {int(number): str(name) for number, name in self.config.id2label.items()}
        return tuple(names.get(number, f'class {number}') for number in range(max(names) + 1))

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Compute without gradients, on as many threads as the settings say."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(threads)


def _directory(source: str) -> Path | None:
    """
    Return the local directory that is meant, or None when it is an id on the hub.

    :raises NetworkError: it can only be a directory, and is none, or has no model in it.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / 'config.json').is_file():
            raise NetworkError(f'{path}: holds no model of transformers: no config.json')
        return path
    if path.exists():
        raise NetworkError(f'{path}: is a file; a model of transformers is a directory')
    if path.is_absolute() or source.startswith(('.', '~')) or source.count('/') > 1:
        raise NetworkError(f'{path}: no such directory')
    return None


def _device(name: str) -> torch.device:
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError:
        raise NetworkError(f'{name!r} is no device: cpu, cuda, cuda:1 ... or auto') from None
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise NetworkError(f'device {name}: there are {torch.cuda.device_count()} GPUs that torch '
                           'can use')
    return device


def _require_weights(source: str, model: torch.nn.Module, missing: Collection[str]) -> None:
    """
    Refuse a model much of which is not in the file: transformers would make up the rest.

    :raises NetworkError: more than a hundredth of its numbers are missing.
    """
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    lost = sum(sizes.get(name, 0) for name in missing)
    if lost > sum(sizes.values()) / 100:
        raise NetworkError(f'{source}: has no weights for {lost} of {sum(sizes.values())} numbers '
                           f'of {type(model).__name__}; the first: {min(missing)}')


def _digest(directory: Path) -> str:
    """Return a digest of everything that the answers depend on: weights and settings."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        if path.suffix in ('.safetensors', '.json'):
            digest.update(path.name.encode())
            with path.open('rb') as file:
                while block := file.read(_READ_AT_ONCE):
                    digest.update(block)
    return digest.hexdigest()


def _explained(source: str, directory: Path | None, error: Exception) -> str:
    """Say in a line or two what is wrong and what can be done."""
    first = str(error).strip().split('\n')[0][:300]
    if directory is not None:
        return f'{directory}: cannot be opened: {type(error).__name__}: {first}'
    reasons = {type(cause).__name__ for cause in _causes(error)}
    by_hand = (f'run `hf download {source} --local-dir DIR` where there is network, and give DIR '
               'as the model')
    if 'GatedRepoError' in reasons:
        return (f'{source}: its authors give it only to those who accept their terms: do so at '
                f'https://huggingface.co/{source}, log in with `hf auth login`, and try again')
    if 'RepositoryNotFoundError' in reasons:
        return (f'{source}: no such model on the Hugging Face hub (or a private one: log in with '
                '`hf auth login`), and no local directory either')
    unreachable = {'LocalEntryNotFoundError', 'OfflineModeIsEnabled', 'ConnectionError',
                   'ConnectError', 'ConnectTimeout', 'ReadTimeout', 'HfHubHTTPError'}
    if reasons & unreachable or "couldn't connect" in str(error).lower():
        return (f'{source}: the Hugging Face hub cannot be reached, and the model has not been '
                f'downloaded before: {by_hand}')
    return f'{source}: cannot be opened: {type(error).__name__}: {first}'


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
