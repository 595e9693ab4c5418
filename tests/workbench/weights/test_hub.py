"""The hub: a real client against a server on this machine; nothing is fetched unless somebody asks for it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from workbench.core.errors import UsageError
from workbench.weights import hub

COMMIT = "a" * 40
FILES = {"config.json": b'{"architecture": "resnet18"}', "model.safetensors": bytes(3000), "README.md": b"no"}


class Server(BaseHTTPRequestHandler):
    """As much of the hub as its client asks for; the model ``wanted/gated`` wants a login."""

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        self.server.asked.append((self.command, self.path))
        path = self.path.partition("?")[0]
        headers = {"X-Repo-Commit": COMMIT}
        if "wanted/gated" in path:
            status, body = 401, b"{}"
            headers |= {"X-Error-Code": "GatedRepo"}
        elif path.startswith("/api/models/group/encoder"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
            made = {"id": "group/encoder", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "cc-by-4.0"}}
            tree = [{"type": "file", "oid": "0" * 40, "path": n, "size": len(c)} for n, c in FILES.items()]
            status, body = 200, json.dumps(tree if "/tree/" in path else made).encode()
            headers |= {"Content-Type": "application/json"}
        elif path.startswith("/group/encoder/resolve/") and path.rpartition("/")[2] in FILES:
            status, body = 200, FILES[path.rpartition("/")[2]]
            headers |= {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        else:
            status, body = 404, b"{}"
            headers |= {"X-Error-Code": "RepoNotFound"}
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    pytest.importorskip("huggingface_hub", reason="the client of the hub is not installed (extra timm)")
    made = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    made.asked = []
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def command(server, tmp_path):
    """The command in a process of its own: the client reads its address once."""
    own = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("HF_")}
    own |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path / "hub")}
    own |= {"WORKBENCH_HOME": str(tmp_path / "home")}

    def run(*arguments):
        code = "import sys; from workbench.cli import run; sys.exit(run(sys.argv[1:]))"
        call = [sys.executable, "-c", code, "weights", *arguments]
        return subprocess.run(call, env=own, capture_output=True, text=True, timeout=120)

    return run


def test_nothing_is_fetched_unasked(command, server):
    done = command("get", "hf_hub:group/encoder")
    assert done.returncode == 2
    assert "needs your permission: add --allow-download" in done.stderr
    assert server.asked == []


def test_description_and_weights_come_with_their_licence(command, server):
    done = command("get", "hf_hub:group/encoder", "--allow-download")
    assert done.returncode == 0, done.stderr
    assert "Licence: cc-by-4.0" in done.stderr
    folder = done.stdout.strip()
    for name in ("config.json", "model.safetensors"):
        with open(os.path.join(folder, name), "rb") as file:
            assert file.read() == FILES[name]
    assert not os.path.exists(os.path.join(folder, "README.md")), "what nobody needs is not fetched"


def test_login_and_unknown_names_are_one_line(command):
    done = command("get", "hf_hub:wanted/gated", "--allow-download", "-q")
    assert done.returncode == 5, "that of weights"
    assert "log in" in done.stderr
    assert done.stderr.count("\n") == 1
    done = command("get", "hf_hub:no/such", "--allow-download", "-q")
    assert "hf_hub:no/such: cannot be fetched" in done.stderr
    assert done.stderr.count("\n") == 1
    done = command("get", "hf_hub:not a name", "--allow-download", "-q")
    assert "Expected hf_hub:OWNER/NAME" in done.stderr


def test_what_is_not_here_says_how_to_fetch_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(Exception, match="workbench weights get hf_hub:group/other --allow-download"):
        hub.here("hf_hub:group/other")
    assert server.asked == []


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'napari-workbench\[timm\]'"):
        hub.fetch("hf_hub:group/encoder", allow_download=True)
