"""Atlases through a hub: what is pushed comes back, and nothing else does."""

import json

import huggingface_hub
import pytest
import torch
from conftest import mixture
from fake_hub import GOOD, OTHER, FakeHub, Repo
from huggingface_hub import constants

import epkit
from epkit.share import push, read_published
from epkit.share.hub import INDEX, checksum, fetch_file
from epkit.share.push import write_repository

pytestmark = pytest.mark.slow

ABOUT = {
    "model": "someone/tiny", "revision": "abc", "corpus": "a|b\n<script>", "n_activations": 600,
    "seed": 0, "dtype": "float32", "stream": "s",
}  # fmt: skip


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub, and a client of it that starts with nothing and may write."""
    with FakeHub({}) as hub:
        for name, value in {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False, "HF_TOKEN_PATH": str(tmp_path / "none"),
        }.items():  # fmt: skip
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.url)
        monkeypatch.setenv("HF_TOKEN", GOOD)
        yield hub


def an_atlas(percentiles=(4, 2.5), seed=0):
    made = epkit.partition(mixture(600, 8, seed), percentiles, seed=0)
    for p, d in made.items():
        d.metadata.update(ABOUT | {"layer": 12, "percentile": p, "seed": seed})
    return {(12, p): d for p, d in made.items()}


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """{path: content} of what `push` uploads."""
    folder = tmp_path_factory.mktemp("pushed")
    write_repository(an_atlas(), folder, "me/atlas")
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def assert_equal(a, b):
    assert sorted(a) == sorted(b)
    for key in a:
        assert a[key].metadata == b[key].metadata
        assert torch.equal(a[key].exemplars, b[key].exemplars)
        assert torch.equal(a[key].counts, b[key].counts)


def one_sentence(error):
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_what_is_pushed_comes_back_by_name_and_by_commit(hub):
    first, second = an_atlas(), an_atlas((4,), seed=1)
    commit = push(first, "me/atlas")
    assert_equal(epkit.load_atlas("me/atlas"), first)
    push(second, "me/atlas", message="again")
    assert_equal(epkit.load_atlas("me/atlas"), second)
    assert_equal(epkit.load_atlas("me/atlas", revision=commit), first)
    files = hub.repos["models", "me/atlas"].files
    assert sorted(files) == [
        ".gitattributes", "README.md", INDEX,
        "layer12_p4/cfg.json", "layer12_p4/layer12_p4.safetensors",
        "layer12_p4/sae_weights.safetensors",
    ]  # fmt: skip


def test_only_the_list_and_the_dictionaries_are_fetched(hub, pushed):
    other = {"run.py": b"x", "layer12_p4/evil.pkl": b"x", "layer9_p9/layer9_p9.safetensors": b"x"}
    hub.repos["models", "me/atlas"] = Repo(pushed | other)
    assert len(epkit.load_atlas("me/atlas")) == 2
    fetched = {path for _, _, path in hub.served}
    assert not fetched & {"run.py", "layer12_p4/evil.pkl", "README.md"}


def test_sae_lens_loads_a_pushed_dictionary_by_its_folder(hub, pushed):
    sae_lens = pytest.importorskip("sae_lens", reason="sae-lens is in the test extra")
    hub.repos["models", "me/atlas"] = Repo(pushed)
    sae = sae_lens.SAE.from_pretrained("me/atlas", "layer12_p4")
    x = mixture(600, 8, 0)
    d = epkit.load_atlas("me/atlas")[12, 4]
    assert torch.equal(sae.encode(x).argmax(1), d.assign(x)[0])


def test_the_card_says_how_it_was_made_and_nothing_of_it_is_markup(hub):
    atlas = an_atlas()
    push(atlas, "me/atlas")
    card = hub.repos["models", "me/atlas"].files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: saelens\n")
    assert "base_model: someone/tiny" in card
    assert "| texts | a\\|b \\<script\\> |" in card
    for (layer, p), d in atlas.items():
        assert f"| layer12_p{p} | {layer} | {p} | {d.threshold:.4f} | {len(d):,} |" in card
    assert 'epkit.load_atlas("me/atlas")' in card
    assert 'SAE.from_pretrained("me/atlas", "layer12_p4")' in card


def test_every_file_has_its_checksum(pushed, tmp_path):
    sums = json.loads(pushed[INDEX])["files"]
    assert set(sums) == set(pushed) - {INDEX}
    for name, value in sums.items():
        (tmp_path / "file").write_bytes(pushed[name])
        assert checksum(tmp_path / "file") == value


def other_bytes(files):
    name = "layer12_p4/layer12_p4.safetensors"
    return {name: files[name][:-4] + b"\x00\x00\x00\x3f"}


def other_index(content):
    return lambda files: {INDEX: content}


def unsound(files):
    """A file of right checksum that is no sound dictionary."""
    name = "layer12_p4/layer12_p4.safetensors"
    index = json.loads(files[INDEX])
    index["files"] = {name: index["files"]["layer12_p4/sae_weights.safetensors"]}
    weights = files["layer12_p4/sae_weights.safetensors"]
    return {INDEX: json.dumps(index).encode(), name: weights}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_bytes, "checksum does not match"),
        (unsound, "is not a dictionary"),
        (other_index(b"{"), "no list"),
        (other_index(b"[" * 100_000), "no list"),
        (other_index(b"[]"), "no list"),
        (other_index(b'{"format": 2, "files": {}}'), "format is 2"),
        (other_index(b'{"format": 1, "files": {}}'), "names no dictionaries"),
        (other_index(b'{"format": 1, "files": {"../../x.safetensors": "0"}}'), "no dictionaries"),
        (
            other_index(b'{"format": 1, "files": {"layer1_p1/layer1_p1.safetensors": "0"}}'),
            "lacks layer1_p1",
        ),
        (
            other_index(b'{"format": 1, "files": {"layer12_p4/layer12_p4.safetensors": 3}}'),
            "names no",
        ),
    ],
)
def test_what_was_altered_is_refused(hub, pushed, change, said):
    hub.repos["models", "me/atlas"] = Repo(pushed | change(pushed))
    with pytest.raises(ValueError, match=said) as error:
        epkit.load_atlas("me/atlas")
    one_sentence(error)


@pytest.mark.parametrize("token", [None, OTHER])
def test_a_token_that_may_not_write_is_one_sentence(hub, token, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(RuntimeError, match="may write there") as error:
        push(an_atlas((4,)), "me/atlas")
    one_sentence(error)


@pytest.mark.parametrize(
    ("name", "revision", "kind", "said"),
    [
        ("me/nothing", None, FileNotFoundError, "neither a folder here"),
        ("me/empty", None, FileNotFoundError, "no atlas"),
        ("me/empty", "nowhere", FileNotFoundError, "has no revision 'nowhere'"),
        ("me/gated", None, RuntimeError, "gated"),
        ("no/such/folder", None, FileNotFoundError, "no dictionaries"),
        ("no/such/folder", "main", ValueError, "revision"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(hub, monkeypatch, name, revision, kind, said):
    hub.repos["models", "me/empty"] = Repo({"README.md": b"x"})
    hub.repos["models", "me/gated"] = Repo({INDEX: b"{}"}, gated=True)
    monkeypatch.setenv("HF_TOKEN", OTHER)
    with pytest.raises(kind, match=said) as error:
        epkit.load_atlas(name, revision=revision)
    one_sentence(error)


def test_a_hub_that_does_not_answer(hub, monkeypatch):
    push(an_atlas((4,)), "me/atlas")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for call in (lambda: epkit.load_atlas("me/atlas"), lambda: push(an_atlas((4,)), "me/atlas")):
        with pytest.raises(RuntimeError, match="check the network") as error:
            call()
        one_sentence(error)


@pytest.mark.parametrize("repo", ["atlas", "a/b/c", "", 3, "../x", "me/at las"])
def test_a_name_that_is_none(repo):
    with pytest.raises(ValueError, match="user/repo") as error:
        push(an_atlas((4,)), repo)
    one_sentence(error)


def test_a_published_file_on_the_hub(hub, tmp_path):
    from published_files import write_published

    write_published(tmp_path / "d.pkl", 5, 8)
    files = {"g_L12/g.pkl": (tmp_path / "d.pkl").read_bytes()}
    hub.repos["datasets", "someone/ep"] = Repo(files)
    assert len(read_published("someone/ep/g_L12/g.pkl", show_progress=False)) == 5
    with pytest.raises(FileNotFoundError, match=r"has no file g_L12/h\.pkl") as error:
        fetch_file("someone/ep", "g_L12/h.pkl", kind="dataset")
    one_sentence(error)
