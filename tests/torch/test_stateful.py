"""Whatever is done to a pruned model, in whatever order, it is what a plain model says it is.

The plain model holds tensors, masks and counts, and decides masks with the oracle.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from multiprune_conformance import oracle
from multiprune_torch import prune
from torch import nn
from torch.nn.utils import prune as stock
from torch_cases import run_struck

from multiprune.errors import MultipruneError

PLACES = [("a", "weight"), ("a", "bias"), ("b", "weight"), ("b", "bias")]
X = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.7, -1.1]])


def note(module: nn.Module, inputs: Any) -> None:
    """A hook of the user's."""


@dataclass
class Plain:
    """One parameter: all its values, what is kept, and by how many methods it was pruned."""

    value: torch.Tensor
    mask: np.ndarray | None = None
    rounds: int = 0

    @property
    def pruned(self) -> torch.Tensor:
        return self.value if self.mask is None else self.value.where(torch.from_numpy(self.mask), 0)

    def prune(self, mask: np.ndarray) -> None:
        self.mask, self.rounds = mask, self.rounds + 1


def forward(read: Callable[[str, str], torch.Tensor]) -> torch.Tensor:
    hidden = F.linear(X, read("a", "weight"), read("a", "bias"))
    return F.linear(hidden, read("b", "weight"), read("b", "bias"))


AMOUNT = st.floats(0, 1) | st.integers(0, 14)
SOME = st.lists(st.sampled_from(PLACES), min_size=1, max_size=4, unique=True)


@st.composite
def operations(draw: st.DrawFn) -> tuple[Any, ...]:
    kind = draw(st.sampled_from(["global", "random", "local", "channels", "norm", "mask", "ident"]))
    weight = st.sampled_from([PLACES[0], PLACES[2]])
    places = draw(SOME) if kind in ("global", "random") else [draw(st.sampled_from(PLACES))]
    if kind in ("channels", "norm"):
        places = [draw(weight)]
    return kind, places, draw(AMOUNT), draw(st.integers(0, 99)), draw(st.integers(-2, 1))


