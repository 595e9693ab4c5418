"""Fetching goes through a real HTTP server on this machine."""

import hashlib
import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workbench.core.errors import UsageError, WeightsError
from workbench.weights.fetch import fetch
from workbench.weights.published import known

CONTENT = bytes(range(256)) * 5000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")
    (folder / "w.safetensors").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/w.safetensors"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def listed(monkeypatch, tmp_path, server):
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))

    def write(**changes):
        row = {"name": "mine", "backend": "segformer3d", "title": "t", "url": server}
        row |= {"sha256": hashlib.sha256(CONTENT).hexdigest(), "size_mb": len(CONTENT) / 1e6} | changes
        (tmp_path / "weights.json").write_text(json.dumps([row]))
        return tmp_path

    return write


def test_fetch_checks_the_hash_and_reports_progress(listed):
    home = listed()
    seen = []
    path = fetch("mine", allow_download=True, progress=lambda done, total: seen.append((done, total)))
    assert path == home / "weights" / "mine.safetensors"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_no_network_without_permission(listed):
    listed()
    with pytest.raises(UsageError, match="--allow-download"):
        fetch("mine", allow_download=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "nothing was kept"),
        ({"size_mb": 0.0001, "url": "LARGE"}, "larger than"),
        ({"url": "http://127.0.0.1:1/none"}, "download failed"),
    ],
)
def test_a_bad_download_leaves_nothing(listed, server, monkeypatch, change, words):
    if change.get("url") == "LARGE":
        monkeypatch.setattr("workbench.weights.fetch._SLACK", 1000)
        change = {**change, "url": server}
    home = listed(**change)
    with pytest.raises(WeightsError, match=words):
        fetch("mine", allow_download=True)
    assert not list((home / "weights").glob("*"))


@pytest.mark.parametrize("name", ["../evil", ".hidden", "a/b"])
def test_names_cannot_leave_the_folder(listed, name):
    listed(name=name)
    with pytest.raises(UsageError, match="not usable as a name"):
        known()


def test_unknown_fields_and_schemes_are_errors(listed):
    listed(colour="red")
    with pytest.raises(UsageError, match="colour"):
        known()
    listed(url="ftp://127.0.0.1/x")
    with pytest.raises(UsageError, match="scheme 'ftp'"):
        fetch("mine", allow_download=True)
