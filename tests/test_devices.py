"""Everything that takes tensors, on a device: same values, no meeting of far and near.

Where there is no CUDA the device is `far_device`, which refuses what CUDA would refuse.
"""

from dataclasses import fields, is_dataclass, replace

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import mixture
from fake_stream import FakeStream
from plot_examples import partition as with_members
from region_examples import TEXTS, WordTokenizer, example_dictionary
from tiny_models import tiny_gemma2, tiny_gpt2
from torch import Tensor

import epkit
from epkit import controls, interventions, matching, members, plots, readouts, stats, sums
from epkit.blocks.nearest import nearest
from epkit.build import build, build_from
from epkit.geometry import directions
from epkit.inspect.card import card_html
from epkit.inspect.explorer import RegionExplorer
from epkit.inspect.page import export_html
from epkit.inspect.regions import Regions
from epkit.inspect.tables import region_table
from epkit.lm.activations import ActivationStream
from epkit.lm.generate import generate, perplexity
from epkit.lm.lens import logit_lens
from epkit.lm.store import cached
from epkit.lm.trace import trace_prompt
from epkit.monitor import OODMonitor
from epkit.share import sae, saelens
from epkit.studies.axbench import methods as axbench
from epkit.studies.axbench import probes
from epkit.studies.neighbourhoods import neighbours
from epkit.studies.neighbourhoods.memberships import overlap
from epkit.studies.ood import plots as ood_plots
from epkit.studies.ood import scores as ood
from epkit.studies.refusal import regions as refusal
from epkit.studies.sae_and_probes import decoding, equal_support, probing
from epkit.studies.saturation import estimates, growth, orders
from epkit.studies.stability import distances, recurrence, variants

pytestmark = pytest.mark.slow

X = mixture(420, 12)
Y = mixture(90, 12, seed=1)
FLAGS = torch.arange(len(X)) % 3 == 0
QUIET = {"checkpoint": False, "keep": False, "show_progress": False}


def example():
    """A dictionary of X with members, on the CPU."""
    return with_members(420, 12, 2, 1)


