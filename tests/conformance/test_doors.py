"""The judge and its doors: verdicts for every way to answer, and for every way not to."""

import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from multiprune_conformance import cli
from multiprune_conformance.difference import difference
from multiprune_conformance.doors import Process
from multiprune_conformance.judge import judge
from multiprune_conformance.loader import HERE, load
from multiprune_conformance.oracle_implementation import Oracle
from multiprune_conformance.report import as_json, by_clause
from multiprune_conformance.schema import problems

SUITE = load()
ORACLE = "multiprune_conformance.oracle_implementation:Oracle"
EXAMPLES = HERE / "examples"
DEVIATIONS = HERE / "known_deviations" / "torch-2.13.json"
START = (
    "import json, sys, time\n"
    "for line in sys.stdin:\n"
    "    message = json.loads(line)\n"
    "    if 'start' in message:\n"
    "        who = {'name': 'n', 'version': 'v', 'language': 'l'}\n"
    "        print(json.dumps({'protocol': 1, 'implementation': who,"
    " 'profiles': ['parity']}), flush=True)\n"
    "    elif 'run' in message:\n"
)


def told(tmp_path, body, timeout=10.0, only="AMT-05"):
    """Judge a process that answers in some way, and return the outcome."""
    script = tmp_path / "impl.py"
    script.write_text(f"{START}        {body}\n", encoding="utf-8")
    process = Process(f"{sys.executable} {script}", timeout)
    declared = [v["id"] for v in SUITE.select([only]).vectors if v["profile"] == "parity"]
    try:
        return judge(SUITE.select(declared), process, {})
    finally:
        process.close()


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("raise KeyError('lost')", "KeyError: 'lost'"),
        ("print('hello', flush=True)", "not JSON"),
        ("print(json.dumps({'seq': -1}), flush=True)", "without seq"),
        ("print('[]', flush=True)", "without seq"),
        ("print(json.dumps({'seq': message['run']['seq'], 'masks': 3}), flush=True)", "malformed"),
    ],
)
def test_a_process_that_does_not_answer_is_an_error(tmp_path, body, detail):
    outcome = told(tmp_path, body)
    broken = [each for each in outcome.verdicts if each.verdict == "error"]
    assert broken
    assert detail in broken[0].detail
    assert not outcome.green


def test_a_process_that_hangs_is_an_error(tmp_path):
    outcome = told(tmp_path, "time.sleep(60)", 0.3)
    assert outcome.count("error") == len(outcome.verdicts)
    assert "no answer within 0.3 s" in outcome.verdicts[0].detail


def test_a_process_that_breaks_too_often_is_left_alone(tmp_path):
    outcome = told(tmp_path, "sys.exit(1)", only="AMT-02")
    assert "not started again" in outcome.verdicts[-1].detail


def test_a_skipped_vector_is_no_failure(tmp_path):
    body = "print(json.dumps({'seq': message['run']['seq'], 'skipped': 'later'}), flush=True)"
    outcome = told(tmp_path, body)
    assert outcome.green
    assert outcome.count("skip") == len(outcome.verdicts)


def test_an_unexpected_pass_fails_the_run():
    outcome = judge(SUITE.select(["AMT-05/int-1"]), Oracle(), {"AMT-05/int-1": "was wrong"})
    assert outcome.count("xpass") == 1
    assert not outcome.green


def test_undeclared_profiles_and_dtypes_are_skipped():
    class Little(Oracle):
        def describe(self):
            return super().describe() | {"profiles": ["parity"], "dtypes": ["float32"]}

    outcome = judge(SUITE, Little(), {})
    assert outcome.green
    ran = [each.vector for each in outcome.verdicts if each.verdict == "pass"]
    assert ran
    assert {vector["profile"] for vector in ran} == {"parity"}
    assert not any("float16" in json.dumps(vector["input"].get("tensors", [])) for vector in ran)


