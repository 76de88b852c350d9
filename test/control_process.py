# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One of several processes that train a control branch together on the CPU.

    python -m torch.distributed.run --nproc_per_node 2 test/control_process.py FOLDER

Trains the branch with copies in every process and with its weights shared out (FSDP 2), both
broken off and resumed; the first process writes what it found to FOLDER/found.json.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys

from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.utils import DistributedType
from control_training import cached_source, trainer, write_pictures
from gsc_ros.training.generator.control import make_accelerator, whole
import torch
from torch.distributed.tensor import DTensor

STEPS = 4


def sharding(output: Path) -> Accelerator:
    """Return an accelerator that shares weights out; accelerate itself does it on GPUs alone."""
    accelerator = make_accelerator('no', output)
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy='transformer_based_wrap',
        transformer_cls_names_to_wrap=['FluxTransformerBlock', 'FluxSingleTransformerBlock'],
        cpu_ram_efficient_loading=False)
    return accelerator


def weights(source: object, output: Path, shared: bool, stop: int) -> dict[str, torch.Tensor]:
    """Return the weights after all steps, with a new trainer after ``stop`` of them."""
    for steps in (stop, STEPS - stop):
        accelerator = sharding(output) if shared else make_accelerator('no', output)
        run = trainer(source, output, accelerator=accelerator)
        run.resume()
        for _ in range(steps):
            figures = run.update()
        assert any(isinstance(p, DTensor) for p in run.trained.values()) == shared
        run.save()
    figures['loss'] = accelerator.reduce(figures['loss'], 'mean')
    assert torch.isfinite(figures['loss'])
    accelerator.state.distributed_type = DistributedType.MULTI_CPU
    return {name: whole(value) for name, value in run.trained.items()}


def main() -> None:
    """Train four times and compare."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    accelerator = make_accelerator('no', folder)
    with accelerator.main_process_first():
        source = cached_source(write_pictures(folder / 'pictures'))
    results = {}
    for kind, shared in (('copies', False), ('shares', True)):
        unbroken = weights(source, folder / f'{kind}-a', shared, 0)
        broken = weights(source, folder / f'{kind}-b', shared, 2)
        results[kind] = unbroken
        results[f'{kind} resumed'] = broken
    if accelerator.is_main_process:
        def equal(one: str, other: str) -> bool:
            return all(torch.equal(v, results[other][n]) for n, v in results[one].items())

        worst = max(float((value - results['shares'][name]).abs().max())
                    for name, value in results['copies'].items())
        (folder / 'found.json').write_text(json.dumps({
            'processes': accelerator.num_processes, 'difference': worst,
            'copies resume': equal('copies', 'copies resumed'),
            'shares resume': equal('shares', 'shares resumed')}))
    accelerator.end_training()


if __name__ == '__main__':
    main()
