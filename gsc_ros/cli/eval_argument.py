# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the options of `gsc eval` to the values that a run in YAML has."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gsc_ros.cli.error import UsageError
from gsc_ros.cli.eval_caption import add_caption_parser
from gsc_ros.cli.number import bounded
from gsc_ros.evaluation.dataset.opening import LAYOUT_NAMES
from gsc_ros.evaluation.run.ablation import ablation_parts, AXES
from gsc_ros.evaluation.run.method import RunError
from gsc_ros.evaluation.run.spec import FIRST, SPREAD
from gsc_ros.evaluation.still_peer import STILL_PEERS
from gsc_ros.evaluation.task.depth import ALIGNMENTS
import yaml

PAPER_CHANNELS = '1,2,4,8,16'
#: Where the figures of the paper are of the same data set.
_PUBLISHED = {('depth', 'kitti-depth'): 'kitti-depth', ('depth', 'hypersim'): 'hypersim',
              ('segmentation', 'cityscapes'): 'cityscapes', ('detection', 'coco'): 'coco',
              ('images', 'kodak'): 'kodak'}
_DEFAULT_NETWORKS = {
    'depth': 'depth-anything-v2', 'segmentation': 'mask2former', 'detection': 'rt-detr'}
CAPTIONS = 'captions'
_HELP = {
    'depth': 'depth against ground truth, or against that of the originals (Table 1)',
    'segmentation': 'classes of pixels, likewise (Table 2)',
    'detection': 'objects, likewise (Table 3)',
    'images': 'PSNR, SSIM, MS-SSIM, VSI; LPIPS, DISTS, FID where their weights are (figure 6)',
    'ablation': 'one option of our codec after the other (section 4.3)',
    'bound': 'the bound on the rate under measured ones (section 3.4)',
    'report': 'a whole run: the one for the data of this project, or one in YAML (--config)',
    CAPTIONS: 'a caption for each picture, written by a captioner'}
REPORT_FILE = Path(__file__).parent.parent / 'evaluation' / 'run' / 'report.yaml'