def test_choices_among_equals_are_counted():
    expect = {"masks": [{"shape": [3], "data": [None, 1, None]}], "gone": 1}
    for data, right in [([0, 1, 1], True), ([1, 1, 0], True), ([0, 1, 0], False),
                        ([1, 1, 1], False), ([0, 0, 1], False)]:  # fmt: skip
        got = {"masks": [{"shape": [3], "data": data}]}
        assert (difference(expect, got) == "") is right


@pytest.mark.parametrize("arguments", [
    ["run", "--command", "no-such-program-here"], ["run", "--adapter", "no.such:Thing"],
    ["run", "--adapter", "json:loads", "no-such-vector"], ["show", "no-such-vector"],
    ["run", "--adapter", "json:loads", "--deviations", "no-such-file"],
    ["run", "--command", ""], ["run", "--adapter", f"{ORACLE}", "AMT-05", "ZZZ"],
    ["run", "--adapter", f"{ORACLE}", "--html", "/no/such/folder/page.html"],
    ["check", "/no/such/folder"], ["export", "/proc/nothing"],
])  # fmt: skip
def test_what_cannot_be_met_exits_with_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "multiprune-conformance:" in capsys.readouterr().err


def test_a_time_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "--adapter", ORACLE, "--timeout", "-3"])
    assert "-3 is not a time above 0" in capsys.readouterr().err


