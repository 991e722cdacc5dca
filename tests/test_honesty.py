"""The tests themselves are honest: each asserts something that can fail, and each skip says what it needs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from honesty import Finding, find_dishonest

TESTS = Path(__file__).parent


def amiss(source: str, **helpers: str) -> list[str]:
    """Return what is amiss in the text of a test module, which may import from helpers."""
    texts = {name: textwrap.dedent(text) for name, text in {"test_it": source, **helpers}.items()}
    return [f"{finding.line}: {finding.what}" for finding in find_dishonest(texts)]


def test_every_test_here_asserts_what_can_fail_and_every_skip_says_what_it_needs() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in TESTS.glob("*.py")}
    assert Path(__file__).stem in texts
    assert find_dishonest(texts) == []


NOTHING = {
    "a call": "def test_a():\n    run()\n",
    "a print": "def test_a():\n    print(1)\n",
    "a method of a class": "class TestA:\n    def test_a(self):\n        run(self)\n",
    "a coroutine": "async def test_a():\n    await run()\n",
    "a helper that asserts nothing": "def test_a():\n    look()\n\ndef look():\n    return 1\n",
    "a function that is never called": "def test_a():\n    def check():\n        assert run()\n    run()\n",
    "a process whose end is not looked at": "import subprocess\n\ndef test_a():\n    subprocess.run(['x'], check=False)\n",
    "a fixture that asserts": "def test_a(ready):\n    run(ready)\n\n@fixture\ndef ready():\n    assert run()\n",
    "a method of the same name elsewhere": "from stage import Quiet\n\ndef test_a(one: Quiet):\n    one.run()\n",
    "one of two that it may be": "def test_a():\n    find().run()\n",
    "a name from outside": "import os\n\ndef test_a():\n    os.run()\n",
    "an assertion that cannot fail": "def test_a():\n    assert True\n",
}

STAGE = """
    class Quiet:
        def run(self):
            return 1

    class Loud:
        def run(self):
            assert work()
    """


@pytest.mark.parametrize("source", NOTHING.values(), ids=NOTHING)
def test_a_test_that_asserts_nothing_is_found(source: str) -> None:
    lines = amiss(source, stage=STAGE)
    assert [line for line in lines if line.endswith("test_a asserts nothing")], lines


SOMETHING = {
    "an assertion": "def test_a():\n    assert run()\n",
    "in a loop": "def test_a():\n    for one in run():\n        with one:\n            assert one\n",
    "an error that is expected": "import pytest\n\ndef test_a():\n    with pytest.raises(KeyError):\n        run()\n",
    "a process that must end well": "import subprocess\n\ndef test_a():\n    subprocess.run(['x'], check=True)\n",
    "an answer that must be one of success": "def test_a():\n    get().raise_for_status()\n",
    "a helper": "def test_a():\n    look()\n\ndef look():\n    assert run()\n",
    "a helper of a helper": "def test_a():\n    look()\n\ndef look():\n    see()\n\ndef see():\n    assert run()\n",
    "a helper from elsewhere": "from eyes import look as see\n\ndef test_a():\n    see()\n",
    "a module of helpers": "import eyes\n\ndef test_a():\n    eyes.look()\n",
    "a helper that raises": "def test_a():\n    look()\n\ndef look():\n    raise AssertionError('no')\n",
    "a method": "from stage import Loud\n\ndef test_a(one: Loud):\n    one.run()\n",
    "a method of what is made": "from stage import Loud\n\ndef test_a():\n    one = make()\n    one.run()\n\ndef make() -> Loud:\n    return Loud()\n",
    "a method of its own class": "class TestA:\n    def test_a(self):\n        self.look()\n\n    def look(self):\n        assert run()\n",
    "a function that is called": "def test_a():\n    def check():\n        assert run()\n    check()\n",
    "rules of a machine": "class M:\n    @rule()\n    def step(self):\n        assert run()\n\ndef test_a():\n    run_state_machine_as_test(M)\n",
}


@pytest.mark.parametrize("source", SOMETHING.values(), ids=SOMETHING)
def test_an_assertion_is_found_wherever_a_test_makes_it(source: str) -> None:
    assert amiss(source, stage=STAGE, eyes="def look():\n    assert run()\n") == []


@pytest.mark.parametrize(
    "text",
    [
        *("True", "1", "'words'", "f'the {run()}'", "(run(), 'why')", "[run()]", "{1: run()}", "not None", "not ()"),
        *("run() or True", "True and 1", "lambda: run()", "(one for one in run())", "len(run()) >= 0"),
        *("a == a", "a.b is a.b", "len(a) <= len(a)", "sorted(a[0]) == sorted(a[0])"),
    ],
)
def test_an_assertion_that_cannot_fail_is_found(text: str) -> None:
    lines = amiss(f"def test_a(a):\n    assert {text}\n    assert run()\n")
    assert [line.startswith("2: ") and line.endswith("cannot fail") for line in lines] == [True]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a",
            "a == b",
            "run() == run()",
            "a.b() is a.b()",
            "a or b",
            "not a",
            "(*a,)",
            "f'{a}'",
            "len(a) >= 1",
            "a != a",
        ),
        *("False", "()", "a == sorted(a)", "all(one for one in a)", "None", "a in a", "a < a"),
    ],
)
def test_an_assertion_that_can_fail_is_left_alone(text: str) -> None:
    assert amiss(f"def test_a(a, b):\n    assert {text}\n") == []


@pytest.mark.parametrize("kind", ["", " AssertionError", " Exception", " (KeyError, BaseException)"])
def test_an_assertion_whose_failure_is_caught_is_found(kind: str) -> None:
    source = f"def test_a():\n    assert run()\n    try:\n        assert run()\n    except{kind}:\n        pass\n"
    assert amiss(source) == ["4: the failure of this assertion is caught"]
    assert amiss(source.replace("pass", "raise")) == []
    assert amiss(source.replace(f"except{kind}", "except KeyError")) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "@pytest.mark.skip\n",
            "@pytest.mark.skip()\n",
            "@pytest.mark.xfail\n",
            "@pytest.mark.skip(reason='later')\n",
        ),
        *("@pytest.mark.skipif(run(), reason='')\n", "@pytest.mark.skipif(run(), reason='slow')\n"),
        *("@pytest.mark.xfail(reason='it needs work')\n", "@pytest.mark.skipif(run(), reason=f'{run()} is missing')\n"),
        "@pytest.mark.skipif(run(), reason=WHY)\n",
    ],
)
def test_a_skip_that_does_not_say_what_it_needs_is_found(text: str) -> None:
    lines = amiss(f"import pytest\nWHY = 'flaky'\n{text}def test_a():\n    assert run()\n")
    assert [line.partition(":")[0] for line in lines] == ["3"]
    inside = amiss("import pytest\n\ndef test_a():\n    assert run()\n    pytest.skip()\n    pytest.skip('not now')\n")
    assert [line.partition(":")[0] for line in inside] == ["5", "6"]


@pytest.mark.parametrize(
    "text",
    [
        *("@pytest.mark.skipif(run(), reason='needs git')\n", "@pytest.mark.skipif(run(), reason=f'needs {run()}')\n"),
        *("@pytest.mark.xfail(reason='needs root')\n", "@pytest.mark.skipif(run(), reason=WHY)\n"),
    ],
)
def test_a_skip_that_says_what_it_needs_is_left_alone(text: str) -> None:
    lead = "import pytest\nWHY = 'needs ' 'Linux'\n"
    assert amiss(f"{lead}{text}def test_a():\n    pytest.importorskip('av')\n    assert run()\n") == []


def test_findings_come_in_the_order_of_files_and_lines() -> None:
    found = find_dishonest({"test_b": "def test_b():\n    run()\n", "test_a": "\ndef test_a():\n    assert 1\n"})
    assert found == [
        Finding("test_a", 2, "test_a asserts nothing"),
        Finding("test_a", 3, "`assert 1` cannot fail"),
        Finding("test_b", 1, "test_b asserts nothing"),
    ]
