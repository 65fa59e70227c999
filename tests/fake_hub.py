"""A model hub on this machine: enough of its protocol for `huggingface_hub` and `datasets`.

Repositories hold the files that the real ones hold, under their names and with their columns, but
tiny. A client is pointed at it by `HF_ENDPOINT`. Two tokens exist: GOOD may read gated ones,
OTHER is known and may not. A file can be made to break off in the middle, some times or always.

Served: repository information, lists of files, files whole or in ranges, with the hub's headers
and error codes. Taken: new repositories, and commits of files in the request itself (no LFS), from
GOOD. Not served: redirects to a content network, xet. `revision` is known where a commit was
uploaded; "nowhere" is no revision of any repository, every other one is the newest state.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import re
import threading
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import transformers
import zstandard
from tiny_models import SHAPE, tiny_tokenizer

GOOD, OTHER = "hf_good", "hf_other"
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}<{{ m['role'] }}>{{ m['content'] | trim }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@dataclass
class Repo:
    """One repository: {path: content}. Its commit changes with its content."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = field(init=False)

    def __post_init__(self):
        digest = hashlib.sha1()
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + content)
        self.commit = digest.hexdigest()


class FakeHub:
    """A server; a context manager. `repos` is {("models" | "datasets", "owner/name"): Repo}.

    `breaks` is {path: how often a download of it breaks off in its middle}, `served` counts the
    bodies sent by (kind, repository, path), `ranges` lists the ranges asked for.
    """

    def __init__(self, repos):
        self.repos, self.breaks = dict(repos), {}
        self.past = {}  # {commit: Repo} of what was uploaded
        self.served, self.ranges = Counter(), []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.do_GET()

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        if path == "/":
            return self._send(200, b"a hub")
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(.*))?", path):
            return self._api(*found.groups(), dict(urllib.parse.parse_qsl(url.query)), body)
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, name, revision, file = found.groups()
            return self._file("datasets" if kind else "models", name, file, revision)
        return self._send(404)

    def _api(self, kind, name, rest, query, body):
        repo = self.hub.repos.get((kind, name))
        if repo is None:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        rest = rest or ""
        if rest.startswith(("preupload/", "commit/")):
            return self._write(kind, name, rest.split("/")[0], body)
        revision = rest.split("/")[1] if "/" in rest else "main"
        if revision == "nowhere":
            return self._refuse(404, "RevisionNotFound", "Revision not found")
        repo = self.hub.past.get(revision, repo)
        if not rest or re.fullmatch("revision/[^/]+", rest):
            files = [{"rfilename": path} for path in sorted(repo.files)]
            about = {"id": name, "sha": repo.commit, "siblings": files, "private": False}
            about |= {"gated": "auto" if repo.gated else False, "tags": [], "downloads": 0}
            about |= {"likes": 0, "lastModified": "2025-01-01T00:00:00.000Z"}
            return self._json(about)
        if repo.gated and not self._allowed():
            return self._gate(name)
        if found := re.fullmatch("tree/[^/]+(?:/(.*))?", rest):
            below = found[1] + "/" if found[1] else ""
            deep = query.get("recursive", "").lower() in ("true", "1")
            tree = _tree(repo, below, deep)
            return self._json(tree) if tree else self._refuse(404, "EntryNotFound", "no such path")
        if re.fullmatch("paths-info/[^/]+", rest):
            try:
                paths = json.loads(body)["paths"]
            except ValueError:
                paths = urllib.parse.parse_qs(body.decode())["paths"]
            tree = _tree(repo, "", True)
            return self._json([entry for entry in tree if entry["path"] in paths])
        return self._send(404)

    def _create(self, wanted):
        if not self._allowed():
            return self._refuse(401, "", "Invalid username or password.")
        name = (
            wanted["name"]
            if "/" in wanted["name"]
            else f"{wanted['organization']}/{wanted['name']}"
        )
        about = {"url": f"{self.hub.url}/{name}", "id": name}
        if ("models", name) in self.hub.repos:
            there = json.dumps(about | {"error": "You already created this model repo"})
            return self._send(409, there.encode(), {"Content-Type": "application/json"})
        self.hub.repos["models", name] = Repo({".gitattributes": b"*.safetensors"})
        return self._json(about)

    def _write(self, kind, name, step, body):
        if not self._allowed():
            return self._refuse(403, "", "You have no right to write here")
        if step == "preupload":
            paths = [file["path"] for file in json.loads(body)["files"]]
            plain = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            return self._json({"files": [{"path": path} | plain for path in paths]})
        files = dict(self.hub.repos[kind, name].files)
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                del files[entry["value"]["path"]]
        self.hub.repos[kind, name] = repo = Repo(files)
        self.hub.past[repo.commit] = repo
        url = f"{self.hub.url}/{name}/commit/{repo.commit}"
        return self._json({"commitOid": repo.commit, "commitUrl": url, "hookOutput": ""})

    def _file(self, kind, name, path, revision="main"):
        repo = self.hub.repos.get((kind, name))
        if repo is None:
            return self._refuse(401, "RepoNotFound", "Repository not found")
        if revision == "nowhere":
            return self._refuse(404, "RevisionNotFound", "Revision not found")
        repo = self.hub.past.get(revision, repo)
        if repo.gated and not self._allowed():
            return self._gate(name)
        if path not in repo.files:
            return self._refuse(404, "EntryNotFound", "Entry not found", repo.commit)
        content, status = repo.files[path], 200
        headers = {
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": repo.commit,
            "Accept-Ranges": "bytes",
        }  # fmt: skip
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, size = int(found[1]), len(content)
            end = min(int(found[2]) if found[2] else size - 1, size - 1)
            if start >= size:
                return self._send(416, b"", {"Content-Range": f"bytes */{size}"})
            content, status = content[start : end + 1], 206
            headers["Content-Range"] = f"bytes {start}-{end}/{size}"
            self.hub.ranges.append((path, start))
        if self.command != "HEAD":
            self.hub.served[kind, name, path] += 1
        cut = self.command != "HEAD" and self.hub.breaks.get(path, 0)
        if cut:
            self.hub.breaks[path] -= 1
        return self._send(status, content, headers, len(content) // 2 if cut else None)

    def _allowed(self):
        return self.headers.get("Authorization") == f"Bearer {GOOD}"

    def _gate(self, name):
        if self.headers.get("Authorization") is None:
            said = f"Access to model {name} is restricted. You must have access to it and be"
            return self._refuse(401, "GatedRepo", said)
        said = f"Access to model {name} is restricted and you are not in the authorized list."
        return self._refuse(403, "GatedRepo", said)

    def _refuse(self, status, code, said, commit=None):
        headers = {"X-Error-Code": code, "X-Error-Message": said}
        if commit:
            headers["X-Repo-Commit"] = commit
        body = json.dumps({"error": said}).encode()
        return self._send(status, body, headers | {"Content-Type": "application/json"})

    def _json(self, content):
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body=b"", headers=None, cut=None):
        """`cut`: break the connection after so many bytes of the body."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True


def _tree(repo, below, deep):
    found = {}
    for path, content in sorted(repo.files.items()):
        if not path.startswith(below):
            continue
        parts = path[len(below) :].split("/")
        for i in range(1, len(parts)):
            folder = below + "/".join(parts[:i])
            found[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if not deep:
                break
        if deep or len(parts) == 1:
            oid = hashlib.sha1(content).hexdigest()
            found[path] = {"type": "file", "path": path, "oid": oid, "size": len(content)}
    return list(found.values())


# ---- what the real repositories hold, tiny ------------------------------------------------------


def repositories(folder):
    """{(kind, name): Repo} for every hub name of the sources table; `folder` is for scratch."""
    base = _model(folder / "base", torch.float32, None)
    tuned = _model(folder / "tuned", torch.bfloat16, GEMMA_TEMPLATE, seed=1)
    models = {
        "google/gemma-2-2b": Repo(base, gated=True),
        "google/gemma-2-2b-it": Repo(tuned, gated=True),
        "google/gemma-3-270m": Repo(base, gated=True),
        "HuggingFaceTB/SmolLM2-135M-Instruct": Repo(tuned),
        "Qwen/Qwen2.5-Coder-0.5B-Instruct": Repo(tuned),
        "google/gemma-scope-2b-pt-res": Repo(
            {"layer_20/width_16k/average_l0_71/params.npz": _sae()}
        ),
    }
    sets = {name: Repo(files) for name, files in (_prose() | _code() | _prompts()).items()}
    sets |= {f"pyvene/axbench-{name}": Repo(_axbench()) for name in ("concept500", "concept10")}
    sets["pyvene/axbench-conceptFD"] = Repo(_axbench())
    return {("models", name): repo for name, repo in models.items()} | {
        ("datasets", name): repo for name, repo in sets.items()
    }


def _model(folder, dtype, template, seed=0):
    """Gemma-2-shaped weights with a tokenizer and, if given, a template."""
    tokenizer = tiny_tokenizer(chat=False)
    tokenizer.chat_template = template
    return saved(gemma2(dtype, seed), tokenizer, folder)


def gemma2(dtype, seed=0, **shape):
    """Gemma-2-shaped random weights, with Gemma's longest text."""
    torch.manual_seed(seed)
    shape = SHAPE | {"max_position_embeddings": 8192} | shape
    config = transformers.Gemma2Config(**shape, sliding_window=8, query_pre_attn_scalar=8)
    return transformers.Gemma2ForCausalLM(config).to(dtype)


