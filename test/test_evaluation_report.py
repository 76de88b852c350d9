# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A report shows every figure of a run, in words, curves and pictures."""

import csv
from html.parser import HTMLParser
import io
import json

import cv2
from gsc_ros.evaluation.bound.information import kept
from gsc_ros.evaluation.bound.study import describe, join
from gsc_ros.evaluation.report.chart import bound_chart, chart, charts
from gsc_ros.evaluation.report.content import Column, parse, ReportError
from gsc_ros.evaluation.report.overlay import boxed, colour_of, depth_colours, depth_range, tinted
from gsc_ros.evaluation.report.series import lines
from gsc_ros.evaluation.report.spreadsheet import as_csv, as_markdown
from gsc_ros.evaluation.report.writing import write
import numpy as np
import pytest

pytest.importorskip('reportlab')
pytest.importorskip('matplotlib')

HEIGHT, WIDTH = 48, 64
COLUMNS = [
    {'name': 'bytes', 'title': 'bytes', 'unit': 'byte', 'better': 'lower', 'digits': 0},
    {'name': 'bpp', 'title': 'bpp', 'unit': 'bit/pixel', 'better': 'lower', 'digits': 4},
    {'name': 'delta1', 'title': 'δ1', 'unit': '', 'better': 'higher', 'digits': 3},
    {'name': 'rmse', 'title': 'RMSE', 'unit': 'm', 'better': 'lower', 'digits': 2}]


def row(method, group, values, **more):
    """Return a row as a run writes it."""
    return {'method': method, 'title': method.replace('-', ', C = '),
            'series': method.partition('-')[0], 'group': group, 'values': values, **more}


def table(**more):
    """Return a table as a run writes it."""
    return {
        'task': 'depth', 'title': 'Depth, KITTI', 'data': '2 frames', 'network': 'some network',
        'reference': 'ground truth', 'note': 'The cap is 80 m.', 'columns': COLUMNS, 'axis': 'bpp',
        'rows': [
            row('original', 'reference', {'delta1': 0.95, 'rmse': 3.0}),
            row('truth', 'known', {'delta1': 1.0, 'rmse': 0.0}),
            row('paper', 'published', {'bpp': 0.0069, 'delta1': 0.796}, published=True,
                source='the paper, table 1'),
            row('ours-1', 'ours', {'bytes': 118.4, 'bpp': 0.0022, 'delta1': 0.71, 'rmse': 6.123},
                parameter={'channels': 1}),
            row('ours-4', 'ours', {'bytes': 1225.0, 'bpp': 0.0042, 'delta1': 0.80, 'rmse': None},
                parameter={'channels': 4}),
            row('AV1', 'peer', {'bytes': 400.0, 'bpp': 0.0075, 'delta1': 0.75, 'rmse': 5.5})],
        **more}


