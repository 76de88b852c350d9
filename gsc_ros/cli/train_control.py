# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Train what steers a generator.

    gsc train mix --kitti DIR --coco DIR ... --output mix.jsonl      choose the paper's images
    gsc train control --base DIR --data mix.jsonl --output DIR       train the control branch

docs/train_control.md has the commands for one large GPU and for several machines.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
import sys
from typing import TYPE_CHECKING

from gsc_ros.cli.captioner import add_captioner_arguments
from gsc_ros.cli.error import DataError as CommandDataError
from gsc_ros.cli.error import UsageError
from gsc_ros.cli.number import bounded
from gsc_ros.cli.progress import track
from gsc_ros.codec.caption.captioner import CaptionerName, CaptionerSettings
from gsc_ros.codec.caption.opening import open_captioner
from gsc_ros.codec.error import CaptionError, GeneratorError, ProfileError

if TYPE_CHECKING:
    from gsc_ros.training.generator.control import ControlTrainer
    from gsc_ros.training.generator.session import BranchPlan, DataPlan, RunPlan

CONFIGURATIONS = ('flux-dev', 'flux-schnell', 'tiny')
DATASETS = ('kitti', 'flickr30k', 'coco', 'inaturalist')
CHANNELS = ('1', '2', '4', '8', '16', 'random', 'any')


def add_mix_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train mix``."""
    for dataset in DATASETS:
        parser.add_argument(f'--{dataset}', type=Path, default=None, metavar='DIR',
                            help=f'where {dataset} was unpacked')
    parser.add_argument('--count', type=bounded(int, 1, 10 ** 7), default=5000,
                        help='images of each dataset')
    parser.add_argument('--seed', type=int, default=1, help='which images')
    add_captioner_arguments(
        parser, 'who describes images without a caption; else they stay without', default=None)
    parser.add_argument('--caption-anew', action='store_true',
                        help='describe images with a caption, too')
    parser.add_argument('--output', type=Path, required=True,
                        help='the manifest to write, .jsonl: image, dataset and caption a line')


def add_control_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gsc train control``."""
    _add_model_arguments(parser.add_argument_group('model'))
    _add_data_arguments(parser.add_argument_group('data'))
    _add_run_arguments(parser.add_argument_group('run'))


def _add_model_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--base', type=Path, required=True, metavar='DIR',
                       help='frozen generator, a directory in the layout of the Hugging Face hub')
    group.add_argument('--config', choices=CONFIGURATIONS, default='flux-dev',
                       help='what kind of generator it is')
    group.add_argument('--multi', type=bounded(int, 0, 64), default=None, metavar='M',
                       help='multi-stream blocks to copy; default: of the kind, 4 for FLUX')
    group.add_argument('--single', type=bounded(int, 0, 64), default=None, metavar='S',
                       help='single-stream blocks to copy; default: of the kind, 2 for FLUX')
    group.add_argument('--picture', action=argparse.BooleanOptionalAction, default=None,
                       help="guide with the structure decoder's picture, too (needs --crop)")
    group.add_argument('--level', action=argparse.BooleanOptionalAction, default=None,
                       help="guide with the quantizer's level, too")
    group.add_argument('--detector', type=Path, default=None, metavar='FILE',
                       help='guide with the list of objects, too: those that this detector (ONNX) '
                       'finds in the images')
    group.add_argument('--lora-rank', type=bounded(int, 0, 4096), default=0, metavar='R',
                       help='train adapters of this rank instead of a full copy; 0: full copy')
    group.add_argument('--lora-alpha', type=bounded(float, 1e-6, 1e6), default=None, metavar='A',
                       help='factor of the adapters, times the rank; default: the rank')
    group.add_argument('--structure-profile', default='tiny', metavar='NAME|DIR',
                       help='structure profile whose latents guide')
    group.add_argument('--channels', choices=CHANNELS, default='4',
                       help='channels of the latent that are sent; random: 1, 2, 4, 8 or 16 by '
                       'turns, for one model that serves all; any: any number up to 320')
    group.add_argument('--selection', choices=('ssim', 'ordered'), default='ssim',
                       help='which channels: those most similar to the image, or the first')
    group.add_argument('--quantizers', default='', metavar='Q|Q-Q',
                       help="quantizer, or first and last to draw from; default: the profile's")


