"""What a user does with a model of his own, from the first call to the export, in two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = """
import json, sys, torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from multiprune_torch import prune

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)
    def forward(self, x):
        x = self.features(x).flatten(2).transpose(1, 2)
        x, _ = self.attention(x, x, x, need_weights=False)
        return self.head(x.mean(1))

def data():
    generator = torch.Generator().manual_seed(5)
    while True:
        y = torch.randint(3, (16,), generator=generator)
        yield torch.randn(16, 1, 6, 6, generator=generator) + y.view(-1, 1, 1, 1), y

def train(model, optimizer, batches, steps, ema=None):
    model.train()
    for _, (x, y) in zip(range(steps), batches):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if ema is not None:
            ema.update_parameters(model)
    return float(loss.detach())

x = torch.linspace(-1, 1, 72).view(2, 1, 6, 6)
"""
FIRST = (
    MODEL
    + """
torch.manual_seed(0)
model = Net()
dense = {k: v.clone() for k, v in model.state_dict().items()}
report = prune.prune_model(model, amount=0.5)
print(report)
assert report.sparsity == 0.5 and "head.weight" in str(report)
json.loads(report.to_json())
assert report.scalars()["sparsity/head.weight"] == report.tensors[-1].sparsity
prune.undo(model)
assert all(torch.equal(dense[k], v) for k, v in model.state_dict().items())
assert list(dense) == list(model.state_dict())

optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
batches, losses = data(), []
for target in (0.3, 0.5, 0.7):
    losses.append(train(model, optimizer, batches, 15, ema))
    report = prune.prune_model(model, sparsity=target)
    assert abs(report.sparsity - target) < 0.01
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
train(model, optimizer, batches, 10, ema)
assert losses[-1] < losses[0]
state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.state_dict()}
torch.save(state, "all.pt")
torch.save(model, "whole.pt")
model.eval(), ema.eval()
with torch.no_grad():
    torch.save((model(x), ema(x)), "outputs.pt")
"""
)
SECOND = (
    MODEL
    + """
torch.manual_seed(1)
state, (out, averaged) = torch.load("all.pt"), torch.load("outputs.pt")
model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)  # of the dense model, as the first was
prune.load_state_dict(model, state["model"])
optimizer.load_state_dict(state["optimizer"])
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
prune.load_state_dict(ema, state["ema"])
model.eval(), ema.eval()
with torch.no_grad():
    assert torch.equal(model(x), out) and torch.equal(ema(x), averaged)
whole = torch.load("whole.pt", weights_only=False).eval()
with torch.no_grad():
    assert torch.equal(whole(x), out)

before = prune.report(model).pruned
train(model, optimizer, data(), 5)
report = prune.prune_model(model, sparsity=0.8)
assert report.pruned > before
frozen = prune.freeze(model)
assert not prune.is_pruned(model) and len(frozen.names) == 4
zeros = {n: model.get_parameter(n) == 0 for n in frozen.names}
train(model, optimizer, data(), 10)
assert all(torch.equal(model.get_parameter(n) == 0, z) for n, z in zeros.items())
frozen.release()
assert prune.remove_all(model) == []
assert list(model.state_dict()) == list(Net().state_dict())

model.eval()
with torch.no_grad():
    out = model(x)
torch.save(model.state_dict(), "final.pt")
plain = Net()
plain.load_state_dict(torch.load("final.pt"))
program = torch.export.export(model, (x,))
torch.export.save(program, "final.pt2")
with torch.no_grad():
    assert torch.equal(plain.eval()(x), out)
    assert torch.allclose(torch.export.load("final.pt2").module()(x), out, atol=1e-6)
print(json.dumps({"sparsity": report.sparsity}))
"""
)


def run(script: str, folder: Path) -> str:
    path = os.pathsep.join(str(ROOT / part) for part in (".", "backends"))
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_goes_its_way_through_two_processes(tmp_path):
    table = run(FIRST, tmp_path)
    assert table.startswith("L1Unstructured: ")
    assert "features.0.weight" in table
    assert json.loads(run(SECOND, tmp_path))["sparsity"] > 0.79