def near(value):
    """A result with every tensor in it on the CPU."""
    if isinstance(value, Tensor):
        return value.cpu().to_dense() if value.layout == torch.sparse_coo else value.cpu()
    if isinstance(value, np.ndarray | str | int | float | bool | None):
        return value
    if isinstance(value, pd.DataFrame):
        return value.reset_index().to_dict("list")
    if is_dataclass(value):
        return {f.name: near(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): near(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [near(one) for one in value]
    return repr(value)


def alike(a, b, where=""):
    """Whether two results of `near` are equal, numbers to float32."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert set(a) == set(b), where
        return all(alike(a[key], b[key], f"{where}.{key}") for key in a)
    if isinstance(a, list):
        assert len(a) == len(b), where
        pairs = enumerate(zip(a, b, strict=True))
        return all(alike(*pair, f"{where}[{i}]") for i, pair in pairs)
    if isinstance(a, Tensor | np.ndarray | float):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=where)
        return True
    assert a == b, where
    return True


def devices_of(value) -> set[str]:
    """Where the tensors of a result lie; members stay on the CPU."""
    if isinstance(value, Tensor):
        return {value.device.type}
    if is_dataclass(value):
        value = [getattr(value, f.name) for f in fields(value) if f.name != "members"]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set().union(*map(devices_of, value))
    return set()


# ---- the far device itself ----------------------------------------------------------------------

MEETINGS = {
    "product": lambda x, y: x @ y.T,
    "sum": lambda x, y: x + y,
    "in place": lambda x, y: y.add_(x),
    "cat": lambda x, y: torch.cat([y, x]),
    "where": lambda x, y: torch.where(x > 0, x, y),
    "a far mask of near rows": lambda x, y: y[x[:, 0] > 0],
    "a near value": lambda x, y: x.index_put_((torch.tensor([0]),), y[:1]),
    "sparse": lambda x, y: torch.sparse.mm(x.to_sparse(), y.T),
    "numpy": lambda x, y: x.numpy(),
    "an array": lambda x, y: np.asarray(x),
    "a generator": lambda x, y: torch.randperm(3, device=x.device, generator=torch.Generator()),
}


@pytest.mark.parametrize("meeting", MEETINGS.values(), ids=MEETINGS)
def test_far_and_near_do_not_meet(far, meeting):
    with pytest.raises((RuntimeError, TypeError), match=r"(?i)device|cpu"):
        meeting(X[:12].to(far), X[:12].clone())


def test_what_may_cross(far):
    x = X[:12].to(far)
    x[torch.tensor([0, 1])] = 2.0
    x[[2, 3]] = torch.tensor(3.0)
    assert (x * torch.tensor(2.0)).device.type == x[torch.arange(2)].device.type == "cuda"
    assert x.cpu()[:4, 0].tolist() == x[:4, 0].tolist() == [2, 2, 3, 3]
    assert x.new_tensor([1.0]).device == torch.tensor([1], device="cuda").device == x.device
    assert torch.zeros(2, 3).copy_(x[:2, :3]).device.type == "cpu"
    assert float(x[0, 0]) == x.cpu().numpy()[0, 0] == 2


# ---- the method ---------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["half", "single", "auto"])
def test_clustering_gives_the_same_bytes(far, precision):
    cal = epkit.calibrate(X, [2], device="cpu")
    made = []
    for device in ("cpu", far):
        there = epkit.calibrate(X.to(device), [2], device=device)
        assert there.thresholds == cal.thresholds
        part = epkit.LeaderClustering(there.centre, there.thresholds[2], device, precision)
        for batch in X.split(170):
            part.partial_fit(batch)
        again = epkit.LeaderClustering(there.centre, there.thresholds[2], device, precision)
        again.load_state(part.state())
        made += [part.dictionary(), again.partial_fit(X[:50]).dictionary()]
        assert devices_of(made[-1]) == {torch.device(device).type}
    for one, two in zip(made[:2], made[2:], strict=True):
        for name, value in near(one).items():
            if isinstance(value, Tensor):
                other = getattr(two, name).cpu()
                assert value.numpy().tobytes() == other.numpy().tobytes(), name


@pytest.mark.parametrize("given", ["far", "near"])
def test_a_partition_and_a_calibration_of_given_activations(far, given):
    x = X.to(far) if given == "far" else X
    d = epkit.partition(x, [2, 4], order=3, device=far)
    assert devices_of(d) == {"cuda"}
    assert alike(near(d), near(epkit.partition(X, [2, 4], order=3, device="cpu")))
    centre = d[2].centre
    own = epkit.calibrate(x, [2], centre=centre, max_rows=200, device=far)
    alone = epkit.calibrate(X, [2], centre=centre.cpu(), max_rows=200, device="cpu")
    assert alike(near(own), near(alone))
    assert devices_of(epkit.partition(x, [2], calibration=own, device=far)) == {"cuda"}
    order = torch.arange(len(X)).flip(0).to(far)
    assert devices_of(epkit.partition(x, [2], order=order, device=far)) == {"cuda"}


def test_a_build_leaves_its_dictionaries_where_it_clustered(far, tmp_path):
    activations = {1: X, 3: mixture(420, 12, seed=5)}
    made = {}
    for device in ("cpu", far):
        stream = FakeStream(activations)
        stream.activations = {layer: x.to(device) for layer, x in activations.items()}
        made[device] = build_from(stream, [2, 5], 400, n_calibration=200, device=device, **QUIET)
        assert devices_of(made[device]) == {torch.device(device).type}
    assert {d.members.tokens.device.type for d in made[far].values()} == {"cpu"}
    for key, d in made["cpu"].items():  # whose key names its device
        other = made[far][key]
        metadata = d.metadata | {"build": other.metadata["build"]}
        assert alike(near(replace(d, metadata=metadata)), near(other))
    epkit.save_atlas(made[far], tmp_path / "atlas")
    assert alike(near(epkit.load_atlas(tmp_path / "atlas")), near(made[far]))


def test_a_kept_build_is_loaded_where_it_would_be_made(far, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    options = {"n_calibration": 200, "device": far, "show_progress": False}
    first = build_from(FakeStream({1: X}), [2], 400, **options)
    second = build_from(FakeStream({1: X}), [2], 400, **options)
    assert devices_of(first) == devices_of(second) == {"cuda"}
    assert alike(near(first), near(second))


def test_an_interrupted_build_goes_on_there(far, tmp_path):
    options = {"n_calibration": 60, "device": far, "keep": False, "show_progress": False}
    options |= {"checkpoint": tmp_path / "state", "checkpoint_every": 0.0}
    stream = FakeStream({1: X}, 6)
    stream.activations = {1: X.to(far)}
    stream.stop_after = 3
    with pytest.raises(KeyboardInterrupt):
        build_from(stream, [2], 400, **options)
    stream.stop_after = None
    found = build_from(stream, [2], 400, **options)
    assert alike(near(found), near(build_from(stream, [2], 400, **options)))


# ---- what takes a dictionary and tensors --------------------------------------------------------


def sparse_example():
    return readouts.top_k(example(), Y, 3)


def sums_of(d, x):
    total = sums.RegionSums.empty(len(d), x.shape[1], d.centre.device)
    u = d.directions(x)
    total.add(u, *nearest(u, d.exemplars))
    return [total.counts, total.directions, sums.RegionSums.from_state(total.state(len(d))).counts]


def collected(d, x):
    collector = members.MemberCollector(0, d.centre.device)
    region, distance = d.assign(x)
    collector.update(0, region, distance, len(d))
    tokens = torch.arange(len(x), dtype=torch.int32)
    kept = collector.members(tokens, tokens[:1] + len(x), tokens >= 0)
    return [kept, kept.of(0), kept.token_of(torch.arange(3).to(d.centre.device))]


STAYS = {
    "assign": lambda d, x: d.assign(x),
    "distances": lambda d, x: d.distances(x),
    "directions": lambda d, x: d.directions(x),
    "recount": lambda d, x: d.recount(x),
    "recount batches": lambda d, x: d.recount(list(x.split(40))),
    "refine": lambda d, x: d.refine(x, rounds=2),
    "signed": readouts.signed,
    "cosine": readouts.cosine,
    "distance": readouts.distance,
    "one-hot": readouts.one_hot,
    "top-k": lambda d, x: readouts.top_k(d, x, 3, normalise=True),
    "Otsu": readouts.otsu_cut,
    "least squares": lambda d, x: readouts.least_squares(d, x, 3),
    "decode": lambda d, x: readouts.decode(d, readouts.cosine(d, x)),
    "decode sparse": lambda d, x: readouts.decode(d, readouts.top_k(d, x, 3)),
    "decode near": lambda d, x: readouts.decode(d, sparse_example()),
    "random": lambda d, x: controls.random_dictionary(d, torch.cat([x] * 5), seed=1),
    "matched": lambda d, x: controls.matched_regions(d, int(d.counts.argmax()), n=3),
    "between": lambda d, x: matching.between(d, 0, 1, basis="mean"),
    "sums": sums_of,
    "reanchor": lambda d, x: variants.reanchor(d.recount(X), X),
    "merge": lambda d, x: variants.merge(d, x, d.threshold * 1.2),
    "dense first": lambda d, x: variants.dense_first(d.directions(x), d.threshold, n_pilot=30),
    "average": lambda d, x: variants.average(d, d, matching.match(d, d).pairs, x),
    "neighbour distance": lambda d, x: ood.neighbour_distance(d.directions(x), d.exemplars, 3),
    "made up": lambda d, x: neighbours.directions_like(d.directions(X), 4),
}
COMES = {
    "repr": lambda d, x: [repr(d), d.n, d.saturated_at(20)],
    "growth": lambda d, x: d.growth(),
    "cosines": lambda d, x: matching.cosines(d, d.to("cpu")),
    "match": lambda d, x: matching.match(d.to("cpu"), d),
    "contingency": lambda d, x: matching.contingency(*[d.assign(x)[0]] * 2, *[len(d)] * 2),
    "mutual information": lambda d, x: matching.adjusted_mutual_information(
        d.assign(x)[0], d.assign(x)[0].cpu()
    ),
    "members": collected,
    "typical norm": lambda d, x: interventions.typical_norm(x),
    "stability": lambda d, x: recurrence.stability_score(d),
    "recurrence": lambda d, x: recurrence.recurrence(d, d.to("cpu")),
    "regions at": lambda d, x: growth.regions_at(d, 100),
    "growth state": lambda d, x: growth.growth_state(d, torch.zeros(d.n, dtype=torch.bool)),
    "prefix regions": lambda d, x: growth.prefix_regions(d, d.directions(X), 200),
    "prefix of near rows": lambda d, x: growth.prefix_regions(d, d.to("cpu").directions(X), 200),
    "chao1": lambda d, x: estimates.chao1(d.counts),
    "chao2": lambda d, x: estimates.chao2(d.assign(x)[0], torch.arange(len(x)) // 10),
    "between shares": lambda d, x: neighbours.between_shares(
        d.exemplars[:5], d.exemplars[5:10], d.exemplars
    ),
    "pairs at distance": lambda d, x: neighbours.pairs_at_distance(d.exemplars, np.full(5, 0.4)),
    "nearest regions": lambda d, x: neighbours.nearest_regions(d.exemplars, 3),
    "neighbour counts": lambda d, x: neighbours.neighbour_counts(
        d.exemplars, d.directions(x), d.threshold
    ),
    "regions within": lambda d, x: neighbours.regions_within(d, d.directions(x)),
    "mahalanobis": lambda d, x: ood.mahalanobis(x, X),
    "region probes": lambda d, x: probing.region_probes(
        d, X[:80].numpy(), FLAGS[:80].numpy(), X[80:100].numpy(), 3
    ),
    "ranked latents": lambda d, x: vars(
        equal_support.ranked_latents(lambda rows: readouts.signed(d, rows).relu(), x, block=50)
    ),
    "explained": lambda d, x: decoding.explained_by_regions(d, x, 3),
    "refusal table": lambda d, x: refusal.refusal_table(d, X, FLAGS),
    "table of near flags": lambda d, x: refusal.refusal_table(
        d, X.to(d.centre.device), FLAGS.to(d.centre.device)
    ),
    "rank": lambda d, x: stats.rank_test(d.coherence, 3),
    "mean": lambda d, x: stats.bootstrap_mean(d.coherence),
    "auroc": lambda d, x: stats.auroc(readouts.signed(d, x), torch.arange(len(x)) % 2 == 0),
    "correlation": lambda d, x: stats.rank_correlation(d.coherence, d.counts),
    "proportion": lambda d, x: stats.proportion(d.assign(x)[0] > 3),
    "wins": lambda d, x: stats.wins(d.assign(x)[1][None], d.assign(x)[1][None] + 0.1),
    "t": lambda d, x: stats.t_interval(d.coherence),
    "overlap": lambda d, x: overlap(d.exemplar_index[:20].view(5, 4), np.array([[0, 1], [2, 3]])),
}
EVERYWHERE = [(name, "cuda", work) for name, work in STAYS.items()]
EVERYWHERE += [(name, "cpu", work) for name, work in COMES.items()]


@pytest.mark.parametrize("given", ["far", "near"])
@pytest.mark.parametrize(("where", "work"), [w[1:] for w in EVERYWHERE],
                         ids=[w[0] for w in EVERYWHERE])  # fmt: skip
def test_far_dictionaries_do_what_near_ones_do(far, where, work, given):
    d = example()
    there = d.to(far)
    assert devices_of(there) == {"cuda"}
    found = work(there, Y.to(far) if given == "far" else Y)
    if where == "cuda":
        assert devices_of(found) == {"cuda"}
    assert alike(near(found), near(work(d, Y)))


def test_files_hold_what_lay_there(far, tmp_path):
    d = example()
    path = d.to(far).save(tmp_path / "d.safetensors")
    assert alike(near(epkit.Dictionary.load(path)), near(d))
    assert devices_of(epkit.Dictionary.load(path, device=far)) == {"cuda"}
    saelens.save_saelens(d.to(far), tmp_path / "sae", hook_name="blocks.1.hook_resid_post")


def test_an_autoencoder(far):
    made = sae.train_topk_sae(X.to(far), 16, 4, epochs=1, batch=64)
    assert made.encode(Y).device.type == made.decode(made.encode(Y)).device.type
    made.explained_variance(X)
    acts = planted()
    assert axbench.pool_latents(acts, made).pooled.shape == (acts.n_rows, 16)


# ---- what draws and writes ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["growth", "sizes", "coherence", "distances"])
def test_figures_of_a_far_atlas(far, name):
    atlas = {(1, 2): example().to(far), (1, 4): with_members(420, 12, 4, 1).to(far)}
    getattr(plots, f"plot_{name}")(atlas).draw_without_rendering()


def test_counts_and_distances_of_far_dictionaries(far):
    a, b = example().to(far), example()
    table = matching.contingency(a.assign(X)[0], b.assign(X)[0], len(a), len(b)).to(far)
    matching.fates(table)
    matching.jaccard(table)
    ood_plots.plot_text_distances({"web": a.assign(Y)[1].view(9, 10)}, a.threshold, "title")


@pytest.mark.parametrize("colour", ["size", "coherence"])
def test_figures_of_a_far_dictionary(far, colour):
    d = example().to(far)
    plots.plot_map(d, {}, colour=colour)
    plots.plot_sphere(d, {}, colour=colour, max_regions=30)
    plots.sample_regions(d, 5)
    neighbours.neighbour_graph(d.exemplars)


def test_a_card_a_page_and_the_explorer(far, tmp_path):
    d = example_dictionary()
    there, tokenizer = d.to(far), WordTokenizer()
    regions = Regions(there, tokenizer)
    card = regions.card(3)
    assert card == Regions(d, tokenizer).card(3)
    assert card_html(card)
    export_html(there, tmp_path / "page.html", tokenizer, show_progress=False)
    shown = RegionExplorer(tokenizer, {(1, 1): there})
    shown.sort.value = shown.sort.options[-1][1]
    assert len(region_table(there, tokenizer, [1, 2]))


# ---- models -------------------------------------------------------------------------------------

MODELS = {"gemma2": tiny_gemma2, "gpt2": tiny_gpt2}


def moved(model, device):
    """A tiny model there."""
    module = model.module.to(device)
    return epkit.lm.models.wrap_model(module, model.tokenizer, name=model.name)


@pytest.fixture(params=MODELS)
def model(request, far):
    found = moved(MODELS[request.param](), far)
    assert found.device.type == "cuda"
    return found


def test_a_build_a_trace_a_lens_and_a_monitor_stay_with_their_model(model):
    layer = model.n_layers - 1
    atlas = build(model, TEXTS, [layer], [2], 300, n_calibration=200, context=64, **QUIET)
    d = atlas[layer, 2]
    assert devices_of(d) == {"cuda"}
    lens = logit_lens(model, d.means, k=3)
    assert lens.promoted.device.type == "cpu"
    trace = trace_prompt(model, {layer: d}, "a cat sat", context=64)
    trace.table()
    plots.plot_trace(trace)
    texts = [f"{i} {text}" for i in range(3) for text in TEXTS]
    monitor = OODMonitor.fit(d, model, texts, layer=layer, false_alarm=0.2, context=64)
    assert monitor.check("zzz zzz zzz").n_tokens
    assert Regions(d, model).card(0).colour == "coloured"
    assert RegionExplorer(model, atlas).region >= 0


def test_cached_activations_of_a_model_there(model, tmp_path, monkeypatch):
    monkeypatch.setenv("EPKIT_CACHE", str(tmp_path))
    stream = ActivationStream(model, TEXTS, [0, 1], context=64)
    kept = cached(stream, 300, show_progress=False)
    atlas = build_from(kept, [2], 300, n_calibration=200, device=model.device, **QUIET)
    d = atlas[1, 2]
    assert devices_of(d) == {"cuda"}
    assert alike(near(d.assign(kept.layer(1))), near(d.to("cpu").assign(kept.layer(1))))
    regions = Regions(d, model, activations=kept)
    card = regions.card(0)
    alone = Regions(d.to("cpu"), model, activations=kept).card(0)
    assert card.competitors == alone.competitors
    assert card.histogram == alone.histogram
    export_html(d, tmp_path / "page.html", model, activations=kept, show_progress=False)
    readouts.signed(d, kept.layer(1))
    controls.random_dictionary(d, kept.layer(1))


def test_edits_of_a_model_there_by_directions_anywhere(model):
    there, here = torch.eye(16)[:3].to(model.device), torch.eye(16)[:3]
    centre = torch.ones(16)  # on the CPU, as a calibration has it
    edits = interventions.chain(
        interventions.ablate(there, centre, [1]),
        interventions.ablate(here, centre.to(model.device), [1]),
        interventions.steer(there[0], 0.5, 3.0, [1]),
        interventions.steer(here[0], 0.5, 3.0, [1]),
        interventions.swap(there[0], here[1], centre, [1]),
        interventions.swap(here[0], there[1], centre.to(model.device), [1]),
    )
    found = generate(model, ["a cat", "the dog sat"], edits, max_new_tokens=2)
    assert perplexity(model, found) > 0


# ---- studies with models or rows ----------------------------------------------------------------


def planted(n=12, dim=12, tokens=5):
    """Rows whose positives have one token along an axis."""
    from epkit.studies.axbench.protocol import RowActivations

    rng = np.random.default_rng(0)
    x = rng.normal(size=(2 * n, tokens, dim)) * 0.5 + 2
    x[:n, 2, 0] += 6
    starts = np.arange(2 * n) * tokens
    flat = torch.tensor(x.reshape(-1, dim), dtype=torch.float32)
    return RowActivations(flat, starts, starts + tokens, n_fed=len(flat))


def concept(n=12):
    from epkit.studies.axbench.data import Concept

    rows, labels = np.arange(2 * n), np.arange(2 * n) < n
    return Concept(0, "axis", "text", rows, labels, rows, labels, np.array([], int))


@pytest.mark.parametrize("as_published", [True, False])
@pytest.mark.parametrize("given", ["far", "near"])
def test_pooled_regions_and_probes_of_rows(far, given, as_published):
    acts, d, c = planted(), example(), concept()
    there = replace(acts, x=acts.x.to(far)) if given == "far" else acts
    found = axbench.pool_regions(there, d.to(far), as_published=as_published)
    assert alike(near(found), near(axbench.pool_regions(acts, d, as_published=as_published)))
    direction = probes.difference_of_means(there, c)
    directions_ = {
        "difference": direction,
        "probe": probes.linear_probe(there, c),
        "component": probes.principal_component(there, c),
        "LAT": probes.lat(there, c),
    }
    for w in directions_.values():
        for place in ("cpu", far):
            assert probes.direction_scores(there, w[None].to(place)).shape == (acts.n_rows, 1)
    folds = axbench.training_folds([c])
    probes.cross_validate_probe(there, folds, 0.1)
    for how in ("max", "mean"):
        vectors = probes.pooled_rows(there, how)
        assert probes.row_probe(vectors, [c], 0.1).shape == (acts.n_rows, 1)


@pytest.mark.parametrize("given", ["far", "near"])
def test_refusing_regions_of_prompts(far, given):
    blob = torch.arange(3).repeat_interleave(40)
    x = 10 * torch.eye(6)[blob] + torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
    refused = blob == 0
    x = x.to(far) if given == "far" else x
    d = epkit.partition(x, [40], order=0, device=far)[40]
    table = refusal.refusal_table(d, x, refused)
    region = refusal.pick_region(table)
    made = epkit.partition(x, [30, 40], centre=d.centre, device=far)
    refusal.null_regions(made, x, refused, table.loc[region])


def test_activations_over_prompts_and_next_tokens(model):
    found = refusal.final_activations(model, ["How?", "Name a fruit."], [1], context=100)
    assert found[1].shape == (2, 16)
    hidden, tokens = torch.randn(2, 5, 16), torch.randint(0, 200, (2, 5))
    for device in ("cpu", model.device):
        ood.next_token_scores(model, hidden.to(device), tokens.to(device))


def test_growth_of_far_directions(far):
    cal = epkit.calibrate(X, [2], device=far)
    u = directions(X, cal.centre).to(far)
    document = (torch.arange(len(X)) // 30).to(far)
    for order in orders.document_orders(document, 2):
        growth.grow(u[order], cal, 2)
    orders.document_blocks(document, 2, 50)
    orders.revisited(document, document // 2)
    recurrence.disjoint_pairs(document, 2)


def test_leaders_by_euclidean_distance(far):
    there = X.to(far)
    found = distances.euclidean_leaders(there, 4.0)
    assert alike(near(found), near(distances.euclidean_leaders(X, 4.0)))
    region, _ = distances.euclidean_assign(there, there[found])
    distances.euclidean_assign(X, there[found])
    distances.member_means(X, region, len(found))