def saved(module, tokenizer, folder):
    """{path: content} of a model's repository; float32 weights are in several shards."""
    module.save_pretrained(
        folder, max_shard_size="40KB" if module.dtype == torch.float32 else "5GB"
    )
    tokenizer.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return files | {"README.md": b"---\nlicense: gemma\n---\n", "original/weights.bin": b"pickle"}


def _sae():
    rng, file = np.random.default_rng(0), io.BytesIO()
    shapes = {"W_enc": (16, 24), "W_dec": (24, 16), "b_enc": 24, "b_dec": 16, "threshold": 24}
    np.savez(file, **{n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()})
    return file.getvalue()


def parquet(**columns):
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file)
    return file.getvalue()


def json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _prose():
    pile = [
        {"text": f"Passage {i} of the Pile.", "meta": {"pile_set_name": "C4"}} for i in range(60)
    ]
    articles = [f"Статия номер {i} за нещо." for i in range(60)]
    numbers = [str(i) for i in range(60)]
    wiki = parquet(id=numbers, url=numbers, title=numbers, text=articles)
    card = (
        "---\nconfigs:\n- config_name: 20231101.bg\n  data_files:\n  - split: train\n"
        "    path: 20231101.bg/train-*\n---\n"
    )
    return {
        "monology/pile-uncopyrighted": {
            "README.md": b"---\nlicense: other\n---\n",
            "train/00.jsonl.zst": zstandard.compress(json_lines(pile[:30])),
            "train/01.jsonl.zst": zstandard.compress(json_lines(pile[30:])),
        },
        "wikimedia/wikipedia": {
            "README.md": card.encode(),
            "20231101.bg/train-00000-of-00001.parquet": wiki,
            "20231101.aa/train-00000-of-00001.parquet": wiki,
        },
        "openai/gsm8k": {
            "main/train-00000-of-00001.parquet": parquet(
                question=[f"What is {i} + 1?" for i in range(30)],
                answer=[f"It is #### {i + 1}" for i in range(30)],
            ),
            "socratic/train-00000-of-00001.parquet": b"not read",
        },
    }


