"""`kling sandbox`: what it prints, what it serves, and how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from foreign_sheet import FOREIGN
from sandbox_stage import ENDPOINT, KEY, PLAIN

from kling_dsl.cli.verbs import kling
from kling_dsl.sandbox import FAULTS

NAMES = [
    *("FAL_KEY", "FAL_RUN_HOST", "FAL_QUEUE_RUN_HOST", "FAL_REST_HOST", "HTTPS_PROXY", "https_proxy"),
    *("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "KLING_SANDBOX"),
]


class Served:
    """A `kling sandbox` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.environment = dict(shlex.split(line)[1].split("=", 1) for line in lines)

    def client(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=self.environment["SSL_CERT_FILE"])
        return httpx.Client(base_url=self.environment["KLING_SANDBOX"], verify=trust, headers=KEY, trust_env=False)

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal, and return the exit code and what else was printed."""
        self.process.send_signal(number)
        rest, told = self.process.communicate(timeout=60)
        return self.process.returncode, rest, told


@contextlib.contextmanager
def kling_sandbox(folder: Path, *words: str) -> Iterator[Served]:
    process = subprocess.Popen(
        (sys.executable, "-W", "error", "-m", "kling_dsl", "sandbox", *words),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline().rstrip("\n") for _ in NAMES]
        yield Served(process, lines)
    finally:
        process.kill()
        process.communicate()


def refused(*words: str) -> Result:
    return CliRunner().invoke(kling, ("sandbox", *words))


def test_it_prints_what_to_set_serves_and_ends_with_its_bill(tmp_path: Path) -> None:
    with kling_sandbox(tmp_path, "--job-seconds", "0", "--media", "plain") as served:
        assert [line.partition("=")[0] for line in served.lines] == [f"export {name}" for name in NAMES]
        with served.client() as http:
            job = http.post(f"/{ENDPOINT}", json=PLAIN, headers={"x-kling-clip": "door"}).json()
            while http.get(job["status_url"]).status_code == 202:
                pass
            assert http.get(job["response_url"]).status_code == 200
        folder = Path(served.environment["SSL_CERT_FILE"]).parent
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        code, rest, told = served.end()
    assert (code, rest, folder.exists()) == (0, "", False)
    assert 'fal.config({ proxyUrl: { url: "https://127.0.0.1:' in told
    assert re.search(r"submission 1 door: fal-ai/\S+, 5 s, ", told)
    assert "submission 1: completed, bill $2.10" in told
    assert "ended: 1 submissions, bill $2.10" in told
    assert "Warning" not in told


def test_the_lines_can_be_read_by_a_shell(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("needs a POSIX shell")
    with kling_sandbox(tmp_path, "--for-shell") as served:
        script = "\n".join(served.lines) + '\nprintf "%s\\n" "$FAL_QUEUE_RUN_HOST" "$NO_PROXY"'
        shown = subprocess.run([shell, "-c", script], capture_output=True, encoding="utf-8", check=True).stdout
        assert shown == f"{served.environment['FAL_QUEUE_RUN_HOST']}\n127.0.0.1,localhost\n"
        assert served.end(signal.SIGTERM) == (0, "", "")


def test_faults_and_the_projects_own_sheets_are_served(tmp_path: Path) -> None:
    (tmp_path / "kling.toml").write_text("")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "lumen-film.toml").write_text(FOREIGN)
    (tmp_path / "models" / "broken.toml").write_text("format = 1\n")
    with (
        kling_sandbox(tmp_path, "--fault", "http-502=1", "--fault", "refuse-429=1@2") as served,
        served.client() as http,
    ):
        answers = [http.post(f"/{ENDPOINT}", json=PLAIN) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [502, 429, 200]
        assert answers[1].headers["retry-after"] == "2"
        assert http.post("/lumen-labs/film/v2/reference-to-video", json={"prompt": "A sea."}).status_code == 200
        code, _, told = served.end()
    assert code == 0
    assert "left out: model sheet models/broken.toml" in told


def test_a_port_can_be_chosen_and_be_taken(tmp_path: Path) -> None:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        plug.listen()
        port = plug.getsockname()[1]
        done = refused("--port", str(port))
        assert (done.exit_code, f"port {port}" in done.output) == (1, True)
    with kling_sandbox(tmp_path, "--port", str(port), "--for-shell") as served:
        assert served.environment["KLING_SANDBOX"] == f"https://127.0.0.1:{port}"
        assert served.end() == (0, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fault", "earthquake"), "there is no fault 'earthquake'; there are accept-and-drop"),
        (("--fault", "http-500=many"), "is not written KIND"),
        (("--fault", "http-500:7"), "between 0 and 1"),
        (("--fault", "a\x1b[2J"), "\\x1b[2J"),
        (("--scale", "0"), "--scale"),
        (("--media", "film"), "--media"),
        (("--runners", "0"), "--runners"),
    ],
)
def test_wrong_usage_is_said(words: tuple[str, ...], said: str) -> None:
    done = refused(*words)
    assert done.exit_code == 2
    assert said in done.output


def test_missing_extras_are_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the import machinery answers for a package that is not installed.
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setitem(sys.modules, "av", None)
    done = refused()
    assert done.exit_code == 2
    assert "needs av, uvicorn: pip install 'kling-dsl[serve,media]'" in done.output


def test_the_help_lists_every_fault() -> None:
    shown = refused("--help").output
    for name, kind in FAULTS.items():
        assert name in shown
        assert kind.words.split()[0] in shown
    assert "Example:" in shown
