# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The weights that learned image metrics need, and where they are looked for.

They come with no package and are nobody's to ship: a metric without its files is left out and said
to be missing, with the file that is wanted and where. Nothing is downloaded unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

_TORCHVISION = 'https://download.pytorch.org/models'
_PIQ = 'https://github.com/photosynthesis-team'


@dataclass(frozen=True)
class WeightFile:
    """
    A published file of weights.

    :param name: of the file.
    :param url: where its authors publish it.
    :param digest: what its SHA-256 begins with, in hexadecimal digits; None where the authors say
        nothing.
    """

    name: str
    url: str
    digest: str | None = None


VGG16 = WeightFile('vgg16-397923af.pth', f'{_TORCHVISION}/vgg16-397923af.pth', '397923af')
LPIPS = WeightFile('lpips_weights.pt', f'{_PIQ}/photosynthesis.metrics/releases/download/v0.4.0/'
                   'lpips_weights.pt')
DISTS = WeightFile('dists_weights.pt', f'{_PIQ}/piq/releases/download/v0.4.1/dists_weights.pt')
INCEPTION = WeightFile(
    'pt_inception-2015-12-05-6726825d.pth',
    'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/'
    'pt_inception-2015-12-05-6726825d.pth', '6726825d')


class WeightError(ValueError):
    """Weights are missing or damaged; the message names the file that is wanted."""


def cache_folder() -> Path:
    """Return where torch hub keeps what it downloads."""
    home = os.environ.get('TORCH_HOME') or Path(
        os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'torch'
    return Path(home) / 'hub' / 'checkpoints'


class WeightFolder:
    """
    A folder with files of weights.

    :param folder: None is torch hub's cache.
    :param download: whether missing files are fetched into it.
    """

    def __init__(self, folder: Path | None = None, download: bool = False) -> None:
        self.folder = folder or cache_folder()
        self._download = download

    def missing(self, *files: WeightFile) -> str | None:
        """Return which files are wanted and where, or None when they are there or may be got."""
        absent = [file.name for file in files if not (self.folder / file.name).is_file()]
        if not absent or self._download:
            return None
        return f'{" and ".join(absent)} not found in {self.folder}'

    def load(self, file: WeightFile) -> dict[str, Any] | list[Any]:
        """
        Return the tensors of a file, by name or in order.

        :raises WeightError: it is missing, cannot be fetched, or is no file of tensors.
        """
        import torch
        path = self.folder / file.name
        if not path.is_file():
            if not self._download:
                raise WeightError(self.missing(file))
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(file.url, str(path), file.digest, progress=False)
            except (OSError, RuntimeError) as error:
                raise WeightError(f'{file.url}: {error}') from error
        try:
            # Never what else a pickle may hold.
            return torch.load(path, map_location='cpu', weights_only=True)
        except Exception as error:  # zipfile, pickle and torch raise their own
            raise WeightError(f'{path}: not a file of tensors: {error}'.split('\n')[0]) from error
