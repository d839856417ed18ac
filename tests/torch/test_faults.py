"""Wherever inside the library an exception strikes, a model is as it was, or the call is done.

A trace raises at the n-th line that runs in the rooms that change modules, for every n in turn,
and at some of the lines before.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from multiprune_torch import prune
from multiprune_torch.models import freeze, tied
from torch import nn
from torch_cases import run_struck, same_bits, snapshot


class Net(nn.Module):
    """A layer pruned once, one pruned twice with a hook of the user's, and two that share."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c, self.d = (nn.Linear(3, 3) for _ in range(4))
        self.d.weight = self.c.weight
        self.rnn = nn.RNN(1, 2)
        prune.l1_unstructured(self.a, "weight", 3)
        prune.l1_unstructured(self.b, "weight", 3)
        prune.l1_unstructured(self.b, "weight", 3)
        self.b.register_forward_pre_hook(print)
        prune.l1_unstructured(self.rnn, "weight_hh_l0", 1)


def globally(method: Any, **options: Any) -> Callable[[Net], None]:
    return lambda net: prune.global_unstructured(
        [(m, "weight") for m in (net.a, net.c, net.d)], method, **options
    )


FROZEN: list[prune.Frozen] = []
LOADED = Net().state_dict()
"""What `Net` is when it is new, but for a layer that is not pruned here and one that is."""
for _name in ("a.weight", "b.weight"):
    LOADED.pop(_name + "_mask")
    LOADED[_name] = LOADED.pop(_name + "_orig")
LOADED["a.bias_orig"], LOADED["a.bias_mask"] = LOADED.pop("a.bias"), torch.tensor([1.0, 0.0, 1.0])

OPERATIONS = {
    "global": globally(prune.L1Unstructured, amount=0.5),
    "global random": globally(prune.RandomUnstructured, amount=5),
    "global identity": globally(prune.Identity),
    "first": lambda net: prune.l1_unstructured(net.a, "bias", 2),
    "second": lambda net: prune.l1_unstructured(net.a, "weight", 2),
    "third": lambda net: prune.ln_structured(net.b, "weight", 1, 2, 0),
    "channels": lambda net: prune.random_structured(net.a, "weight", 1, 0),
    "mask": lambda net: prune.custom_from_mask(net.a, "weight", torch.eye(3)),
    "rnn": lambda net: prune.l1_unstructured(net.rnn, "weight_ih_l0", 1),
    "remove": lambda net: prune.remove(net.b, "weight"),
    "remove from an rnn": lambda net: prune.remove(net.rnn, "weight_hh_l0"),
    "remove_all": lambda net: prune.remove_all(net),
    "undo": lambda net: prune.undo(net),
    "model": lambda net: prune.prune_model(net, sparsity=0.6),
    "freeze": lambda net: FROZEN.append(prune.freeze(net)),
    "load": lambda net: prune.load_state_dict(net, LOADED),
}


def same(left: dict[str, Any], right: dict[str, Any], *, identical: bool) -> bool:
    """Whether two snapshots agree; those of twins only in names, kinds of hooks, and values."""
    for path in left | right:
        one, other = left[path], right[path]
        if identical and one[:-1] != other[:-1]:
            return False
        hooks = [[type(hook).__name__ for _, hook in state[3]] for state in (one, other)]
        if one[1] != other[1] or set(one[2]) != set(other[2]) or hooks[0] != hooks[1]:
            return False
        if not all(same_bits(one[-1][name], other[-1][name]) for name in one[-1]):
            return False
    return True


@pytest.mark.parametrize(
    "operation",
    [pytest.param(o, marks=[pytest.mark.slow] if o == "model" else []) for o in OPERATIONS],
)
def test_a_fault_at_any_line_leaves_all_or_nothing(operation, monkeypatch):
    """ERR-01, DEV-02, DEV-03."""
    monkeypatch.setattr(tied, "_modules_holding", lambda parameters: [])  # slow, and no matter
    call, net = OPERATIONS[operation], Net()
    pristine = deepcopy(net)
    before, state = snapshot(net), torch.get_rng_state()
    finished = deepcopy(net)
    rooms = run_struck(lambda: call(finished), 0)
    after = snapshot(finished)
    assert not same(before, after, identical=False)
    entered = rooms.index("reparametrization")
    strikes = [*range(1, entered, 1 + entered // 8), *range(entered, len(rooms) + 1)]
    for strike in strikes:
        torch.set_rng_state(state)
        run_struck(lambda net=net: call(net), strike)
        now = snapshot(net)
        if same(now, before, identical=True):
            keepers = [freeze._keeper_of(parameter) for parameter in net.parameters()]
            assert not any(keeper.zeros for keeper in keepers if keeper)
            continue
        # Struck after the last change: then the call must have done all of its work.
        assert same(now, after, identical=False), f"half done at line {strike}: {rooms[strike - 1]}"
        net = deepcopy(pristine)
        before = snapshot(net)
