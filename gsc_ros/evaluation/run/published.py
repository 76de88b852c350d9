# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Figures that the paper and summaries of it print, to stand beside ours.

Only what is in the text is here. The tables themselves (1 to 3) and the curves (figures 6 and 7)
are pictures in the paper, and what they hold beyond these sentences is not known here. A row that
has a rate and no figure is one whose rate alone is printed; which of two is better is then said in
words only (`claim`).

Sources: `paper`, Chen et al., Generative Semantic Coding for Ultra-Low Bitrate Visual Communication
and Analysis, arXiv 2510.27324; `summary`, a summary of it that quotes figures of its tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PAPER = 'arXiv 2510.27324'
_DEPTH = f'{PAPER}, section 4.2 (1)'
_SEGMENTATION = f'{PAPER}, section 4.2 (2)'
_DETECTION = f'{PAPER}, section 4.2 (3)'
_SETTINGS = f'{PAPER}, section 4.2'
_SUMMARY = f'summary of {PAPER}, results'


@dataclass(frozen=True)
class Figure:
    """
    A row that others have published.

    :param title: the method as the paper calls it.
    :param bpp: bits per pixel; None where none is printed.
    :param values: metric to value, in our units (shares, not percent); may be empty.
    :param source: where it is printed.
    :param claim: what the source says of it in words.
    """

    title: str
    bpp: float | None
    values: dict[str, float] = field(default_factory=dict)
    source: str = ''
    claim: str = ''


#: The task that a word's figures are of; those of None have rates alone.
PUBLISHED_TASK: dict[str, str | None] = {
    'kitti-depth': 'depth', 'hypersim': 'depth', 'cityscapes': 'segmentation',
    'coco': 'detection', 'kodak': 'images', 'nominal': None}
#: By the word that a run names the table with.
PUBLISHED: dict[str, tuple[Figure, ...]] = {
    'kitti-depth': (
        Figure('GSC, C = 1', 0.0069, {'delta1': 0.796}, f'{_DEPTH}; delta1: {_SUMMARY}',
               'better than PICS and MS-ILLM350'),
        Figure('GSC, C = 2', 0.0074, {}, _DEPTH, 'better than PerCo313'),
        Figure('PICS', 0.0235, {}, _DEPTH, 'worse than GSC, C = 1'),
        Figure('MS-ILLM350', 0.0539, {}, _DEPTH, 'worse than GSC, C = 1'),
        Figure('PerCo313', 0.0329, {}, _DEPTH, 'worse than GSC, C = 2'),
    ),
    'hypersim': (
        Figure('GSC, C = 8', 0.0043, {}, _DEPTH, 'better than all others but PerCo313'),
        Figure('GSC, C = 16', 0.0064, {}, _DEPTH, 'better than PerCo313'),
        Figure('PerCo313', 0.0313, {}, _DEPTH, 'worse than GSC, C = 16'),
    ),
    'cityscapes': (
        Figure('GSC, C = 1', 0.0011, {'pixel_accuracy': 0.8525},
               f'{_SEGMENTATION}; accuracy, taken for that of pixels: {_SUMMARY}',
               'better than directly generated'),
        Figure('GSC, C = 8', 0.0023, {}, _SEGMENTATION, 'better than all others'),
        Figure('PIC', 0.0020, {}, _SEGMENTATION, 'worse than directly generated'),
        Figure('PICS', 0.0038, {'pixel_accuracy': 0.6187}, _SUMMARY,
               'accuracy, taken for that of pixels'),
    ),
    'coco': (
        Figure('GSC', 0.0044, {'precision': 0.894}, _SUMMARY,
               'number of channels not printed beside it'),
        Figure('GSC, C = 4', None, {}, _DETECTION, 'better than the others with fewer bits'),
        Figure('MS-ILLM350', 0.0496, {'precision': 0.857}, _SUMMARY, ''),
        Figure('PIC', None, {}, _DETECTION, 'fewest bits of all; worse than directly generated'),
    ),
    'kodak': (
        Figure('GSC', None, {}, f'{PAPER}, section 4.2 (4), figure 6',
               'best of all in PSNR, MS-SSIM and LPIPS'),
    ),
    'nominal': (
        Figure('PerCo19', 0.0019, {}, _SETTINGS), Figure('PerCo313', 0.0313, {}, _SETTINGS),
        Figure('MS-ILLM20', 0.0020, {}, _SETTINGS), Figure('MS-ILLM40', 0.0040, {}, _SETTINGS),
        Figure('MS-ILLM350', 0.0350, {}, _SETTINGS),
    ),
}
