"""A small Hub on this machine: the endpoints that huggingface_hub calls, kept in memory.

It speaks HTTP over loopback, so the client under test is the real one. It can also misbehave: cut a
connection, name a size that no disk holds, or be gated.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pt")
REPOSITORY = "someone/tiny"  # the tests put the toy pipeline there
TOKEN = "hf_test"
READ_ONLY = "hf_read"


def git_blob_id(content: bytes) -> str:
    """Name a small file the way git and the Hub's ETag do."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """Commits of one repository: branch or tag -> commit -> path -> content."""

    private: bool = False
    gated: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes], *, branch: str = "main") -> str:
        """Add a commit with exactly these files; returns its id."""
        listing = "".join(f"{path}{git_blob_id(files[path])}" for path in sorted(files))
        commit = hashlib.sha1(f"{self.refs}{listing}".encode()).hexdigest()
        self.commits[commit] = files
        self.refs[branch] = commit
        return commit


@dataclass
class Hub:
    """What the server holds, what it was asked, and how it misbehaves.

    Attributes:
        asked: (method, path, Range header) of every request.
        cut: Path in a repository -> bytes after which to close the connection, once per entry.
        claimed_size: Path -> size to name instead of the true one.
        leaked: Tokens that were sent to the store of large files, where they do not belong.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cut: dict[str, list[int]] = field(default_factory=dict)
    claimed_size: dict[str, int] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    leaked: list[str] = field(default_factory=list)

    @property
    def store_url(self) -> str:
        """The same server under another host name, as the Hub's store of large files is."""
        return self.url.replace("127.0.0.1", "localhost")

    def put(self, name: str, files: dict[str, bytes], **facts: bool) -> str:
        """Make or extend a repository by one commit; returns the commit's id."""
        repository = self.repositories.setdefault(name, Repository(**facts))
        return repository.commit(files)

    def asked_for(self, text: str) -> list[tuple[str, str, str]]:
        """Return the requests whose path contains `text`."""
        return [request for request in self.asked if text in request[1]]


