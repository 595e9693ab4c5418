"""Fetching goes through a real HTTP server on this machine."""

import hashlib
import json
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from workbench.core.errors import UsageError, WeightsError
from workbench.weights.fetch import fetch
from workbench.weights.published import known

CONTENT = bytes(range(256)) * 5000


class _Quiet(SimpleHTTPRequestHandler):
    def do_GET(self):
        """``/to/ADDRESS`` sends there; ``/odd`` has a length that is no number."""
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", unquote(self.path[4:]))
            self.end_headers()
        elif self.path == "/odd":
            self.send_response(200)
            self.send_header("Content-Length", "many")
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            super().do_GET()

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


def _elsewhere(server, address):
    return server.replace("w.safetensors", "to/" + quote(address, safe=""))


def test_a_redirect_within_the_scheme_is_followed(listed, server):
    listed(url=_elsewhere(server, server))
    assert fetch("mine", allow_download=True).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["file://{file}", "ftp://127.0.0.1/w", "https://127.0.0.1:1/w", "data:,x"])
def test_a_redirect_to_another_scheme_is_not(listed, server, tmp_path, address):
    file = tmp_path / "secret"
    file.write_bytes(CONTENT)
    home = listed(url=_elsewhere(server, address.format(file=file)))
    with pytest.raises(WeightsError, match=r"sends from http to (ftp|https)|Redirection to url") as error:
        fetch("mine", allow_download=True)
    assert "\n" not in str(error.value)
    assert not list((home / "weights").glob("*"))


def test_a_length_that_is_no_number_is_not_believed(listed, server):
    listed(url=server.replace("w.safetensors", "odd"))
    assert fetch("mine", allow_download=True).read_bytes() == CONTENT


def test_addresses_of_files_are_files_of_this_machine(listed, tmp_path):
    (tmp_path / "w here").write_bytes(CONTENT)
    listed(url=(tmp_path / "w here").as_uri())
    assert fetch("mine", allow_download=False).read_bytes() == CONTENT
    Path(tmp_path / "weights" / "mine.safetensors").unlink()
    os.mkfifo(tmp_path / "pipe")
    for address in (
        f"file://{tmp_path / 'pipe'}",
        "file:///dev/zero",
        f"file://elsewhere{tmp_path / 'w'}",
        "file:///no",
    ):
        listed(url=address)
        with pytest.raises(WeightsError, match="not a file of this machine"):
            fetch("mine", allow_download=False)
