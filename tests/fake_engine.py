"""An engine that answers the SDK's queries from a table, and remembers every chain that was forced.

It serves the real schema, so the real SDK talks to it. A chain is written as the calls that made
it: `container.from(address='golang:1.26')`; an object argument is written as its own chain in <>.
Run as a program it is a session process: it takes --events and ends when stdin does.
"""

import base64
import fnmatch
import json
import re
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from graphql import FieldNode, InlineFragmentNode, parse
from graphql.language import ListValueNode, ObjectValueNode

SCHEMA = Path(__file__).parent.parent / "pipelines" / "engine" / "api" / "schema.json"
TOKEN = "secret-token"
LEAVES = (
    "id", "sync", "version", "entries", "contents", "glob", "stdout", "export", "name", "platform",
    "defaultPlatform", "digest",
)  # fmt: skip


def searched(files, pattern, globs):
    """Give the lines of files that match, as `Directory.search` does."""
    wanted = re.compile(pattern)
    return [
        {"path": path, "number": number, "text": f"{line}\n"}
        for path, text in files.items()
        if any(fnmatch.fnmatch(path.rpartition("/")[2], glob) for glob in globs)
        for number, line in enumerate(text.splitlines(), 1)
        if wanted.search(line)
    ]


class ExecFails(Exception):
    pass


class FakeEngine:
    def __init__(self, files=None, failing=(), outputs=None):
        self.files = files or {}
        self.failing = [list(args) for args in failing]
        self.outputs = outputs or {}
        self.forced = []
        self.spans = []
        self._ids = {}
        self._server = None

    @property
    def port(self):
        return self._server.server_address[1]

    @contextmanager
    def serving(self):
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                expected = base64.b64encode(f"{TOKEN}:".encode()).decode()
                allowed = self.headers["authorization"] == f"Basic {expected}"
                answer = engine.answer(json.loads(body)["query"]) if allowed else b"no"
                engine.spans.append((self.headers["traceparent"] or "--").split("-")[2])
                self.send_response(200 if allowed else 401)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def answer(self, query):
        if "__schema" in query:
            return SCHEMA.read_bytes()
        try:
            [operation] = parse(query).definitions
            return json.dumps({"data": self._object(operation.selection_set, "")}).encode()
        except ExecFails as exc:
            args = exc.args[0]
            fields = {"cmd": args, "exitCode": 3, "stdout": "out\n", "stderr": "main.go:3: no\n"}
            extensions = {"_type": "EXEC_ERROR", **fields}
            error = {"message": "exit code: 3", "extensions": extensions}
            return json.dumps({"data": None, "errors": [error]}).encode()

    def _object(self, selections, chain):
        result = {}
        for node in selections.selections:
            if isinstance(node, InlineFragmentNode):
                return self._object(node.selection_set, chain)
            result[(node.alias or node.name).value] = self._field(node, chain)
        return result

    def _field(self, node: FieldNode, chain):
        name = node.name.value
        args = {a.name.value: self._value(a.value) for a in node.arguments or ()}
        if name == "node":
            return self._object(node.selection_set, self._ids[args["id"]])
        if name in LEAVES:
            return self._leaf(name, args, chain)
        if name == "search":
            return searched(self.files, args["pattern"], args["globs"])
        shown = ", ".join(f"{k}={self._shown(v)}" for k, v in args.items())
        call = f"{name}({shown})" if shown else name
        if name == "withExec" and args["args"] in self.failing:
            call += "!"
        return self._object(node.selection_set, f"{chain}.{call}" if chain else call)

    def _leaf(self, name, args, chain):
        if name in ("sync", "stdout", "export"):
            self.forced.append(chain)
            for failing in self.failing:
                if f"withExec(args={failing})!" in chain:
                    raise ExecFails(failing)
        match name:
            case "id" | "sync":
                self._ids[f"id-{hash(chain)}"] = chain
                return f"id-{hash(chain)}"
            case "entries":
                below = [f.split("/")[0] + "/" * ("/" in f) for f in self._files(args.get("path"))]
                return sorted(set(below))
            case "glob":
                return [f for f in self.files if self._matches(f, args["pattern"])]
            case "contents":
                return self.files[chain.rpartition(".file(path='")[2].removesuffix("')")]
            case "platform" | "defaultPlatform":
                return self.outputs.get(name, "linux/amd64")
            case "stdout":
                return self.outputs.get("stdout", "ok\n")
        return args.get("path", "v0.21.8")

    def _files(self, path):
        prefix = f"{path}/" if path else ""
        return [f.removeprefix(prefix) for f in self.files if f.startswith(prefix)]

    def _matches(self, file, pattern):
        return fnmatch.fnmatch(file, pattern) or fnmatch.fnmatch(file, pattern.removeprefix("**/"))

    def _value(self, node):
        if isinstance(node, ListValueNode):
            return [self._value(v) for v in node.values]
        if isinstance(node, ObjectValueNode):
            return {field.name.value: self._value(field.value) for field in node.fields}
        return node.value

    def _shown(self, value):
        if isinstance(value, list):
            return "[" + ", ".join(self._shown(v) for v in value) + "]"
        known = isinstance(value, str) and value in self._ids
        return f"<{self._ids[value]}>" if known else repr(value)


def main():
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    with open(int(options["--events"]), "w", encoding="utf-8") as events:
        events.write(json.dumps({"event": "warning", "text": f"jobs {options.get('--jobs')}"}))
        events.write("\n")
    print("last words", file=sys.stderr, flush=True)
    with FakeEngine().serving() as engine:
        print(json.dumps({"port": engine.port, "session_token": TOKEN}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