def files_of(folder: Path) -> dict[str, bytes]:
    """Read a folder as the files of a commit."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


class Handler(BaseHTTPRequestHandler):
    """Answers as the Hub does."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query)
        path = unquote(parts.path)
        self.hub.asked.append((self.command, path, self.headers.get("Range") or ""))
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method:
                return answer(self, **found.groupdict())
        return self.fail(404, "RepoNotFound", f"no such page: {path}")

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names

    def reply(self, value: object, status: int = 200, **headers: str) -> None:
        """Send JSON."""
        self.send(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def fail(self, status: int, code: str, message: str) -> None:
        """Send an error as the Hub marks it."""
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self.send(json.dumps({"error": message}).encode(), status, headers)

    def send(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None):
        """Send bytes."""
        self.send_response(status)
        named = {"Content-Length": str(len(content)), **(headers or {})}
        for name, value in named.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    @property
    def token(self) -> str:
        """The access token of the request."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def repository(self, name: str) -> Repository | None:
        """Find a repository that the asker may see, or fail as the Hub does."""
        if self.token not in ("", TOKEN, READ_ONLY):
            self.fail(401, "", "Invalid credentials in Authorization header")
            return None
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self.token):
            status = 404 if self.token else 401
            self.fail(status, "RepoNotFound", "Repository not found")
            return None
        return found

    def tree(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Find a commit's files."""
        repository = self.repository(name)
        if repository is None:
            return None
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return commit, repository.commits[commit]

    def size(self, path: str, content: bytes) -> int:
        """Return the size that the Hub names for a file."""
        return self.hub.claimed_size.get(path, len(content))

    # Reading

    def info(self, name: str, revision: str | None = None) -> None:
        found = self.tree(name, revision or "main")
        if found is None:
            return
        commit, files = found
        siblings = [self._sibling(path, content) for path, content in files.items()]
        repository = self.hub.repositories[name]
        gated = "auto" if repository.gated else False
        facts = {"private": repository.private, "gated": gated, "tags": [], "downloads": 0}
        self.reply({"id": name, "modelId": name, "sha": commit, "siblings": siblings, **facts})

    def _sibling(self, path: str, content: bytes) -> dict:
        entry: dict = {"rfilename": path}
        if "blobs" in self.query:
            entry |= {"size": self.size(path, content), "blobId": git_blob_id(content)}
            if path.endswith(LARGE):
                sha256 = hashlib.sha256(content).hexdigest()
                size = self.size(path, content)
                entry["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 130}
        return entry

    def list_tree(self, name: str, revision: str) -> None:
        found = self.tree(name, revision)
        if found is None:
            return
        entries = []
        for path, content in found[1].items():
            size = self.size(path, content)
            entry: dict = {"type": "file", "path": path, "size": size}
            entry["oid"] = git_blob_id(content)
            if path.endswith(LARGE):
                oid = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": oid, "size": size, "pointerSize": 130}
            entries.append(entry)
        self.reply(entries)

    def resolve(self, name: str, revision: str, path: str) -> None:
        found = self.tree(name, revision)
        if found is None:
            return
        commit, files = found
        if self.hub.repositories[name].gated and self.token != TOKEN:
            status = 403 if self.token else 401
            self.fail(status, "GatedRepo", "Access to this model is restricted")
            return
        if path not in files:
            self.fail(404, "EntryNotFound", "Entry not found")
            return
        content = files[path]
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(content).hexdigest()
            self.hub.objects[sha256] = content
            headers |= {
                "X-Linked-Size": str(self.size(path, content)),
                "X-Linked-Etag": f'"{sha256}"',
                "Location": f"{self.hub.store_url}/cdn/{sha256}/{path}",
            }
            self.send(b"", 302, headers)
            return
        self._content(path, content, headers | {"ETag": f'"{git_blob_id(content)}"'})

    def large(self, sha256: str, path: str) -> None:
        content = self.hub.objects[sha256]
        if self.token:
            self.hub.leaked.append(self.token)
        self._content(path, content, {"ETag": f'"{sha256}"'})

    def _content(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        status = 200
        total = len(content)
        start = 0
        if wanted:
            start, end = int(wanted[1]), int(wanted[2] or total - 1)
            content, status = content[start : end + 1], 206
            headers |= {"Content-Range": f"bytes {start}-{min(end, total - 1)}/{total}"}
        cuts = self.hub.cut.get(path, [])
        if cuts and self.command == "GET":
            stop = cuts.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[:stop])
            self.wfile.flush()
            self.close_connection = True
            return
        self.send(content, status, headers)

    # Writing

    def _may_write(self) -> bool:
        if self.token == TOKEN:
            return True
        status = 403 if self.token == READ_ONLY else 401
        self.fail(status, "", "Invalid username or password." if status == 401 else "Forbidden")
        return False

    def create(self) -> None:
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        if name in self.hub.repositories:
            self.fail(409, "", "You already created this model repo")
            return
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.put(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, private=bool(private))
        self.reply({"url": f"{self.hub.url}/{name}", "name": name})

    def branch(self, name: str, branch: str) -> None:
        if self._may_write():
            refs = self.hub.repositories[name].refs
            if branch in refs:
                self.fail(409, "", "Reference already exists")
                return
            refs[branch] = refs["main"]
            self.reply({})

    def validate(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        if not self._may_write() or self.tree(name, revision) is None:
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.reply({"files": files})

    def batch(self, name: str) -> None:
        objects = [
            {
                **item,
                "actions": {
                    "upload": {"href": f"{self.hub.url}/lfs/{item['oid']}"},
                    "verify": {"href": f"{self.hub.url}/verify"},
                },
            }
            for item in json.loads(self.body)["objects"]
        ]
        self.reply({"transfer": "basic", "objects": objects})

    def store(self, sha256: str) -> None:
        content = self.body or self._chunks()
        self.hub.objects[hashlib.sha256(content).hexdigest()] = content
        self.send(b"")

    def _chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def verify(self) -> None:
        asked = json.loads(self.body)
        held = self.hub.objects.get(asked["oid"])
        if held is None or len(held) != asked["size"]:
            self.fail(404, "", "object not there")
            return
        self.reply({})

    def commit(self, name: str, revision: str) -> None:
        found = self.tree(name, revision) if self._may_write() else None
        if found is None:
            return
        files = dict(found[1])
        lines = [json.loads(line) for line in self.body.splitlines()]
        for value in (line["value"] for line in lines if line["key"] != "header"):
            content = base64.b64decode(value["content"]) if "content" in value else None
            files[value["path"]] = self.hub.objects[value["oid"]] if content is None else content
        commit = self.hub.repositories[name].commit(files, branch=revision)
        url = f"{self.hub.url}/{name}/commit/{commit}"
        self.reply({"success": True, "commitOid": commit, "commitUrl": url})


_NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = [
    ("GET", rf"/api/models/{_NAME}", Handler.info),
    ("GET", rf"/api/models/{_NAME}/revision/(?P<revision>.+)", Handler.info),
    ("GET", rf"/api/models/{_NAME}/tree/(?P<revision>[^/]+)", Handler.list_tree),
    ("GET HEAD", rf"/{_NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.resolve),
    ("GET HEAD", r"/cdn/(?P<sha256>[0-9a-f]+)/(?P<path>.+)", Handler.large),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", rf"/api/models/{_NAME}/branch/(?P<branch>.+)", Handler.branch),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("POST", rf"/api/models/{_NAME}/preupload/(?P<revision>.+)", Handler.preupload),
    ("POST", r"/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/lfs/(?P<sha256>[0-9a-f]+)", Handler.store),
    ("POST", r"/verify", Handler.verify),
    ("POST", rf"/api/models/{_NAME}/commit/(?P<revision>.+)", Handler.commit),
]


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a Hub on a free port of this machine."""
    hub = Hub()
    handler = type("OwnHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