def _add_data_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--data', nargs='+', type=Path, required=True,
                       help='folders of images, captions files (.jsonl, .csv) that name images; '
                       'with --crop folders and tar packs of images')
    group.add_argument('--captions', nargs='*', type=Path, default=[],
                       help='captions files for images of the folders')
    group.add_argument('--caption-template', default='', metavar='TEXT',
                       help='caption of images without one; {folder} is the name of their folder')
    group.add_argument('--cache', type=Path, default=None, metavar='DIR',
                       help='where latents and embedded captions are kept; default: in --output')
    group.add_argument('--max-pixels', type=bounded(int, 1024, 1 << 26), default=1216 * 352,
                       help='larger images are scaled down to this area')
    group.add_argument('--crop', type=bounded(int, 0, 4096), default=0, metavar='PIXELS',
                       help='train on augmented square crops made on the fly, without a cache')
    group.add_argument('--hold-out', type=bounded(int, 0, 10 ** 6), default=0, metavar='N',
                       help='images to validate on instead')
    group.add_argument('--drop-text', type=bounded(float, 0, 1), default=0.0,
                       help='share of the captions to leave out')
    group.add_argument('--drop-objects', type=bounded(float, 0, 1), default=0.3,
                       help='share of the lists of objects to leave out')


def _add_run_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--output', type=Path, required=True, metavar='DIR',
                       help='for control.safetensors, the state, samples and logs')
    group.add_argument('--resume', action='store_true', help='go on from the state in --output')
    group.add_argument('--start', type=Path, default=None, metavar='FILE',
                       help='control file whose weights a new run starts from')
    group.add_argument('--steps', type=int, default=15_000, help='updates at most')
    group.add_argument('--minutes', type=float, default=float('inf'),
                       help='minutes of training at most')
    group.add_argument('--rate', type=float, default=4e-5, help='learning rate of AdamW')
    group.add_argument('--weight-decay', type=float, default=0.01, help='of AdamW')
    group.add_argument('--batch', type=int, default=1, help='images of a batch, in each process')
    group.add_argument('--accumulation', type=int, default=4, help='batches of an update')
    group.add_argument('--warmup', type=int, default=0, help='steps until the full rate')
    group.add_argument('--cosine', action='store_true', help='let the rate fall to the end')
    group.add_argument('--times', choices=('uniform', 'logit-normal'), default='uniform',
                       help='how noise levels are drawn')
    group.add_argument('--average', type=float, default=0.999,
                       help='decay of the averaged weights; 0: none')
    group.add_argument('--precision', choices=('no', 'bf16'), default='bf16',
                       help='mixed precision; frozen weights are kept in it')
    group.add_argument('--checkpointing', action=argparse.BooleanOptionalAction, default=None,
                       help='gradient checkpointing; default: for FLUX')
    group.add_argument('--save-steps', type=int, default=1000, help='steps between checkpoints')
    group.add_argument('--sample-steps', type=int, default=1000,
                       help='steps between sample pictures')
    group.add_argument('--samples', type=bounded(int, 0, 64), default=4, help='sample pictures')
    group.add_argument('--log-steps', type=int, default=10, help='steps between reports')
    group.add_argument('--seed', type=int, default=1, help='seed of everything random')
    group.add_argument('--threads', type=int, default=0, help='CPU threads, 0: as torch decides')


def run_mix(args: argparse.Namespace) -> int:
    """
    Choose images and write the manifest.

    :raises UsageError: when no dataset is named.
    :raises CommandDataError: when one is not as expected.
    """
    from gsc_ros.training.data import DataError
    from gsc_ros.training.generator.mix import described, sample_mix, write_manifest

    roots = {name: getattr(args, name) for name in DATASETS if getattr(args, name)}
    if not roots:
        raise UsageError(f'name at least one of {", ".join("--" + name for name in DATASETS)}')
    try:
        mix = sample_mix(roots, args.count, args.seed)
        if args.captioner:
            captioner = open_captioner(CaptionerName(args.captioner), CaptionerSettings(
                model=args.caption_model, url=args.caption_url))
            mix = list(track(described(
                mix, roots, args.output.with_suffix('.captions.jsonl'), captioner,
                args.caption_anew), 'captions', len(mix)))
        write_manifest(mix, roots, args.output)
    except (DataError, CaptionError, OSError) as error:
        raise CommandDataError(str(error)) from error
    named = sum(bool(image.caption) for image in mix)
    print(f'{args.output}: {len(mix)} images of {", ".join(roots)}, {named} of them with a '
          'caption', file=sys.stderr)
    return 0


def run_control(args: argparse.Namespace) -> int:
    """
    Train a control branch.

    :raises UsageError: when a package is missing, or the call makes no sense.
    :raises CommandDataError: when a file is bad.
    """
    try:
        session = import_module('gsc_ros.training.generator.session')
    except ModuleNotFoundError as error:
        raise UsageError(f"needs {error.name}, which is not installed; try: "
                         "pip install 'gsc_ros[train,flux]'") from error
    from gsc_ros.training.data import DataError
    from safetensors import SafetensorError
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        branch, data, run = plans(args)
        with ControlProgress(run.settings.steps) as progress:
            trainer = session.train(branch, data, run, progress)
    except (DataError, GeneratorError, ProfileError, OSError, SafetensorError) as error:
        raise CommandDataError(str(error)) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    if trainer.accelerator.is_main_process:
        print(f'{trainer.step} steps, {trainer.seconds:.0f} s: '
              f'{args.output / "control.safetensors"}', file=sys.stderr)
    return 0


