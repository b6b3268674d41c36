from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.cluster import hierarchy
from sklearn.cluster import SpectralClustering
from torch import Tensor

from toysae.errors import DataError, ShapeError
from toysae.metrics import communities
from toysae.metrics._firing import graphs, spectral, trees
from toysae.metrics.codes import SparseCodes
from toysae.metrics.cofiring import fisher_p_value

from .draw import SEEDS, normal, tensor


def grouped_firings(seed: int, n_samples: int = 400) -> Tensor:
    """Latents 0 to 2 fire together, 3 to 5 fire together, 6 to 9 alone, 10 is dead."""
    rng = np.random.default_rng(seed)
    causes = (rng.random((n_samples, 2)) < 0.2).repeat(3, axis=1)
    alone = rng.random((n_samples, 4)) < 0.2
    fires = np.concatenate([causes & (rng.random(causes.shape) < 0.9), alone], axis=1)
    return torch.from_numpy(np.concatenate([fires, fires[:, :1] & False], axis=1)).double()


def edges(graph: communities.Graph) -> list[tuple[int, int]]:
    return list(zip(graph.rows.tolist(), graph.columns.tolist()))


GROUPS = [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)]


class TestCofiringGraph:
    def test_edges_join_what_fires_together(self) -> None:
        fires = grouped_firings(0)
        graph = communities.cofiring_graph(SparseCodes.from_dense(fires), level=1e-6)
        assert edges(graph) == GROUPS
        assert (graph.n_latents, graph.n_pairs) == (11, 45)
        assert graph.share == 6 / 45
        expected = np.corrcoef(fires[:, 3], fires[:, 5])[0, 1]
        assert graph.weights[4].item() == pytest.approx(expected)
        assert graph.degrees.tolist() == [2] * 6 + [0] * 5
        matrix = graph.adjacency().toarray()
        assert (matrix == matrix.T).all()
        assert matrix[5, 3] == pytest.approx(expected)

    @given(SEEDS, st.sampled_from([0.05, 0.3]), st.sampled_from([0, 12]))
    def test_edges_are_those_that_scipy_rejects(
        self, seed: int, level: float, minimum: int
    ) -> None:
        rng = np.random.default_rng(seed)
        causes = rng.random((60, 3)) < 0.25
        fires = causes[:, rng.integers(0, 3, 8)] ^ (rng.random((60, 8)) < 0.15)
        enough = np.flatnonzero(fires.sum(axis=0) >= max(minimum, 1))
        pairs = [(i, j) for i in enough for j in enough if i < j]
        tables = [
            [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
            for a, b in ((fires[:, i], fires[:, j]) for i, j in pairs)
        ]
        p = [stats.fisher_exact(table, alternative="greater").pvalue for table in tables]
        adjusted = stats.false_discovery_control(p) if p else np.empty(0)
        positive = [a * 60 > (a + b) * (a + c) for (a, b), (c, _) in tables]
        expected = [
            pair for pair, q, up in zip(pairs, adjusted, positive) if q <= level - 1e-9 and up
        ]
        allowed = {
            pair for pair, q, up in zip(pairs, adjusted, positive) if q <= level + 1e-9 and up
        }
        codes = SparseCodes.from_dense(torch.from_numpy(fires).double())
        graph = communities.cofiring_graph(codes, level, minimum=minimum)
        assert set(expected) <= set(edges(graph)) <= allowed
        assert edges(graph) == sorted(edges(graph))
        assert graph.n_pairs == len(pairs)

    def test_phi_above_a_threshold_strictly(self) -> None:
        # Equal latents have a phi of 1; a third one is in no pair.
        codes = SparseCodes.from_dense(torch.eye(3).repeat_interleave(10, 0)[:, [0, 0, 1, 2]])
        assert edges(communities.cofiring_graph(codes, above=0.9)) == [(0, 1)]
        assert edges(communities.cofiring_graph(codes, above=1.0)) == []

    def test_rare_latents_make_no_edges_by_chance(self) -> None:
        """One joint firing of two latents that fire 20 times in 100,000: phi is .05 and z is 15."""
        rng = np.random.default_rng(0)
        n, m = 100_000, 400
        samples = np.concatenate([rng.choice(n, 20, replace=False) for _ in range(m)])
        table = torch.zeros(n, m, dtype=torch.bool)
        table[torch.from_numpy(samples), torch.arange(m).repeat_interleave(20)] = True
        codes = SparseCodes.from_dense(table.half())
        assert edges(communities.cofiring_graph(codes)) == []

    def test_benjamini_and_hochberg(self) -> None:
        # Of ten tests at .05: .02 > 3/10 * .05 = .015 is saved by .018 <= 4/10 * .05 = .02.
        p = tensor([0.001, 0.019, 0.004, 0.018, 0.04])
        assert graphs._largest_rejected(p, 10, 0.05) == 0.019
        assert graphs._largest_rejected(p, 1000, 0.05) == -1
        assert graphs._largest_rejected(p[:0], 0, 0.05) == -1
        assert graphs._largest_rejected(tensor([0.05]), 1, 0.05) == 0.05

    def test_a_level_is_reached_and_a_correlation_is_exceeded(self) -> None:
        """Two latents that fire once in ten samples, on the same one: p = 1 / 10, phi = 1."""
        codes = SparseCodes.from_dense(torch.eye(10, 1).expand(10, 2))
        level = fisher_p_value(1, 1, 1, 10).item()
        assert level == pytest.approx(0.1)

        def n_edges(level: float, above: float) -> int:
            return len(communities.cofiring_graph(codes, level, above, minimum=1).rows)

        assert (n_edges(level, 0.0), n_edges(level * (1 - 1e-15), 0.0)) == (1, 0)
        assert (n_edges(level, 1 - 1e-9), n_edges(level, 1.0)) == (1, 0)

    def test_degenerate(self) -> None:
        silent = communities.cofiring_graph(SparseCodes.from_dense(torch.zeros(4, 3)))
        assert math.isnan(silent.share)
        assert silent.degrees.tolist() == [0, 0, 0]
        codes = SparseCodes.from_dense(torch.ones(4, 3))
        for level in (0, 1):
            with pytest.raises(DataError, match="level"):
                communities.cofiring_graph(codes, level)
        with pytest.raises(DataError, match="above=-"):
            communities.cofiring_graph(codes, above=-0.1)
        with pytest.raises(ShapeError, match="minimum"):
            communities.cofiring_graph(codes, minimum=-1)


class TestCosineGraph:
    def test_golden(self) -> None:
        # cos(0, 1) = .6, cos(0, 2) = -1, cos(1, 4) = .8, cos(0, 4) = 0; row 3 has no direction.
        decoder = tensor([[2, 0], [0.6, 0.8], [-1, 0], [0, 0], [0, 5]])
        graph = communities.cosine_graph(decoder, 0.5)
        assert edges(graph) == [(0, 1), (1, 4)]
        assert graph.weights.tolist() == pytest.approx([0.6, 0.8])
        assert (graph.n_pairs, graph.n_latents, graph.share) == (6, 5, 2 / 6)
        alive = torch.tensor([True, True, True, True, False])
        assert edges(communities.cosine_graph(decoder, 0.5, alive)) == [(0, 1)]
        assert edges(communities.cosine_graph(tensor([[1, 0], [1, 0]]), 1.0)) == []
        with pytest.raises(DataError, match="above=-1"):
            communities.cosine_graph(decoder, -1)

    def test_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decoder = normal(0, 11, 3)
        whole = communities.cosine_graph(decoder, 0.3)
        monkeypatch.setattr(graphs, "_DICTIONARY_ROWS_AT_ONCE", 4)
        parts = communities.cosine_graph(decoder, 0.3)
        assert edges(parts) == edges(whole)
        assert len(edges(whole)) > 5


class TestCommunities:
    def test_both_methods_find_the_groups(self) -> None:
        codes = SparseCodes.from_dense(grouped_firings(1))
        graph = communities.cofiring_graph(codes, level=1e-6)
        expected = [0, 0, 0, 1, 1, 1, -1, -1, -1, -1, -1]
        for found in (
            communities.connected_communities(graph),
            communities.spectral_communities(graph, 2),
        ):
            assert found.labels.tolist() == expected
            assert found.sizes.tolist() == [3, 3]
            assert (found.n_communities, found.covered) == (2, 6 / 11)

    def test_spectral_cuts_the_weak_edge_of_a_connected_graph(self) -> None:
        pairs = torch.tensor([[0, 1], [0, 2], [1, 2], [2, 3], [3, 4], [3, 5], [4, 5]])
        weights = tensor([1, 1, 1, 0.05, 1, 1, 1])
        graph = communities.Graph(pairs[:, 0], pairs[:, 1], weights, 7, 21)
        assert communities.spectral_communities(graph, 2).labels.tolist() == [0, 0, 0, 1, 1, 1, -1]
        assert communities.connected_communities(graph).n_communities == 1
        assert communities.spectral_communities(graph, 1).labels.tolist() == [0] * 6 + [-1]
        for wrong in (-1, 0, 7):
            with pytest.raises(ShapeError, match=r"expected 1, or from 1, .* to 6"):
                communities.spectral_communities(graph, wrong)

    def test_as_many_communities_as_latents(self) -> None:
        one_edge = communities.cosine_graph(tensor([[1, 0], [0, 1], [0, 3]]), 0.5)
        assert communities.spectral_communities(one_edge, 2).labels.tolist() == [-1, 0, 1]
        triangle = communities.cosine_graph(tensor([[1, 0.1], [1, 0.2], [1, 0.3]]), 0.5)
        assert communities.spectral_communities(triangle, 3).labels.tolist() == [0, 1, 2]

    @given(SEEDS, st.integers(2, 5))
    def test_a_connected_graph_is_cut_as_by_sklearn(self, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        weights = np.triu(rng.random((12, 12)), 1)
        rows, columns = map(torch.from_numpy, weights.nonzero())
        graph = communities.Graph(
            rows, columns, torch.from_numpy(weights[weights > 0]), 12, len(rows)
        )
        solver = SpectralClustering(
            n, affinity="precomputed", assign_labels="cluster_qr", random_state=0
        )
        expected = torch.from_numpy(solver.fit_predict(weights + weights.T)).long()
        found = communities.spectral_communities(graph, n).labels
        assert found.tolist() == trees.in_order(expected).tolist()

    def test_components_are_communities_before_any_is_cut(self) -> None:
        """Two pairs, and a path of four whose middle edge is the weakest, by far."""
        pairs = torch.tensor([[0, 1], [2, 3], [4, 5], [5, 6], [6, 7]])
        graph = communities.Graph(pairs[:, 0], pairs[:, 1], tensor([1, 9, 1, 1e-9, 1]), 9, 36)
        three = communities.spectral_communities(graph, 3)
        assert three.labels.tolist() == communities.connected_communities(graph).labels.tolist()
        assert three.labels.tolist() == [0, 0, 1, 1, 2, 2, 2, 2, -1]
        four = communities.spectral_communities(graph, 4)
        assert four.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1]
        with pytest.raises(ShapeError, match="from 3, the connected"):
            communities.spectral_communities(graph, 2)
        assert communities.spectral_communities(graph, 1).labels.tolist() == [0] * 8 + [-1]

    def test_large_components_are_cut_as_small_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two rings of forty, each with one half that is bound more tightly."""
        ring = torch.arange(40)
        first = torch.cat([ring, ring + 40])
        second = torch.cat([(ring + 1) % 40, (ring + 1) % 40 + 40])
        weights = 1 + (first % 40 < 20).double() * (first + 1)
        rows, columns = torch.minimum(first, second), torch.maximum(first, second)
        graph = communities.Graph(rows, columns, weights, 80, 3160)
        dense = communities.spectral_communities(graph, 5)
        monkeypatch.setattr(spectral, "_DENSE", 10)
        iterated = communities.spectral_communities(graph, 5)
        assert iterated.labels.tolist() == dense.labels.tolist()
        assert dense.n_communities == 5

    def test_labels_are_in_the_order_of_their_lowest_latents(self) -> None:
        found = trees.in_order(torch.tensor([5, 2, 5, 9, 2, 0]))
        assert found.tolist() == [0, 1, 0, 2, 1, 3]
        assert trees.in_order(torch.zeros(0, dtype=torch.long)).tolist() == []

    def test_without_edges(self) -> None:
        graph = communities.cosine_graph(torch.eye(3), 0.5)
        found = communities.connected_communities(graph)
        assert found.labels.tolist() == [-1, -1, -1]
        assert (found.n_communities, found.covered) == (0, 0)
        for graph_without in (graph, communities.cosine_graph(torch.eye(3)[:0], 0.5)):
            with pytest.raises(ShapeError, match="no latent of the graph has an edge"):
                communities.spectral_communities(graph_without, 1)


class TestAgreement:
    def test_golden(self) -> None:
        first = torch.tensor([0, 0, 1, 1, 2])
        same = communities.community_agreement(first, torch.tensor([2, 2, 0, 0, 1]))
        assert same.adjusted_mutual_information == pytest.approx(1)
        assert same.n_latents == 5
        # MI = 0 and E MI = log(2) / 3 over the three pairings of 2 + 2: -(1/3) / (1 - 1/3).
        crossed = communities.community_agreement(
            torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
        )
        assert crossed.adjusted_mutual_information == pytest.approx(-0.5)

    def test_only_latents_that_both_place_count(self) -> None:
        first, second = torch.tensor([0, 0, 1, 1, -1, 0]), torch.tensor([0, 1, 0, 1, 1, -1])
        found = communities.community_agreement(first, second)
        assert found.adjusted_mutual_information == pytest.approx(-0.5)
        assert found.n_latents == 4
        nothing = communities.community_agreement(first - 2, second)
        assert math.isnan(nothing.adjusted_mutual_information)
        assert nothing.n_latents == 0

    @pytest.mark.parametrize("labels", [[2], [0, 0, 0], [0, 1, 2]])
    def test_partitions_that_chance_cannot_change_say_nothing(self, labels: list[int]) -> None:
        found = communities.community_agreement(torch.tensor(labels), torch.tensor(labels))
        assert math.isnan(found.adjusted_mutual_information)
        assert found.n_latents == len(labels)

    def test_one_community_agrees_with_several_by_nothing(self) -> None:
        together, apart = torch.zeros(4).long(), torch.arange(4)
        for other in (apart, torch.tensor([0, 0, 1, 1])):
            found = communities.community_agreement(together, other)
            assert found.adjusted_mutual_information == pytest.approx(0)

    def test_independent_partitions_agree_by_nothing(self) -> None:
        rng = np.random.default_rng(0)
        first, second = (torch.from_numpy(rng.integers(0, 40, 400)) for _ in range(2))
        found = communities.community_agreement(first, second).adjusted_mutual_information
        assert abs(found) < 0.05

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="one label a latent"):
            communities.community_agreement(torch.zeros(3).long(), torch.zeros(4).long())
        with pytest.raises(DataError, match="integers"):
            communities.community_agreement(torch.zeros(3), torch.zeros(3))


class TestTrees:
    def test_by_direction(self) -> None:
        decoder = tensor([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0.8, 0.6, 0], [0, 0, 1]])
        tree = communities.cosine_tree(decoder)
        assert tree.index.tolist() == [0, 2, 3, 4]
        # 1 - .8 first; then row 2 at the mean of 1 - 0 and 1 - .6; then the last at 1.
        assert tree.linkage[:, 2].tolist() == pytest.approx([0.2, 0.7, 1])
        assert tree.clusters(1).tolist() == [0, -1, 0, 0, 0]
        assert tree.clusters(2).tolist() == [0, -1, 0, 0, 1]
        assert tree.clusters(3).tolist() == [0, -1, 1, 0, 2]
        assert tree.clusters(9).tolist() == [0, -1, 1, 2, 3]
        with pytest.raises(ShapeError, match="n=0"):
            tree.clusters(0)

    def test_by_firing(self) -> None:
        fires = grouped_firings(2)
        tree = communities.cofiring_tree(SparseCodes.from_dense(fires))
        assert tree.index.tolist() == list(range(10))
        assert tree.clusters(6).tolist() == [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, -1]
        assert tree.n_latents == 11
        # The height at which 0 and 1 meet is at least the smallest distance of the group.
        a, b = fires[:, 0].bool(), fires[:, 1].bool()
        assert tree.linkage[:, 2].min() <= 1 - (a & b).sum() / (a | b).sum()

    @given(SEEDS)
    def test_cophenetic_correlation_is_scipys(self, seed: int) -> None:
        decoder = normal(seed, 6, 3)
        tree = communities.cosine_tree(decoder)
        unit = torch.nn.functional.normalize(decoder, dim=1)
        distances = (1 - unit @ unit.T)[tuple(torch.triu_indices(6, 6, 1))].numpy()
        expected, _ = hierarchy.cophenet(hierarchy.linkage(distances, "average"), distances)
        assert tree.cophenetic == pytest.approx(expected)

    def test_small_trees(self) -> None:
        for n in range(3):
            tree = communities.cosine_tree(torch.eye(3)[:n])
            assert math.isnan(tree.cophenetic)
            assert tree.linkage.shape == (max(n - 1, 0), 4)
            assert tree.clusters(5).tolist() == list(range(n))
        assert math.isnan(communities.cosine_tree(torch.eye(3)).cophenetic)

    def test_too_many_latents_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trees, "_MOST", 3)
        assert len(communities.cosine_tree(torch.eye(3)).index) == 3
        with pytest.raises(ShapeError, match="4 latents: a tree of all pairs takes at most 3"):
            communities.cosine_tree(torch.eye(4))
        with pytest.raises(ShapeError, match="at most 3"):
            communities.cofiring_tree(SparseCodes.from_dense(torch.eye(4)))
