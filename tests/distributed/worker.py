"""One process of several: runs every case of the modules named, and notes what became of each.

torchrun --standalone --nproc_per_node=4 tests/distributed/worker.py OUT layouts failures
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import traceback
import warnings
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from launch import leave
from torch import distributed


def main(*modules: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", module="torch")
    distributed.init_process_group("gloo", timeout=timedelta(seconds=120))
    found = {}
    for module in modules:
        for name, case in list(vars(importlib.import_module(module)).items()):
            if name.startswith("case_"):
                start, found[f"{module}.{name}"] = time.perf_counter(), "ok"
                try:
                    case()
                except (Exception, pytest.fail.Exception):
                    found[f"{module}.{name}"] = traceback.format_exc()
                if distributed.get_rank() == 0:
                    print(f"{time.perf_counter() - start:6.2f} s  {module}.{name}", flush=True)
    Path(f"{distributed.get_rank()}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