ADAPTERS = """
import sys
from multiprune_conformance.oracle_implementation import Oracle

class Leaves(Oracle):
    def run(self, operation, request):
        sys.exit(0)

class OtherNumbers(Oracle):
    def run(self, operation, request):
        import numpy
        return {k: numpy.int64(v) for k, v in super().run(operation, request).items()}

class Other(Oracle):
    told = {}
    def describe(self):
        return super().describe() | self.told

class Misspelt(Other):
    told = {"profiles": ["Parity"]}

class Text(Other):
    told = {"profiles": "parity"}

class Nameless(Other):
    told = {"implementation": {"name": "x"}}

class UnknownType(Other):
    told = {"dtypes": ["float31"]}

class Unable(Oracle):
    def describe(self):
        raise RuntimeError("not today")

class Unmade(Oracle):
    def __init__(self):
        raise RuntimeError("not today")

class Silent(Other):
    told = {"profiles": []}
"""


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("Leaves", 1, "SystemExit: 0"),
        ("OtherNumbers", 1, "the answer is not JSON: Object of type int64"),
        ("Misspelt", 2, "profiles has ['Parity']; known are"),
        ("Text", 2, "profiles is 'parity'; it is a list of texts"),
        ("Nameless", 2, "it has the texts name, version and language"),
        ("UnknownType", 2, "dtypes has ['float31']"),
        ("Unable", 2, "describe() fails: RuntimeError: not today"),
        ("Unmade", 2, "no adapter odd_adapters:Unmade: RuntimeError: not today"),
        ("Silent", 2, "nothing was judged"),
    ],
)
def test_an_adapter_that_is_wrong_is_told_so(name, code, told, tmp_path, monkeypatch, capsys):
    (tmp_path / "odd_adapters.py").write_text(ADAPTERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "report.json"
    command = ["run", "--adapter", f"odd_adapters:{name}", "--json", str(report), "AMT-05"]
    assert cli.main(command) == code
    printed = capsys.readouterr()
    assert told in printed.out + printed.err


def test_a_module_that_fails_at_import_is_no_adapter(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken_adapter.py").write_text("def f(:", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--adapter", "broken_adapter:X"]) == 2
    assert "no adapter broken_adapter:X: SyntaxError" in capsys.readouterr().err


def test_what_a_shell_has_started_ends_with_it(tmp_path):
    """As npx and sh -c: the program is a child of the command, and holds its pipes."""
    script = tmp_path / "impl.py"
    script.write_text(f"{START}        time.sleep(600)\n", encoding="utf-8")
    process = Process(f"sh -c '{sys.executable} {script}; true'", 0.5)
    try:
        outcome = judge(SUITE.select(["AMT-05/int-1"]), process, {})
    finally:
        process.close()
    assert "no answer within 0.5 s" in outcome.verdicts[0].detail


@pytest.mark.parametrize("start", ["[]", "null", "3", '{"protocol": 2}', '{"protocol": 1}'])
def test_a_start_that_is_none_exits_with_2(start, tmp_path, capsys):
    script = tmp_path / "impl.py"
    script.write_text(f"input(); print({start!r}, flush=True); input()", encoding="utf-8")
    assert cli.main(["run", "--command", f"{sys.executable} {script}", "AMT-05"]) == 2
    assert "multiprune-conformance:" in capsys.readouterr().err


def test_a_failure_is_held_against_the_clause_that_it_is_about():
    """NUM-02's vectors cite others, which hold."""

    class NoEights(Oracle):
        def run(self, operation, request):
            if "float8" in json.dumps(request):
                raise RuntimeError("no kernel")
            return super().run(operation, request)

    table = by_clause(judge(SUITE.select(["parity"]), NoEights(), {}))
    broken = {clause for clause, row in table.items() if row["error"]}
    assert "NUM-02" in broken
    assert not broken & {"RANK-01", "AMT-04", "NUM-03", "NUM-05"}


def test_reports_are_written(tmp_path, capsys):
    paths = {form: tmp_path / f"report.{form}" for form in ("json", "junit", "html")}
    options = [text for form, path in paths.items() for text in (f"--{form}", str(path))]
    assert cli.main(["run", "--adapter", ORACLE, *options, "TIE-01"]) == 0
    schema = json.loads((HERE / "schema" / "report.schema.json").read_text(encoding="utf-8"))
    assert problems(json.loads(paths["json"].read_text(encoding="utf-8")), schema) == []
    cases = ET.parse(paths["junit"]).getroot()
    assert int(cases.get("tests")) == len(list(cases)) > 0
    assert "green" in paths["html"].read_text(encoding="utf-8")
    assert "green:" in capsys.readouterr().out


def test_export_is_complete_and_refuses_to_overwrite(tmp_path, capsys):
    folder = tmp_path / "suite"
    assert cli.main(["export", str(folder)]) == 0
    assert load(folder).vectors == SUITE.vectors
    assert cli.main(["export", str(folder)]) == 2
    part = tmp_path / "part"
    (part / "vectors").mkdir(parents=True)
    assert cli.main(["export", str(part)]) == 2
    assert [path.name for path in part.iterdir()] == ["vectors"]  # nothing is copied first


def test_list_show_and_check(capsys):
    assert cli.main(["list", "AMT-05"]) == 0
    assert cli.main(["show", "AMT-05"]) == 0
    assert cli.main(["show", "AMT-05/int-1"]) == 0
    assert cli.main(["check"]) == 0
    assert "AMT-05 MUST parity" in capsys.readouterr().out


def test_the_served_oracle_is_green():
    program = f"import sys; sys.path.insert(0, {str(HERE.parent)!r}); "
    program += (
        f"from multiprune_conformance import cli; cli.main(['serve', '--adapter', {ORACLE!r}])"
    )
    process = Process(f'{sys.executable} -c "{program}"')
    try:
        outcome = judge(SUITE, process, {})
    finally:
        process.close()
    assert outcome.count("pass") == len(SUITE.vectors)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_javascript_from_the_specification_is_green():
    process = Process(f"node {EXAMPLES / 'node' / 'impl.js'}")
    try:
        outcome = judge(SUITE, process, {})
    finally:
        process.close()
    assert outcome.green, as_json(outcome, "")["counts"]
    assert outcome.count("pass") > 800


def test_torch_is_green_with_its_deviations_and_red_without():
    pytest.importorskip("torch")
    from multiprune_conformance.examples.torch_prune import TorchPrune

    file = json.loads(Path(DEVIATIONS).read_text(encoding="utf-8"))
    known = {name: group["reason"] for group in file["deviations"] for name in group["ids"]}
    assert cli._deviations(Path("torch-2.13")).keys() == known.keys()
    outcome = judge(SUITE, TorchPrune(), known)
    assert outcome.green, as_json(outcome, "")["counts"]
    assert outcome.count("xfail") == len(known)
    assert not judge(SUITE.select(sorted(known)), TorchPrune(), {}).count("pass")
