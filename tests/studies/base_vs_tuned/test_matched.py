"""The published match, and its floor."""

from conftest import mixture

from epkit.studies.base_vs_tuned.matched import FLOOR, TUNED, matched_orders


def test_a_checkpoint_that_did_not_move_matches_as_its_own_other_orders_do():
    x = mixture(200, 12)
    table = matched_orders(x, x, 10, range(3))
    assert list(table.index) == [FLOOR, TUNED]
    for column in table:
        assert table[column][FLOOR] == table[column][TUNED]
        low, high = table[column][FLOOR][1:]
        assert 0 <= low <= table[column][FLOOR].value <= high <= 1


def test_another_stream_matches_less():
    table = matched_orders(mixture(200, 12), mixture(200, 12, seed=5), 10, range(2))
    assert table["median cosine"][TUNED].value < table["median cosine"][FLOOR].value