def _code():
    programs = {
        split: parquet(
            task_id=list(range(15)), text=[f"{split} task {i}" for i in range(15)],
            code=[f"def f{i}(): pass" for i in range(15)],
        )
        for split in ("train", "test", "validation", "prompt")
    }  # fmt: skip
    return {
        "openai/openai_humaneval": {
            "openai_humaneval/test-00000-of-00001.parquet": parquet(
                task_id=[f"HumanEval/{i}" for i in range(15)],
                prompt=[f"def g{i}(x):\n" for i in range(15)],
                canonical_solution=["    return x\n"] * 15,
            )
        },
        "google-research-datasets/mbpp": {
            f"full/{split}-00000-of-00001.parquet": content for split, content in programs.items()
        },
    }


def _prompts():
    chats = [
        {"chosen": f"\n\nHuman: Question {i}?\n\nAssistant: Yes.", "rejected": "\n\nHuman: x"}
        for i in range(30)
    ]
    chats.append({"chosen": "\n\nHuman: Hm.\n\nHuman: Well?\n\nAssistant: Yes.\n\nAssistant: No."})
    chats.append({"chosen": "\n\nAssistant: I speak first.\n\nHuman: Oh."})
    red = [{"chosen": "\n\nHuman: red teaming\n\nAssistant: no", "rejected": ""}]
    goals = [f"Do harm number {i}" for i in range(12)]  # the first ones are AdvBench's as well
    table = pd.DataFrame(
        {"Index": range(12), "Goal": goals, "Target": "Sure", "Source": "AdvBench"}
    )
    return {
        "Anthropic/hh-rlhf": {
            f"{name}/{split}.jsonl.gz": gzip.compress(json_lines(rows))
            for name, rows in (("harmless-base", red), ("helpful-base", chats))
            for split in ("train", "test")
        },
        "tatsu-lab/alpaca": {
            "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet": parquet(
                instruction=[f"Name {i} fruits." for i in range(40)], input=[""] * 40,
                output=["..."] * 40, text=["..."] * 40,
            )
        },
        "JailbreakBench/JBB-Behaviors": {
            "data/harmful-behaviors.csv": table.to_csv(index=False).encode(),
            "data/benign-behaviors.csv": table.assign(Goal="benign").to_csv(index=False).encode(),
        },
    }  # fmt: skip


def _axbench():
    """Two concepts of one genre in the published columns."""
    rows = [
        {
            "input": "q", "output": f"{category} {i}", "output_concept": f"concept {number}",
            "concept_genre": "text", "category": category, "concept_id": number,
        }
        for number in (0, 1)
        for i in range(3)
        for category in ("positive", "negative", "hard negative")
    ]  # fmt: skip
    train = pd.DataFrame(rows).query("category != 'hard negative'").copy()
    train.loc[train.category == "negative", "concept_id"] = -1
    test = pd.DataFrame(rows).assign(sae_id=7)
    files = {}
    for split, table in (("train", train), ("test", test)):
        file = io.BytesIO()
        table.to_parquet(file)
        files[f"2b/l20/{split}/data.parquet"] = file.getvalue()
    return files
