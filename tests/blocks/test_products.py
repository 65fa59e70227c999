"""Tests of epkit.blocks.products: the band is a bound, and the session's settings come back."""

import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from epkit.blocks import products
from epkit.blocks.products import Operand, band, full_precision, gamma, proposed, top_two


def unit(x):
    return (x.double() / x.double().norm(dim=1, keepdim=True)).float()


@settings(max_examples=40, deadline=None)
@given(
    dim=st.sampled_from([1, 2, 3, 48, 577, 2304, 8192]),
    half=st.booleans(),
    shape=st.sampled_from(["normal", "equal", "one", "tiny", "heavy"]),
    seed=st.integers(0, 99),
)
def test_no_score_is_further_from_the_exact_product_than_the_band(dim, half, shape, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, dim, generator=generator)
    if shape == "equal":
        x = x[:, :1].sign() * (1 + 1e-3 * x.abs())  # every term adds up: the largest sums
    if shape == "one":
        x[:, 0] = 1e4
    if shape == "tiny":
        x[:, 1:] *= 1e-7
    if shape == "heavy":
        x = x**5
    u, v = unit(x[:10]), unit(x[10:])
    a, b = Operand.of(u, half), Operand.of(v, half)
    with full_precision():
        found = proposed(a, b)[:, : len(v)].double()
    scale = products.SCALE**2 if half else 1
    error = (found / scale - u.double() @ v.double().T).abs()
    assert (error <= band(a, b)[:, None] / scale).all()


def test_the_band_at_the_widths_of_models():
    assert gamma(2304) == pytest.approx(1.4e-4, rel=0.02)
    u = Operand.of(unit(torch.randn(50, 2304, generator=torch.Generator().manual_seed(0))), True)
    assert (band(u, u) / products.SCALE**2 < 1.1e-3).all()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 9), k=st.integers(1, 200), levels=st.integers(1, 50), seed=st.integers(0, 9)
)
def test_top_two_are_those_of_a_sort(n, k, levels, seed):
    s = torch.randint(-levels, levels, (n, k), generator=torch.Generator().manual_seed(seed)) / 7
    padded = torch.full((n, -(-k // products.GROUP) * products.GROUP), -torch.inf)
    padded[:, :k] = s
    groups = padded.unflatten(1, (-1, products.GROUP))
    best, where, second = top_two(groups, groups.amax(2))
    in_order = torch.cat([s, torch.full((n, 1), -torch.inf)], 1).sort(1, descending=True).values
    assert torch.equal(best, in_order[:, 0])
    assert torch.equal(second, in_order[:, 1])
    assert torch.equal(s.gather(1, where[:, None])[:, 0], best)


@pytest.mark.parametrize("k", [1, 63, 64, 65, 130])
def test_scores_end_in_columns_that_never_win(k):
    u = unit(-torch.ones(2, 3))
    got = proposed(Operand.of(u, False), Operand.of(unit(torch.ones(k, 3)), False))
    assert got.shape[1] % products.GROUP == 0
    assert (got[:, :k] < 0).all()
    assert (got[:, k:] == -torch.inf).all()


def test_what_auto_means_without_a_card():
    cpu = torch.device("cpu")
    assert [products.is_half(p, cpu) for p in products.PRECISIONS] == [False, True, False]
    with pytest.raises(ValueError, match="precision must be one of auto, half, single"):
        products.is_half("double", cpu)


@pytest.fixture
def medium():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def test_full_precision_restores_the_session(medium):
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
        with full_precision():
            pass
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "medium"


def test_threads_that_come_and_go_in_any_order_leave_the_session_as_it_was(medium):
    wrong = []

    def work(i):
        for step in range(30):
            try:
                with full_precision():
                    time.sleep(1e-4 * ((i * step) % 3))
                    if torch.get_float32_matmul_precision() != "highest":
                        wrong.append((i, step))
                    if step % 7 == i % 7:
                        raise KeyError(i)
            except KeyError:
                pass

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert torch.get_float32_matmul_precision() == "medium"
