"""A model of BERT's size, in a loop as Hugging Face's Trainer runs it, pruned while it trains."""

from __future__ import annotations

import copy

import pytest
import torch
from multiprune_torch import prune
from torch import nn


def bert(layers=12):
    """BERT base, of 110 million parameters, with random weights."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(num_hidden_layers=layers)
    return transformers.BertForMaskedLM(config)


class Loop:
    """The steps of ``transformers.Trainer._inner_training_loop``, and its callbacks' events."""

    def __init__(self, model, optimizer, schedule, on_step_end, max_steps, accumulate):
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.on_step_end, self.max_steps, self.accumulate = on_step_end, max_steps, accumulate

    def train(self, batches):
        self.model.train()
        for step in range(self.max_steps):
            for _ in range(self.accumulate):
                batch = next(batches)
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = self.model(**batch).loss / self.accumulate
                loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.model.zero_grad()
            self.on_step_end(step, loss.item())


def batches(vocabulary):
    generator = torch.Generator().manual_seed(1)
    while True:
        ids = torch.randint(vocabulary, (1, 8), generator=generator)
        yield {"input_ids": ids, "labels": ids, "attention_mask": torch.ones_like(ids)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.slow
def test_bert_is_pruned_while_it_trains_saved_loaded_and_made_permanent(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = bert()
    assert sum(p.numel() for p in model.parameters()) > 100_000_000
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=0.01)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 1, 10)
    reached = []

    def on_step_end(step, loss):
        assert loss == loss
        sparsity = (0.3, 0.6)[step]
        report = prune.prune_model(model, sparsity=sparsity, include="bert.encoder.*")
        reached.append(report.sparsity)
        assert len(report.tensors) == 12 * 6

    Loop(model, optimizer, schedule, on_step_end, max_steps=2, accumulate=1).train(
        batches(model.config.vocab_size)
    )
    assert reached == [pytest.approx(0.3, abs=1e-7), pytest.approx(0.6, abs=1e-7)]
    model.eval()
    x = next(batches(model.config.vocab_size))
    with torch.no_grad():
        out = model(**x).logits
        again = model(**x).logits
    assert torch.equal(out, again)
    torch.save(model.state_dict(), tmp_path / "pruned.pt")
    fresh = bert().eval()
    prune.load_state_dict(fresh, torch.load(tmp_path / "pruned.pt", mmap=True))
    with torch.no_grad():
        assert torch.equal(fresh(**x).logits, out)
    del fresh
    names = prune.remove_all(model)
    assert len(names) == 72
    gone = sum(int((model.get_parameter(n) == 0).sum()) for n in names)
    assert gone == round(0.6 * sum(model.get_parameter(n).numel() for n in names))
    with torch.no_grad():
        assert torch.equal(model(**x).logits, out)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_accumulated_steps_on_two_layers_train_as_a_masked_model_does():
    """The same loop with accumulation, beside one whose masks are multiplied in by hand."""
    model = bert(layers=2)
    names = prune.select(model, include="bert.encoder.*")
    prune.prune_model(model, sparsity=0.5, include="bert.encoder.*")
    plain = copy.deepcopy(model)
    prune.undo(plain)
    masks = {n: m.bool() for n, m in model.named_buffers() if n.endswith("_mask")}

    def clamp(step, loss):
        with torch.no_grad():
            for name, mask in masks.items():
                plain.get_parameter(name.removesuffix("_mask")).mul_(mask)

    clamp(0, 0.0)
    losses = []
    for each, after in ((model, lambda step, loss: None), (plain, clamp)):
        torch.manual_seed(3)  # dropout
        optimizer = torch.optim.SGD(each.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
        found = []

        def note(step, loss, after=after, found=found):
            after(step, loss)
            found.append(loss)

        Loop(each, optimizer, schedule, note, max_steps=2, accumulate=2).train(
            batches(model.config.vocab_size)
        )
        losses.append(found)
    assert len(names) == len(masks) == 12
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
