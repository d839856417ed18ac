"""One process of several: prunes the weights of files over all of them, and prints the digests."""

from __future__ import annotations

import sys
import warnings
from itertools import product
from pathlib import Path

import nets
import torch
from launch import leave
from multiprune_torch import prune
from safetensors.torch import load_file
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh


def main(amount: str, *files: str) -> None:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", module="torch")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    ranks = distributed.get_world_size()
    cuts = {"whole": nets.whole, "fsdp": nets.fsdp, "tensor_parallel": line_of_tensor_parallel}
    if ranks == 4:
        cuts |= {"hsdp": nets.hsdp, "fsdp_and_tp": nets.fsdp_and_tp}
    for weights, (name, cut) in product(files, cuts.items()):
        model = nets.net()
        for i in (0, 2, 3):
            model[i].weight.data = load_file(weights)[f"{i}.weight"]
        model = cut(model)
        prune.prune_model(model, amount=float(amount), process_group=distributed.group.WORLD)
        path = Path(f"{Path(weights).stem}-{name}-{ranks}.masks")
        digest = prune.save_masks(model, path, process_group=distributed.group.WORLD)
        if distributed.get_rank() == 0:
            print(f"digest {path.name} {digest}", flush=True)
        distributed.barrier()
    distributed.destroy_process_group()
    leave()


def line_of_tensor_parallel(model):
    return nets.tensor_parallel(model, init_device_mesh("cpu", (distributed.get_world_size(),)))


if __name__ == "__main__":
    main(*sys.argv[1:])