def add_task_parsers(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each task."""
    tasks = parser.add_subparsers(dest='task', required=True, metavar='TASK')
    for task, words in _HELP.items():
        sub = tasks.add_parser(task, help=words, description=words[0].upper() + words[1:] + '.')
        if task == CAPTIONS:
            add_caption_parser(sub)
            continue
        _add_common(sub)
        if task == 'report':
            continue
        _add_data(sub)
        if task in _DEFAULT_NETWORKS:
            _add_network(sub, task)
        if task == 'images':
            _add_weights(sub)
        if task == 'bound':
            _add_bound(sub)
        if task == 'ablation':
            _add_ablation(sub)
        else:
            _add_methods(sub)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('input', metavar='DATA', nargs='?',
                        help='folder of a data set in its official layout, or any folder of '
                        'images, drive, video or bag; in YAML, it is $DATA')
    parser.add_argument('-o', '--output', type=Path, required=True, metavar='REPORT_DIR',
                        help='where the report goes, and where it goes on after a stop')
    parser.add_argument('--config', type=Path, metavar='FILE',
                        help='a run in YAML, in the place of all options but those of this group')
    parser.add_argument('--frames', type=bounded(int, 1, 1_000_000), metavar='N',
                        help='pictures at most, in each part of the run (all)')
    parser.add_argument('--processes', type=bounded(int, 1, 256), metavar='N',
                        help='workers on this machine (1)')
    parser.add_argument('--device', metavar='LIST',
                        help='where torch networks run: cpu, cuda, or one for each worker in turn: '
                        'cuda:0,cuda:1 (the first GPU, if there is one)')
    parser.add_argument('--json', action='store_true', help='print results.json on stdout, too')


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group('pictures')
    data.add_argument('--layout', choices=LAYOUT_NAMES,
                      help='of the data set (recognised); `folder` takes no labels: agreement '
                      'with the originals instead')
    data.add_argument('--topic', metavar='NAME', help='image topic of a bag that has several')
    data.add_argument('--pick', choices=(SPREAD, FIRST),
                      help=f'which, of more than --frames ({SPREAD}; {FIRST} with --loss)')
    data.add_argument('--gallery', type=bounded(int, 0, 100), default=2, metavar='N',
                      help='pictures to look at (%(default)s)')


def _add_network(parser: argparse.ArgumentParser, task: str) -> None:
    network = parser.add_argument_group('network')
    network.add_argument('--network', default=_DEFAULT_NETWORKS[task], metavar='NAME',
                         help='one of this package or of an installed one (%(default)s)')
    network.add_argument('--model', metavar='PATH',
                         help='its file or directory, or its id on the hub (its own default)')
    network.add_argument('--names', metavar='FILE', help='names of its classes, one a line')
    if task == 'depth':
        network.add_argument('--alignment', choices=tuple(ALIGNMENTS), default='least-squares',
                             help='of relative depth with the truth (%(default)s)')
        network.add_argument('--region', choices=('garg',),
                             help="of whole KITTI frames: Garg's crop (everywhere)")
    if task == 'detection':
        network.add_argument('--score', type=bounded(float, 0, 1), default=0.5, metavar='P',
                             help='from which an object of the original is true, and of F1 '
                             '(%(default)s)')


def _add_weights(parser: argparse.ArgumentParser) -> None:
    learned = parser.add_argument_group('learned metrics')
    learned.add_argument('--weights', metavar='DIR',
                         help="of LPIPS, DISTS and FID (torch hub's cache)")
    learned.add_argument('--download', action='store_true', help='what is missing of them')
    learned.add_argument('--without', type=_words, default=[], metavar='LIST',
                         help='metrics that are left out')


def _add_bound(parser: argparse.ArgumentParser) -> None:
    bound = parser.add_argument_group('bound')
    bound.add_argument('--measure', default='energy', metavar='NAME',
                       help='of information: energy or gradient (%(default)s)')
    bound.add_argument('--alpha', type=bounded(float, 0, 1e12), default=1.0, metavar='X',
                       help='cost of losing all information, eq. (8) (%(default)s)')
    bound.add_argument('--beta', type=bounded(float, 0, 1e12), default=1e-4, metavar='X',
                       help='cost of a bit, eq. (8) (%(default)s)')


def _add_codec(group: Any) -> None:
    group.add_argument('--selection', default='ssim', metavar='NAME',
                       help='of channels: ssim (as the paper), ordered, rate-distortion '
                       '(%(default)s)')
    group.add_argument('--quantizer', type=bounded(int, 0, 15), metavar='N',
                       help="finer ones are higher (the profile's own)")
    group.add_argument('--profile', default='tiny', help='by name or folder (%(default)s)')
    group.add_argument('--caption', default='none', metavar='WHAT',
                       help='none, template, text:WORDS, or a file: one line, or NAME<tab>CAPTION '
                       'for each picture (%(default)s)')
    group.add_argument('--generator', metavar='NAME',
                       help='generated pictures, too, and `directly generated` ones of the caption '
                       'alone; by name or folder')
    group.add_argument('--steps', type=bounded(int, 1, 1000), metavar='N', help='of the generator')
    group.add_argument('--guidance', type=bounded(float, 0, 100), metavar='X',
                       help='of the generator')


def _add_methods(parser: argparse.ArgumentParser) -> None:
    ours = parser.add_argument_group('our rows')
    ours.add_argument('--channels', type=_numbers(int, 1, 320), metavar='LIST',
                      default=_numbers(int, 1, 320)(PAPER_CHANNELS),
                      help=f'channels sent ({PAPER_CHANNELS}, as the paper)')
    _add_codec(ours)
    ours.add_argument('--loss', type=bounded(float, 0, 1), default=0.0, metavar='P',
                      help='share of packets lost; the last picture that came is seen then')
    others = parser.add_argument_group('other rows')
    others.add_argument('--peers', type=_words, default=[], metavar='LIST',
                        help='classical codecs (none): all, or of '
                        + ', '.join(peer.name for peer in STILL_PEERS))
    others.add_argument('--rates', type=_numbers(float, 1e-5, 24), metavar='LIST',
                        default=[0.005, 0.01, 0.02, 0.05],
                        help='their bits per pixel at most (0.005,0.01,0.02,0.05)')
    others.add_argument('--external', type=_external, action='append', default=[],
                        metavar='NAME=DIR', help='reconstructions of any other codec in a folder, '
                        'with real byte counts in its bytes.csv (name,bytes); again for more')


def _add_ablation(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group('ablation')
    what.add_argument('--over', type=_words, default=['channels', 'selection', 'loss'],
                      metavar='LIST', help='options: ' + ', '.join(AXES))
    what.add_argument('--values', type=_words, metavar='LIST',
                      help='of the only option of --over (usual ones)')
    what.add_argument('--channels', type=bounded(int, 1, 320), default=16, metavar='N',
                      help='where --over does not go over them (%(default)s)')
    what.add_argument('--measure-by', type=_task, action='append', dest='tasks', metavar='TASK',
                      help='images, or for example detection:network=fastestdet,model=FILE; again '
                      'for more (images)')
    _add_codec(what)


def content_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """
    Return what a run in YAML would hold.

    :raises UsageError: the options make no sense.
    """
    if arguments.task == 'report':
        return yaml.safe_load(REPORT_FILE.read_text(encoding='utf-8'))
    data = {'folder': arguments.input, 'pick': arguments.pick or (
        FIRST if getattr(arguments, 'loss', 0) else SPREAD)}
    data |= {name: getattr(arguments, name) for name in ('layout', 'topic')
             if getattr(arguments, name)}
    if arguments.task == 'ablation':
        try:
            parts = ablation_parts(data, arguments.over, arguments.values, _codec(arguments),
                                   arguments.tasks or [{'images': {'without': 'vsi'}}])
        except RunError as error:
            raise UsageError(str(error)) from error
        return {'title': 'Ablations', 'parts': parts}
    part = {'name': Path(arguments.input).resolve().name or 'data', 'data': data,
            'tasks': [{arguments.task: _task_options(arguments)}], 'gallery': arguments.gallery,
            'methods': _methods(arguments)}
    part['name'] = ''.join(letter if letter.isalnum() or letter in '-_' else '_'
                           for letter in part['name'])
    published = _PUBLISHED.get((arguments.task, _layout(arguments)))
    if published is not None:
        part['published'] = published
    return {'title': f'{arguments.task.capitalize()}, {arguments.input}', 'parts': [part]}


def _layout(arguments: argparse.Namespace) -> str:
    from gsc_ros.evaluation.dataset.opening import open_dataset
    return arguments.layout or open_dataset(arguments.input, None, arguments.topic).name


def _task_options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = {'depth': ('network', 'model', 'names', 'alignment', 'region'),
             'segmentation': ('network', 'model', 'names'),
             'detection': ('network', 'model', 'names', 'score'),
             'images': ('weights', 'download'), 'bound': ('measure', 'alpha', 'beta')}
    options = {name: value for name in names[arguments.task]
               if (value := getattr(arguments, name)) is not None}
    if arguments.task == 'images' and arguments.without:
        options['without'] = ' '.join(arguments.without)
    return options


def _codec(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the options of `gsc` and `generate` that were given, by kind of method."""
    given = {'channels': arguments.channels, 'selection': arguments.selection}
    given |= {name: value for name in ('quantizer', 'profile', 'caption')
              if (value := getattr(arguments, name)) not in (None, 'tiny', 'none')}
    if getattr(arguments, 'loss', 0):
        given['loss'] = arguments.loss
    generate = given | {name: value for name in ('generator', 'steps', 'guidance')
                        if (value := getattr(arguments, name)) is not None}
    return {'gsc': given, 'generate': generate}


def _methods(arguments: argparse.Namespace) -> list[Any]:
    options = _codec(arguments)
    methods: list[Any] = ['original', {'gsc': options['gsc']}]
    if arguments.generator is not None:
        text = {name: value for name, value in options['generate'].items()
                if name not in ('channels', 'selection')}
        methods += [{'text': text}, {'generate': options['generate']}]
    peers = [peer.name for peer in STILL_PEERS] if arguments.peers == ['all'] else arguments.peers
    if peers:
        methods.append({'peer': {'codec': peers, 'bpp': arguments.rates}})
    methods += [{'external': external} for external in arguments.external]
    return methods


def _words(text: str) -> list[str]:
    """Return comma-separated words, for argparse; `none` is the empty list."""
    return [] if text == 'none' else [word.strip() for word in text.split(',')]


def _numbers(kind: type, low: float, high: float) -> Callable[[str], list[Any]]:
    """Return a converter of comma-separated numbers within bounds, for argparse."""
    number = bounded(kind, low, high)

    def numbers(text: str) -> list[Any]:
        return sorted({number(word) for word in text.split(',')})
    return numbers


def _external(text: str) -> dict[str, str]:
    name, equals, folder = text.partition('=')
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=DIR')
    return {'name': name, 'folder': folder}


def _task(text: str) -> Any:
    """Return a task with options, for argparse: `images`, `detection:network=...,model=...`."""
    kind, colon, rest = text.partition(':')
    if not colon:
        return kind
    options: dict[str, Any] = {}
    for pair in rest.split(','):
        name, equals, value = pair.partition('=')
        if not equals:
            raise argparse.ArgumentTypeError(f'{pair!r} of {text!r} is not NAME=VALUE')
        options[name] = yaml.safe_load(value)
    return {kind: options}