class Pruning(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.net = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 2)})
        self.net["a"].register_forward_pre_hook(note)
        self.plain = {place: Plain(self.parameter(place).detach().clone()) for place in PLACES}
        self.know_parameters()

    def parameter(self, place: tuple[str, str]) -> Any:
        module, name = self.net[place[0]], place[1]
        return module._parameters.get(name, module._parameters.get(name + "_orig"))

    def know_parameters(self) -> None:
        self.ids = {place: id(self.parameter(place)) for place in PLACES}

    def on_net(self, operation: tuple[Any, ...]) -> None:
        kind, places, amount, seed, dim = operation
        pairs = [(self.net[path], name) for path, name in places]
        if kind == "global":
            prune.global_unstructured(pairs, prune.L1Unstructured, amount=amount)
        elif kind == "random":
            prune.global_unstructured(pairs, prune.RandomUnstructured, amount=amount, seed=seed)
        elif kind == "local":
            prune.l1_unstructured(*pairs[0], amount)
        elif kind == "channels":
            prune.random_structured(*pairs[0], amount, dim, seed=seed)
        elif kind == "norm":
            prune.ln_structured(*pairs[0], amount, 1, dim)
        elif kind == "mask":
            shape = self.plain[places[0]].value.shape
            prune.custom_from_mask(*pairs[0], torch.arange(shape.numel()).view(shape) % 3 > 0)
        else:
            prune.identity(*pairs[0])

    def on_plain(self, plain: dict[Any, Plain], operation: tuple[Any, ...]) -> None:
        kind, places, amount, seed, dim = operation
        chosen = [plain[place] for place in places]
        values, priors = [p.value.numpy() for p in chosen], [p.mask for p in chosen]
        prior = np.ones(values[0].shape, bool) if priors[0] is None else priors[0]
        if kind in ("global", "local"):
            masks = oracle.global_unstructured(values, amount=amount, masks=priors)
        elif kind == "random":
            shapes = [v.shape for v in values]
            masks = oracle.random_unstructured(shapes, seed=seed, amount=amount, masks=priors)
        elif kind == "channels":
            masks = [oracle.random_structured(prior, dim, seed=seed, amount=amount)]
        elif kind == "norm":
            norms = torch.norm(chosen[0].pruned, p=1, dim=1 - dim % 2).numpy()
            masks = [oracle.structured(norms, prior, dim, amount=amount)]
        elif kind == "mask":
            masks = [prior & (np.arange(prior.size).reshape(prior.shape) % 3 > 0)]
        else:
            masks = [prior]
        for p, mask in zip(chosen, masks, strict=True):
            p.prune(mask)

    @rule(operation=operations())
    def prunes(self, operation: tuple[Any, ...]) -> None:
        after = deepcopy(self.plain)
        try:
            self.on_plain(after, operation)
        except oracle.Refused:
            with pytest.raises(MultipruneError):
                self.on_net(operation)
        else:
            self.on_net(operation)
            self.plain = after

    @rule(operation=operations(), strike=st.integers(1, 250))
    def is_struck(self, operation: tuple[Any, ...], strike: int) -> None:
        after = deepcopy(self.plain)
        try:
            self.on_plain(after, operation)
        except oracle.Refused:
            return
        run_struck(lambda: self.on_net(operation), strike)
        rounds = [len(list(pruning_hooks(self.net[path], name))) for path, name in PLACES]
        if rounds == [p.rounds for p in after.values()]:  # struck too late, or never
            self.plain = after

    @rule(count=st.integers(1, 3))
    def trains(self, count: int) -> None:
        optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3)
        for _ in range(count):
            optimizer.zero_grad()
            self.net["b"](self.net["a"](X)).square().sum().backward()
            optimizer.step()
            leaves = {place: p.pruned.clone().requires_grad_() for place, p in self.plain.items()}
            forward(lambda *place: leaves[place]).square().sum().backward()  # noqa: B023
            for place, p in self.plain.items():
                gradient = leaves[place].grad
                if p.mask is not None:
                    gradient = gradient * torch.from_numpy(p.mask)
                p.value.add_(gradient, alpha=-1e-3)

    @rule(place=st.sampled_from(PLACES), p=st.sampled_from([prune, stock]))
    def removes(self, place: tuple[str, str], p: Any) -> None:
        plain = self.plain[place]
        if plain.mask is None:
            with pytest.raises(ValueError, match="has to be pruned"):
                p.remove(self.net[place[0]], place[1])
        else:
            p.remove(self.net[place[0]], place[1])
            self.plain[place] = Plain(plain.pruned.clone())

    @rule()
    def undoes(self) -> None:
        prune.undo(self.net)
        self.plain = {place: Plain(p.value) for place, p in self.plain.items()}

    @rule()
    def removes_all(self) -> None:
        prune.remove_all(self.net)
        self.plain = {place: Plain(p.pruned.clone()) for place, p in self.plain.items()}

    @rule(how=st.sampled_from(["deepcopy", "pickle"]))
    def is_copied(self, how: str) -> None:
        old = self.net
        self.net = deepcopy(old) if how == "deepcopy" else pickle.loads(pickle.dumps(old))
        with torch.no_grad():
            for parameter in old.parameters():
                parameter.fill_(float("nan"))  # nothing of the old one may show
        self.know_parameters()

    @rule()
    def is_saved_and_loaded(self) -> None:
        file = io.BytesIO()
        torch.save(self.net.state_dict(), file)
        with torch.no_grad():
            for tensor in self.net.state_dict().values():
                tensor.fill_(1)
        file.seek(0)
        self.net.load_state_dict(torch.load(file))

    @rule()
    def is_loaded_into_a_fresh_one(self) -> None:
        fresh = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Linear(4, 2)})
        fresh["a"].register_forward_pre_hook(note)
        prune.load_state_dict(fresh, self.net.state_dict())
        self.net = fresh
        for p in self.plain.values():
            p.rounds = min(p.rounds, 1)  # a state remembers no methods
        self.know_parameters()

    @rule(count=st.integers(1, 2))
    def is_frozen_and_trains(self, count: int) -> None:
        frozen = prune.freeze(self.net)
        self.plain = {place: Plain(p.pruned.clone()) for place, p in self.plain.items()}
        optimizer = torch.optim.SGD(self.net.parameters(), lr=1e-3, weight_decay=0.5)
        chosen = {tuple(name.split(".")) for name in frozen.names}
        zeros = {place: p.value == 0 for place, p in self.plain.items() if place in chosen}
        for _ in range(count):
            optimizer.zero_grad()
            self.net["b"](self.net["a"](X)).square().sum().backward()
            optimizer.step()
        frozen.release()
        for place, p in self.plain.items():
            now = self.parameter(place).detach()
            assert bool((now[zeros[place]] == 0).all()) if place in zeros else True
            p.value = now.clone()

    @rule(training=st.booleans())
    def changes_mode(self, training: bool) -> None:
        self.net.train(training)

    @invariant()
    def is_what_the_plain_model_says(self) -> None:
        for path, module in self.net.items():
            own = {n: p for (at, n), p in self.plain.items() if at == path}
            names = {n + "_orig" if p.rounds else n for n, p in own.items()}
            assert set(module._parameters) == names
            assert [n for n in module._parameters if n in own] == [n for n in own if n in names]
            assert set(dict(module.named_buffers())) == {n + "_mask" for n in own if own[n].rounds}
            assert (path == "a") == (next(iter(module._forward_pre_hooks.values()), 0) is note)
            for name, p in own.items():
                assert id(self.parameter((path, name))) == self.ids[path, name]
                assert torch.equal(self.parameter((path, name)), p.value)
                assert torch.equal(getattr(module, name), p.pruned)
                assert len(list(pruning_hooks(module, name))) == p.rounds
                if p.mask is not None:
                    assert np.array_equal(getattr(module, name + "_mask").numpy(), p.mask)
        with torch.no_grad():
            out = self.net["b"](self.net["a"](X))
        assert torch.equal(out, forward(lambda *place: self.plain[place].pruned))


def pruning_hooks(module: nn.Module, name: str) -> Any:
    """The methods that pruned a parameter, in one hook."""
    hooks = [
        h for h in module._forward_pre_hooks.values() if isinstance(h, stock.BasePruningMethod)
    ]
    (hook,) = [h for h in hooks if h._tensor_name == name] or [()]
    return hook if isinstance(hook, tuple | stock.PruningContainer) else (hook,)


TestPruning = Pruning.TestCase
TestPruning.settings = settings(max_examples=30, stateful_step_count=25)
