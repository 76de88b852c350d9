# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results survive a stop, and damaged ones are none."""

from gsc_ros.evaluation.store import Store
import pytest


def test_a_result_is_found_again_by_what_it_is_of(tmp_path):
    Store(tmp_path / 'cache').put({'codec': 'x', 'rate': 1.5}, {'bytes': 3})
    store = Store(tmp_path / 'cache')
    assert store.get({'rate': 1.5, 'codec': 'x'}) == {'bytes': 3}
    assert store.get({'rate': 2.0, 'codec': 'x'}) is None


@pytest.mark.parametrize('content', ['', '{"of": {"codec"', '[]', '{"of": {}, "result": {}}', '\0'])
def test_a_damaged_result_is_none(tmp_path, content):
    store = Store(tmp_path)
    store.put({'codec': 'x'}, {'bytes': 3})
    for path in tmp_path.iterdir():
        path.write_text(content)
    assert store.get({'codec': 'x'}) is None


def test_no_draft_is_left(tmp_path):
    Store(tmp_path).put({'codec': 'x'}, {'bytes': 3})
    assert [path.suffix for path in tmp_path.iterdir()] == ['.json']
