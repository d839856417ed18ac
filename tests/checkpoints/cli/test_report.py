"""The report as a user meets it: a table, a page, a picture, from a file or from JSON."""

from __future__ import annotations

import base64
import html.parser
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from checkpoint_files import random_array, write, write_shards

pytest.importorskip("cyclopts")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")

COMMAND = [sys.executable, "-W", "error", "-m", "multiprune_checkpoints"]
SVG = "{http://www.w3.org/2000/svg}"


def run(*arguments, code=0, **options):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr if code == 2 else done.stdout


class Page(html.parser.HTMLParser):
    """What a browser, or somebody who cannot see, gets of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.said, self.attributes = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.said.append(data)

    def pictures(self):
        """The text of each inlined SVG."""
        prefix = "data:image/svg+xml;base64,"
        for image in self.images:
            assert image["src"].startswith(prefix)
            tree = ET.fromstring(base64.b64decode(image["src"].removeprefix(prefix)))
            assert tree.tag == f"{SVG}svg"
            yield " ".join(t for text in tree.iter(f"{SVG}text") for t in text.itertext())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, and what prune makes of it: made once, copied for every test."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    tensors = {
        "net.layers.2.weight": rng.standard_normal((100, 120), np.float32),
        "net.layers.10.weight": rng.standard_normal((100, 120), np.float32),
        "net.head.weight": rng.standard_normal((20, 30), np.float32) / 1000,
        "net.norm": np.ones(9, np.float32),
    }
    source = write(folder / "model.safetensors", tensors)
    run("prune", source, "-o", folder / "pruned.safetensors", "--amount", "0.8",
        "--report", folder / "r.json", "--save-masks", folder / "masks.safetensors")  # fmt: skip
    return folder


@pytest.fixture
def model(made, tmp_path):
    return Path(shutil.copy2(made / "model.safetensors", tmp_path))


@pytest.fixture
def pruned(made, tmp_path):
    for name in ("r.json", "masks.safetensors"):
        shutil.copy2(made / name, tmp_path)
    return Path(shutil.copy2(made / "pruned.safetensors", tmp_path))


def test_the_page_has_four_panels_says_them_in_words_and_loads_nothing(model, pruned, tmp_path):
    (tmp_path / "curve.csv").write_text("sparsity,one-shot,tuned\n0,.97,.97\n80,.5,.96\n")
    out = tmp_path / "report.html"
    assert run("report", pruned, "--before", model, "--accuracy", tmp_path / "curve.csv",
               "-o", out) == ""  # fmt: skip
    text = out.read_text()
    found = Page(text)
    bars, accuracy, weights, blocks = found.pictures()
    assert bars.index("layers.2") < bars.index("layers.10")
    assert "80.0%" in bars
    assert "collapsed" in bars
    assert "pruned: 19,680" in weights
    assert "kept: 4,920" in weights
    assert "threshold" in weights
    assert "one-shot" in accuracy
    assert "tuned" in accuracy
    assert "Kept in net." in blocks
    assert all(len(image["alt"]) > 40 for image in found.images)
    said = " ".join(found.said)
    assert "19,680 of 24,600" in said
    assert "net.layers.10.weight" in said
    assert found.tags.count("tr") == 4
    assert "script" not in found.tags
    assert not [v for k, v in found.attributes if k in ("src", "href") and "data:" not in v]
    assert "http" not in re.sub(r"base64,[\w+/=]+|http-equiv", "", text)
    again = tmp_path / "again.html"
    run("report", pruned, "--before", model, "--accuracy", tmp_path / "curve.csv", "-o", again)
    assert again.read_bytes() == out.read_bytes()


def test_a_png_and_a_report_straight_from_prune(model, tmp_path):
    drawn = tmp_path / "r.png"
    run("prune", model, "-o", tmp_path / "out", "--amount", ".8", "--report", drawn, code=2)
    out = tmp_path / "out.safetensors"
    run("prune", model, "-o", out, "--amount", "0.8", "--report", drawn)
    data = drawn.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") > 1000
    page = tmp_path / "r.html"
    run("prune", model, "-o", out, "--amount", "0.8", "--report", page)
    assert "pruned: 19,680" in " ".join(Page(page.read_text()).pictures())
    run("prune", model, "--dry-run", "--amount", "0.8", "--report", page)
    assert len(list(Page(page.read_text()).pictures())) == 1  # nothing was written to look at
    run("prune", model, "--in-place", "--amount", "0.8", "--report", page)
    assert "pruned, now zero: 19,680" in " ".join(Page(page.read_text()).pictures())


def test_the_same_numbers_from_zeros_masks_and_json(model, pruned, tmp_path):
    zeros = json.loads(run("report", pruned, "--json"))
    assert zeros["sparsity"] == 0.8
    assert zeros["sparsity/net.head.weight"] == 1.0
    assert zeros["threshold"] > 0
    assert "sparsity/net.norm" not in zeros
    masks = json.loads(run("report", model, "--masks", tmp_path / "masks.safetensors", "--json"))
    assert {**masks, "threshold": zeros["threshold"]} == zeros
    assert {**json.loads(run("report", tmp_path / "r.json", "--json")), "ties": 0.0} == zeros
    shown = run("report", pruned)
    assert shown.startswith("L1Unstructured: 19,680 of 24,600 entries pruned (80.00 %), threshold")
    assert "untouched: 1 tensors, net.norm" in shown
    assert "warning: 1 collapsed" in shown
    assert "head.weight" in run("report", tmp_path / "r.json")


def test_shards_are_reported_as_one_network(tmp_path):
    shards = [{f"h.{i}.w": random_array((30, 30), "bfloat16", i)} for i in (10, 2)]
    index = write_shards(tmp_path / "model", shards)
    page = tmp_path / "r.html"
    run("prune", index, "-o", tmp_path / "out", "--sparsity", "0.5", "--report", page)
    bars, *_ = Page(page.read_text()).pictures()
    assert re.search(r"(?<!\d)2.*(?<!\d)10", bars)
    run("report", tmp_path / "out", "--before", tmp_path / "model", "-o", tmp_path / "r.png")


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium")
def test_a_browser_shows_the_pictures(model, pruned, tmp_path):
    """The collapsed head is red, the others blue, the heat map black and yellow."""
    from matplotlib.image import imread

    run("report", pruned, "--before", model, "-o", tmp_path / "r.html")
    shot = tmp_path / "shot.png"
    subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1200",
         f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}",
         (tmp_path / "r.html").as_uri()],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    pixels = np.rint(imread(shot)[:, :, :3] * 255).astype(int)
    for colour in ((0xB2, 0x18, 0x2B), (0x21, 0x66, 0xAC), (0xA6, 0xA6, 0xA6), (0xE0, 0x82, 0x14)):
        assert (np.abs(pixels - colour).max(axis=2) < 3).sum() > 300


def test_names_of_strangers_are_only_text(tmp_path):
    names = ["<script>alert(1)</script>", "$\\frac{$", "a&amp;\x1b[31m", "権重.ü", 'x" onerror="y',
             "n" * 3000]  # fmt: skip
    path = write(tmp_path / "m.safetensors", {n: random_array((5, 4), few=3) for n in names})
    for suffix in (".html", ".png"):
        run("report", path, "-o", tmp_path / f"r{suffix}")
    found = Page((tmp_path / "r.html").read_text())
    assert "script" not in found.tags
    assert not [k for k, _ in found.attributes if k.startswith("on")]
    assert "<script>alert(1)</script>" in " ".join(found.said)
    assert r"a&amp;\x1b[31m" in " ".join(found.said)
    assert "$\\frac{$" in next(found.pictures())


@pytest.mark.slow
def test_odd_checkpoints_are_drawn(tmp_path):
    """Thousands of tensors, one tensor, no entries, nothing finite, one value."""
    odd = {
        "many": {f"l.{i}.w": np.full((2, 2), float(i % 3), np.float32) for i in range(700)},
        "empty": {"w": np.zeros((0, 4), np.float32)},
        "none finite": {"w": np.full((3, 4), np.nan, np.float16)},
        "one value": {"w": np.full((3, 4), 5.0)},
        "deep": {"w": random_array((3, 2, 2, 7), "float8_e5m2")},
    }
    for name, tensors in odd.items():
        path = write(tmp_path / "m.safetensors", tensors)
        run("report", path, "-o", tmp_path / "r.html")
        run("report", path, "-o", tmp_path / "r.png")
        assert list(Page((tmp_path / "r.html").read_text()).pictures()), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PRUNED", "-o", "r.pdf"], ".html or .png"),
        (["PRUNED", "-o", "no/such/r.html"], "No such file"),
        (["CURVE"], "by its name"),
        (["PRUNED", "-o", "r.html", "--accuracy", "r.html"], "is an input"),
        (["PRUNED", "-o", "s.html", "--tensor", "zzz*"], "matches none"),
        (["PRUNED", "-o", "s.html", "--before", "OTHER"], "before and after"),
        (["PRUNED", "-o", "r.html", "--accuracy", "PRUNED"], "is not a curve"),
        (["PRUNED", "-o", "r.html", "--accuracy", "one.csv"], "fewer than two"),
        (["PRUNED", "-o", "r.html", "--accuracy", "uneven.csv"], "several lengths"),
        (["PRUNED", "-o", "r.html", "--accuracy", "nan.json"], "not finite"),
        (["PRUNED", "-o", "r.html", "--accuracy", "deep.json"], "is not a curve"),
        (["PRUNED", "-o", "r.html", "--accuracy", "high.csv"], "sparsities go"),
        (["PRUNED", "--masks", "OTHER"], "FILE-06"),
        (["half.json"], "is not a report"),
        (["wrong.json"], "is not a report"),
        (["more.json"], "more is pruned"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(arguments, message, pruned, tmp_path):
    other = write(tmp_path / "other.safetensors", {"w": random_array((4, 4))})
    text = (tmp_path / "r.json").read_text()
    files = {
        "r.html": "sparsity,a\n1,2\n",
        "one.csv": "sparsity\n1\n",
        "uneven.csv": "sparsity,a\n1\n",
        "nan.json": '{"sparsity": [0], "a": [NaN]}',
        "deep.json": "[" * 100_000,
        "high.csv": "sparsity,a\n500,1\n",
        "half.json": text[: len(text) // 2],
        "wrong.json": text.replace("19680", '"many"'),
        "more.json": re.sub(r'"pruned": \d+', '"pruned": 999999', text),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    places = {"PRUNED": pruned, "OTHER": other, "CURVE": tmp_path / "one.csv"}
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    given = [str(places.get(word, word)) for word in arguments]
    assert message in run("report", *given, code=2, cwd=tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_without_matplotlib_a_picture_is_refused_and_a_table_is_not(pruned, tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from multiprune_checkpoints.cli import main\n"
        f"main(['report', {str(pruned)!r}, *sys.argv[1:]])"
    )
    for more, expected in (([], 0), (["-o", "r.html"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, *more], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == expected, done.stderr
    assert "multiprune[cli]" in done.stderr