def plans(args: argparse.Namespace) -> tuple[BranchPlan, DataPlan, RunPlan]:
    """
    Return what the arguments ask for.

    :raises ValueError: when a value is out of its range.
    """
    from gsc_ros.codec.generator.flux.control_file import LoraShape
    from gsc_ros.codec.selection import Selection
    from gsc_ros.training.generator.batch import BatchSettings
    from gsc_ros.training.generator.control import ControlSettings
    from gsc_ros.training.generator.flow import Times
    from gsc_ros.training.generator.session import BranchPlan, DataPlan, RunPlan
    from gsc_ros.training.generator.structure import PAPER_COUNTS, StructureSettings

    counts = {'random': PAPER_COUNTS, 'any': ()}.get(args.channels)
    structure = StructureSettings(
        counts=(int(args.channels),) if counts is None else counts,
        selection=Selection(args.selection), quantizers=quantizer_range(args.quantizers),
        drop_objects=args.drop_objects)
    lora = None
    if args.lora_rank:
        lora = LoraShape(args.lora_rank, float(args.lora_alpha or args.lora_rank))
    branch = BranchPlan(
        args.base, args.config, args.multi, args.single, args.picture, args.level, args.detector,
        lora, args.structure_profile, structure)
    data = DataPlan(
        tuple(args.data), tuple(args.captions), args.caption_template,
        args.cache or args.output / 'cache', args.max_pixels, args.crop, args.hold_out,
        BatchSettings(args.batch, args.drop_text, args.seed))
    checkpointing = args.config != 'tiny' if args.checkpointing is None else args.checkpointing
    settings = ControlSettings(
        steps=args.steps, minutes=args.minutes, rate=args.rate, weight_decay=args.weight_decay,
        accumulation=args.accumulation, warmup=args.warmup, cosine=args.cosine,
        average=args.average, times=Times(args.times), seed=args.seed, precision=args.precision,
        checkpointing=checkpointing, save_steps=args.save_steps, sample_steps=args.sample_steps,
        log_steps=args.log_steps)
    return branch, data, RunPlan(settings, args.output, args.resume, args.start, args.samples)


def quantizer_range(text: str) -> tuple[int, int] | None:
    """
    Return the quantizers that ``Q`` or ``Q-Q`` names; None for an empty text.

    :raises ValueError: when it is neither.
    """
    if not text:
        return None
    first, _, last = text.partition('-')
    try:
        return int(first), int(last or first)
    except ValueError:
        raise ValueError(f'--quantizers {text} is neither a number nor a range as 2-15') from None


class ControlProgress:
    """A bar on a terminal, lines elsewhere; both say when it will be done."""

    def __init__(self, steps: int) -> None:
        """Show progress towards ``steps`` on stderr."""
        import rich.console
        import rich.progress

        console = rich.console.Console(stderr=True)
        self._terminal = console.is_terminal
        self._bar = rich.progress.Progress(
            *rich.progress.Progress.get_default_columns(),
            rich.progress.TextColumn('{task.fields[figures]}'), console=console,
            disable=not self._terminal)
        self._task = self._bar.add_task('starting', total=None, figures='')
        self._steps = steps
        self._started: tuple[float, float] | None = None

    def __enter__(self) -> ControlProgress:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def caching(self, done: int, total: int) -> None:
        """Show how much is cached."""
        self._bar.update(self._task, description='caching', completed=done, total=max(total, 1))
        if not self._terminal and (done % 500 == 0 or done == total):
            self.note(f'cached {done} of {total}')

    def training(self, trainer: ControlTrainer, figures: dict[str, float]) -> None:
        """Show step, figures and the time that is left."""
        now = (trainer.seconds, trainer.progress())
        if self._started is None:
            self._started = now
            self._bar.reset(self._task, description='training', total=1.0)
        text = ' '.join(f'{name} {value:.3g}' for name, value in figures.items())
        self._bar.update(self._task, completed=trainer.progress(), figures=text)
        if not self._terminal:
            seconds, gone = (a - b for a, b in zip(now, self._started))
            left = f'{(1 - now[1]) * seconds / gone:.0f}' if gone > 0 else '?'
            self.note(f'step {trainer.step} of {self._steps}, {trainer.seconds:.0f} s, {left} s '
                      f'to go: {text}')

    def note(self, text: str) -> None:
        """Write a line."""
        self._bar.console.print(text, highlight=False) if self._terminal else print(
            text, file=sys.stderr, flush=True)