def results(**more):
    """Return what results.json holds, without pictures."""
    return {'about': {'title': 'A <run> & more', 'command': 'gsc eval report data -o out',
                      'date': '2026-11-21', 'seconds': 125, 'versions': {'numpy': '1.26'},
                      'profile': {'name': 'tiny', 'hash': '1234'}, 'machine': '2 cores'},
            'tables': {'kitti': table()}, 'pictures': [],
            'missing': [{'what': 'LPIPS', 'reason': 'lpips_weights.pt not found'}],
            'failures': [{'method': 'AV1', 'image': '7', 'reason': 'broke'}], 'bounds': {}, **more}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Return results with pictures and a bound, and the folder of their files."""
    folder = tmp_path_factory.mktemp('run')
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(image, (0, 0), 1)
    cells = []
    for name, group, picture in (('original', 'reference', image), ('ours-1', 'ours', blurred)):
        cv2.imwrite(str(folder / f'{name}.png'), picture)
        np.save(folder / f'{name}.npy', np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float16
                                                    ).reshape(HEIGHT, WIDTH))
        cv2.imwrite(str(folder / f'{name}-labels.png'), (picture[..., 0] // 128))
        cells.append({
            'method': name, 'title': name, 'group': group, 'file': f'{name}.png', 'bytes': 118,
            'bpp': 0.3, 'caption': 'a <street>', 'depth': f'{name}.npy',
            'labels': f'{name}-labels.png', 'class_names': ['road', 'sky'],
            'boxes': [{'box': [5, 5, 30, 30], 'name': 'car', 'score': 0.9}]})
    bound = join([describe(image)], [{
        'method': 'ours-1', 'title': 'ours, C = 1', 'series': 'ours', 'group': 'ours',
        'bytes': 118.0, 'bpp': 0.3, 'kept': kept(image, blurred)}])
    return results(
        pictures=[{'table': 'kitti', 'image': '0000000005', 'width': WIDTH, 'height': HEIGHT,
                   'cells': cells}],
        tables={'kitti': table(), 'kitti-bound': table(title='Bound, KITTI')},
        bounds={'kitti-bound': bound}), folder


@pytest.fixture(scope='module')
def written(run):
    """Return the folder of a written report."""
    content, folder = run
    write(content, folder)
    return folder


def test_a_row_of_fewer_pictures_is_marked_and_does_not_win():
    rows = [row('ours-1', 'ours', {'bpp': 0.1, 'delta1': 0.7}, images=2),
            row('AV1', 'peer', {'bpp': 0.1, 'delta1': 0.6}, images=2),
            row('other', 'external', {'bpp': 0.1, 'delta1': 0.9}, images=1)]
    content = parse(results(tables={'kitti': table(rows=rows, images=2)}))
    assert ('ours-1', 'delta1') in content.tables[0].best()
    assert 'other' not in {method for method, _ in content.tables[0].best()}
    text = as_markdown(content)
    assert 'other (1 of 2 pictures) |' in text
    assert '(2 of 2' not in text


class Page(HTMLParser):
    """Counts elements, and checks that each is closed in its turn."""

    VOID = {'meta', 'img', 'br'}

    def __init__(self, text):
        super().__init__()
        self.open, self.count, self.text, self.sources = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_needs_nothing_from_elsewhere(written):
    page = Page((written / 'report.html').read_text(encoding='utf-8'))
    assert not page.open
    assert all(source.startswith(('data:', '#')) for source in page.sources)
    # Two metrics over the rate, the bound, and two cells of four pictures.
    assert page.count['img'] == 2 + 1 + 2 * 4
    text = ''.join(page.text)
    for words in ('A <run> & more', '2 min 5 s', 'a <street>', 'some network', 'The cap is 80 m.',
                  '(published)', 'lpips_weights.pt not found', 'broke', 'gsc eval report data'):
        assert words in text


def test_the_page_shows_figures_with_their_digits_and_a_dash_for_none(written):
    text = (written / 'report.html').read_text(encoding='utf-8')
    for figure in ('>118<', '>1,225<', '>0.0022<', '>6.12<', '>0.796<', '>–<'):
        assert figure in text


def test_paper_has_the_same_tables(written):
    data = (written / 'report.pdf').read_bytes()
    assert data.startswith(b'%PDF-')
    assert data.count(b'/Type /Page\n') >= 2


def test_the_same_results_are_the_same_files(run, written, tmp_path):
    before = {path.name: path.read_bytes() for path in written.iterdir() if path.is_file()}
    write(*run)
    after = {path.name: path.read_bytes() for path in written.iterdir() if path.is_file()}
    assert before == after


def test_tables_are_csv_with_all_digits(written):
    rows = list(csv.DictReader(io.StringIO((written / 'tables/kitti.csv').read_text())))
    assert [one['method'] for one in rows] == [
        'original', 'truth', 'paper', 'ours-1', 'ours-4', 'AV1']
    assert rows[3]['rmse'] == '6.123'
    assert rows[4]['rmse'] == ''
    assert json.loads(rows[4]['parameter']) == {'channels': 4}
    assert (rows[2]['published'], rows[2]['source']) == ('1', 'the paper, table 1')


def test_the_best_measured_figure_is_marked_and_published_rows_are_named():
    text = as_markdown(parse(results()))
    lines = {line.split('|')[1].strip(): line for line in text.splitlines() if '|' in line}
    assert '**0.800**' in lines['ours, C = 4']
    assert '**5.50**' in lines['AV1']
    assert '**' not in lines['truth'] + lines['original'] + lines['*paper (published)*']
    assert 'Published: the paper, table 1.' in text


def test_rows_are_grouped_with_ours_last():
    content = parse(results()).tables[0]
    assert [one.group for one in content.ordered()] == [
        'reference', 'known', 'published', 'peer', 'ours', 'ours']


def test_curves_have_units_and_leave_out_what_has_no_place():
    content = parse(results()).tables[0]
    drawn = dict(zip(('delta1', 'rmse'), charts(content)))
    axes = drawn['delta1'][1].axes[0]
    assert axes.get_xlabel() == 'rate, bit per pixel'
    assert axes.get_xscale() == 'log'
    labels = axes.get_legend_handles_labels()[1]
    assert 'paper (published)' in labels
    assert not any('truth' in label for label in labels)
    ours = next(line for line in axes.lines if line.get_label() == 'ours')
    assert list(ours.get_xdata()) == [0.0022, 0.0042]
    assert drawn['rmse'][1].axes[0].get_title(loc='left') == 'RMSE, m ↓'


def test_a_long_legend_lies_inside_the_figure_and_beside_the_axes():
    names = [f'a codec of many parameters, number {number}, selection ordered'
             for number in range(11)]
    content = parse(results(tables={'kitti': table(rows=[
        row(name, 'ours', {'bpp': 0.001 * (1 + at), 'delta1': 0.5 + 0.01 * at})
        for at, name in enumerate(names)])})).tables[0]
    figure = chart(content, content.column('delta1'))
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    page = figure.bbox
    assert page.x0 <= legend.x0 and legend.x1 <= page.x1 and page.y0 <= legend.y0
    assert legend.y1 <= figure.axes[0].get_tightbbox().y0
    assert figure.axes[0].get_window_extent().height > 200


def test_an_axis_of_words_is_drawn_as_bars():
    words = [row(f'ours, selection {name}', 'ours', {'delta1': value, 'rmse': 3.0},
                 parameter={'selection': name, 'channels': 4, 'seed': 0})
             for name, value in (('ssim', 0.7), ('ordered', 0.8))]
    content = parse(results(tables={'a': table(axis='selection', rows=words)})).tables[0]
    axes = chart(content, content.column('delta1')).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.8]
    assert [label.get_text() for label in axes.get_yticklabels()] == ['ssim', 'ordered']
    # What the parameter does not change is not drawn, and nobody is the best at it.
    assert chart(content, content.column('rmse')) is None
    assert {name for _, name in content.best()} == {'delta1'}


def test_rows_that_differ_in_more_than_the_axis_are_lines_of_their_own():
    rows = [row(f'ours, C = {channels}, quantizer {level}', 'ours', {'delta1': level / channels},
                parameter={'channels': channels, 'quantizer': level, 'seed': 0})
            for channels in (1, 2, 4) for level in (8, 14)]
    content = parse(results(tables={'a': table(axis='channels', rows=rows)})).tables[0]
    found = lines(content, 'delta1')
    assert [line.name for line in found] == ['quantizer 8', 'quantizer 14']
    assert [place for place, _ in found[0].points] == [1, 2, 4]


def test_an_axis_of_numbers_is_drawn_as_curves_and_so_is_what_it_costs():
    content = parse(results(tables={'a': table(axis='channels')})).tables[0]
    assert [column.name for column, _ in charts(content)] == ['bytes', 'delta1']
    axes = chart(content, content.column('delta1')).axes[0]
    assert axes.get_xlabel() == 'channels'
    ours = next(line for line in axes.lines if line.get_label() == 'ours')
    assert list(ours.get_xdata()) == [1, 4]


def test_a_metric_that_nobody_has_is_neither_column_nor_curve():
    rows = [row('ours-1', 'ours', {'bpp': 0.1, 'delta1': 0.5, 'rmse': None})]
    content = parse(results(tables={'a': table(rows=rows)})).tables[0]
    assert [column.name for column in content.shown] == ['bpp', 'delta1']
    assert [column.name for column, _ in charts(content)] == ['delta1']
    assert 'rmse' in as_csv(content)


def test_the_bound_lies_left_of_the_measured_points(run):
    axes = bound_chart(run[0]['bounds']['kitti-bound']).axes[0]
    assert axes.get_ylabel() == 'information kept, V'
    curve, point = axes.lines[0], axes.lines[-1]
    at = np.interp(point.get_ydata()[0], curve.get_ydata(), curve.get_xdata())
    assert at < point.get_xdata()[0]


def test_results_of_a_newer_run_may_hold_more():
    more = results(tables={'a': table(rows=[row('x', 'ours', {'bpp': 1.0}, colour='red')])})
    assert parse(more).tables[0].rows[0].method == 'x'


def test_what_is_not_there_is_said(run, tmp_path):
    with pytest.raises(ReportError, match='title'):
        parse({'tables': {'a': {'rows': [], 'columns': []}}})
    with pytest.raises(ReportError, match="'friends'"):
        parse(results(tables={'a': table(rows=[row('x', 'friends', {})])}))
    with pytest.raises(ReportError, match=r'original\.png'):
        write(run[0], tmp_path)
    empty = results(tables={}, missing=[], failures=[], about={})
    assert (tmp_path / 'report.html') in write(empty, tmp_path)


@pytest.mark.parametrize('damage', ('original.npy', 'original-labels.png', 'original.png'))
def test_a_damaged_file_is_named(damage, run, tmp_path):
    content, folder = run
    for path in folder.iterdir():
        if path.suffix in ('.png', '.npy'):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / damage).write_bytes(b'nothing of the kind')
    with pytest.raises(ReportError, match=damage):
        write(content, tmp_path)


# Drawing

def test_near_is_bright_in_metres_and_in_disparity():
    metres = np.tile(np.array([[2, 10, 80]], np.float32), (3, 1))
    for depth, is_metres in ((metres, True), (1 / metres, False)):
        colours = depth_colours(depth, depth_range(depth, is_metres), is_metres)
        brightness = colours.astype(int).sum(axis=2)[0]
        assert brightness[0] > brightness[1] > brightness[2]


def test_classes_tint_and_the_background_stays():
    image = np.full((2, 2, 3), 100, np.uint8)
    labels = np.array([[0, 1], [255, 7]])
    drawn = tinted(image, labels, ['background', 'road'])
    assert (drawn[0, 0] == 100).all()
    assert drawn[0, 1].tolist() == [115, 80, 115]  # 45 % of the image, 55 % of (128, 64, 128)
    assert (drawn[1] == 100).all()


def test_a_class_always_has_the_same_colour():
    assert colour_of('road') == (128, 64, 128)
    assert colour_of('rover') == colour_of('rover') != colour_of('tvmonitor')


def test_likely_boxes_are_drawn_at_their_place():
    image = np.zeros((60, 80, 3), np.uint8)
    one = {'box': [20, 20, 80, 80], 'name': 'car', 'score': 0.9}
    drawn = boxed(image, [one], scale=0.5)
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (rows.max(), columns.min()) == (41, 9)  # lines are two pixels wide
    assert not boxed(image, [{**one, 'score': 0.1}]).any()
    assert not boxed(image, []).any()


@pytest.mark.parametrize(('value', 'text'), (
    (None, '–'), (float('nan'), '–'), (1234.5, '1,234.500'), (0.0, '0.000')))
def test_figures_are_written_with_their_digits(value, text):
    assert Column('x', 'x').text(value) == text
