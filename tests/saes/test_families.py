"""What every family owes the trainer: a new one is tested here as soon as it is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training._stacks import chunk_of
from toysae.config import SAES
from toysae.draws import Draws
from toysae.saes.base import Params
from toysae.saes.terms import frequency_shortfall, orthogonality
from toysae.saes.trainable import Forward, TrainableFamily
from toysae.training.kernels.reference import ReferenceKernel
from toysae.training.objectives import Local
from toysae.training.state import Chunk, StackState
from toysae.training.trainer import Trainer

D_HIDDEN, SAMPLES, MEMBERS = 3, 6, 7
COEFFICIENT, ORTHOGONALITY, FREQUENCY = 0.3, 0.2, 0.05
#: A floor that latents fall below, so that the frequency term has a gradient.
BOTH_TERMS = {
    "orthogonality_penalty": ORTHOGONALITY,
    "frequency_penalty": FREQUENCY,
    "frequency_floor": 0.9,
}
PASS = ("pre_activations", "latents", "reconstruction")
FREE = {"unit_norm_decoder": False, "subtract_decoder_bias": True, "initial_decoder_norm": 0.5}


@dataclass(frozen=True)
class Case:
    """One configuration of a family.

    Attributes:
        fields: what differs from the defaults.
        estimated: parameters whose gradient is on purpose not that of the loss, whatever of it is
            held constant.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    estimated: tuple[str, ...] = ()


EVERY_OPTION = {
    **FREE,
    **BOTH_TERMS,
    "penalty_by_decoder_norm": True,
    "normalize_error": True,
    "initialisation": "independent",
}
RECTIFIED = [Case(), Case(EVERY_OPTION)]
THRESHOLD = ("threshold",)
JUMPING = ("threshold", "W_enc", "b_enc")

#: Configurations that are worth a test of their own; other families are tested by `DEFAULT`.
CASES: dict[str, list[Case]] = {
    "relu": [*RECTIFIED, Case({"normalize_error": True})],
    "lp": [*RECTIFIED, Case({"p": 0.25})],
    "log": RECTIFIED,
    "tanh": RECTIFIED,
    "l0": RECTIFIED,
    "tied": RECTIFIED,
    "gated": [
        Case(),
        Case({"detach_auxiliary_decoder": False, **BOTH_TERMS}),
    ],
    "jumprelu": [
        Case(BOTH_TERMS, THRESHOLD),
        Case({**FREE, "penalty_form": "tanh", "pre_activation_penalty": 0.1}, THRESHOLD),
        Case({"penalty_form": "quadratic", "target_l0": 2.0}, THRESHOLD),
        Case({"ste_to_input": True}, JUMPING),
    ],
    "lista": [
        Case(),
        Case({"widths": (8,), "tilt": 0.0}),
        Case({**FREE, **BOTH_TERMS, "tilt": 0.5}),
    ],
}
DEFAULT = [Case(), Case({**FREE, **BOTH_TERMS})]

ALL = [
    pytest.param(SAES[name](**case.fields), case, id=f"{name}-{i}")
    for name in SAES
    for i, case in enumerate(CASES.get(name, DEFAULT))
]
every_family = pytest.mark.parametrize(("family", "case"), ALL)


def start(family: TrainableFamily, members: int) -> Params:
    """Initial parameters of members that differ in their seeds, float64."""
    each = [family.init(D_HIDDEN, Draws(seed)) for seed in range(members)]
    return {name: torch.stack([p[name] for p in each]).double() for name in each[0]}


def somewhere(family: TrainableFamily, members: int = MEMBERS) -> Params:
    """Parameters in no special position, but where they are allowed."""
    generator = torch.Generator().manual_seed(0)
    params = start(family, members)
    for value in params.values():
        value += 0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
    for name in (*family.buffers, "threshold"):
        if name in params:
            params[name].abs_()
    family.constrain_(params)
    return params


def samples(streams: int) -> Tensor:
    """Six samples a stream."""
    generator = torch.Generator().manual_seed(100)
    return torch.randn(streams, SAMPLES, D_HIDDEN, generator=generator, dtype=torch.float64)


def shares(family: TrainableFamily, members: int) -> Tensor:
    """Share of each latent's penalty that counts, `[M, m]`."""
    generator = torch.Generator().manual_seed(200)
    shape = (members, family.n_latents)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def loss(
    family: TrainableFamily, params: Params, x: Tensor, progress: Tensor, kept: Tensor
) -> tuple[Tensor, Forward]:
    """Everything a member minimises, `[M]`."""
    forward = family.forward(params, x, progress)
    total = family.error(params, x, forward, lambda made: (made - x).square().sum(-1))
    total = total + COEFFICIENT * family.penalty(params, forward, progress, kept)
    own = family.auxiliary(params, x, forward)
    if own is not None:
        total = total + own
    if family.has_orthogonality:
        total = total + ORTHOGONALITY * orthogonality(params["W_dec"])
    if family.has_frequency:
        total = total + FREQUENCY * frequency_shortfall(
            forward.latents, family.frequency_floor, family.frequency_epsilon
        )
    return total, forward


def gradients(
    family: TrainableFamily, params: Params, x: Tensor, progress: Tensor, kept: Tensor
) -> tuple[Tensor, Params, Forward]:
    """Loss, gradient by every parameter that is learned, and the pass."""
    learned = {n: p.detach().clone().requires_grad_() for n, p in params.items()}
    for name in family.buffers:
        learned[name] = params[name]
    total, forward = loss(family, learned, x, progress, kept)
    wanted = [n for n in params if n not in family.buffers]
    found = torch.autograd.grad(total.sum(), [learned[n] for n in wanted], allow_unused=True)
    zeros = {n: torch.zeros_like(params[n]) for n in wanted}
    return total.detach(), {n: zeros[n] if g is None else g for n, g in zip(wanted, found)}, forward


def difference(a: Params, b: Params) -> float:
    """Largest difference of a number, over the largest number."""
    size = max(float(value.abs().max()) for value in b.values())
    return max(float((a[name] - b[name]).abs().max()) for name in a) / size


def moved(params: Params, name: str, step: float) -> Params:
    """Member `2 i` has the number at place `i` of a parameter raised by `step`, `2 i + 1` lowered.

    `params` are those of one member; all moved ones are evaluated as one stack.
    """
    n = params[name].numel()
    copies = {key: value.expand(2 * n, *value.shape[1:]).clone() for key, value in params.items()}
    changes = step * torch.eye(n, dtype=torch.float64)
    both = torch.stack([changes, -changes], dim=1).view(2 * n, *params[name].shape[1:])
    return {**copies, name: copies[name] + both}


@contextmanager
def detach_does(instead: Callable[[Tensor], Tensor]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "detach", instead)
        yield


@every_family
def test_gradient_is_that_of_the_loss(family, case):
    """Of the loss in which all that it detaches is a constant: held at its value where we are."""
    params, x, at = somewhere(family, 1), samples(1), torch.tensor(0.5)
    kept, step = shares(family, 1), 1e-6
    constants: list[Tensor] = []
    with detach_does(lambda value: constants.append(value.data) or value.data):
        loss(family, params, x, at, kept)
    _, analytic, _ = gradients(family, params, x, at, kept)
    checked = [name for name in analytic if name not in case.estimated]
    assert any(analytic[name].abs().max() > 1e-3 for name in checked)
    for name in checked:
        held = list(constants)
        with detach_does(lambda value, held=held: held.pop(0).expand_as(value)):
            values, _ = loss(family, moved(params, name, step), x, at, kept)
        assert not held
        numerical = (values[0::2] - values[1::2]) / (2 * step)
        found = analytic[name].flatten()
        assert torch.allclose(found, numerical, rtol=1e-6, atol=1e-7), (name, found - numerical)


@every_family
def test_members_do_not_see_each_other(family, case):
    params, x, at = somewhere(family), samples(MEMBERS), torch.tensor(0.5)
    kept = shares(family, MEMBERS)

    def of(index: list[int]) -> Params:
        chosen = {name: p[index] for name, p in params.items()}
        total, grads, forward = gradients(family, chosen, x[index], at, kept[index])
        results = {f"gradient of {name}": g for name, g in grads.items()}
        results |= {name: getattr(forward, name).detach() for name in PASS}
        with torch.no_grad():
            results |= family.update_buffers(chosen, forward)
        return {**results, "loss": total, "encoded": family.encode(chosen, x[index])}

    together = of(list(range(MEMBERS)))
    order = [4, 0, 6, 2, 5, 1, 3]
    shuffled = of(order)
    for name, value in together.items():
        assert value.shape[0] == MEMBERS, name
        torch.testing.assert_close(shuffled[name], value[order], rtol=1e-12, atol=1e-12)
    for i in range(MEMBERS):
        for name, value in of([i]).items():
            torch.testing.assert_close(value, together[name][[i]], rtol=1e-12, atol=1e-12)


@every_family
def test_shared_samples_are_as_good_as_a_copy_each(family, case):
    params, x, at = somewhere(family), samples(1), torch.tensor(0.5)
    kept = shares(family, MEMBERS)
    shared, _ = loss(family, params, x, at, kept)
    copied, _ = loss(family, params, x.expand(MEMBERS, -1, -1).contiguous(), at, kept)
    torch.testing.assert_close(shared, copied, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        family.encode(params, x), family.encode(params, x.expand(MEMBERS, -1, -1))
    )


@every_family
@settings(max_examples=5)
@given(seed=st.integers(0, 2**31), d_hidden=st.integers(2, 5))
def test_seed_gives_the_start(family, case, seed, d_hidden):
    first, again, other = (family.init(d_hidden, Draws(s)) for s in (seed, seed, seed + 1))
    shapes = family.param_shapes(d_hidden, family.n_latents)
    assert {name: tuple(p.shape) for name, p in first.items()} == shapes
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["W_dec"], other["W_dec"])
    assert all(p.dtype == torch.float32 and bool(p.isfinite().all()) for p in first.values())


@every_family
def test_start_is_what_initialisation_says(family, case):
    for initialisation in ("tied", "independent"):
        chosen = replace(family, initialisation=initialisation)
        params = chosen.init(D_HIDDEN, Draws(0))
        decoder, encoder = params["W_dec"], params.get("W_enc")
        assert not params["b_dec"].any()
        if initialisation == "tied":
            norms = torch.full((chosen.n_latents,), chosen.initial_decoder_norm)
            torch.testing.assert_close(decoder.norm(dim=1), norms)
            assert encoder is None or torch.equal(encoder, decoder.T)
            continue
        bound = (6 / (D_HIDDEN * chosen.n_latents)) ** 0.5
        for weights in (decoder,) if encoder is None else (decoder, encoder):
            assert 0.5 * bound < float(weights.abs().max()) <= bound
        assert encoder is None or not torch.equal(encoder, decoder.T)


@every_family
def test_constraint_holds_after_one_application(family, case):
    params = {name: 3 * value for name, value in somewhere(family).items()}
    params["W_dec"][:, 1] = 0
    family.constrain_(params)
    once = {name: value.clone() for name, value in params.items()}
    family.constrain_(params)
    for name, value in params.items():
        assert value.isfinite().all()
        torch.testing.assert_close(value, once[name], rtol=1e-15, atol=1e-15)
    if family.unit_norm_decoder:
        norms = params["W_dec"].norm(dim=-1)
        torch.testing.assert_close(norms[:, 2:], torch.ones_like(norms[:, 2:]))
        assert not norms[:, 1].any()


@every_family
def test_projection_removes_what_the_constraint_would_undo(family, case):
    """A small step along the projected gradient is the constrained small step along the whole."""
    params, step = somewhere(family), 1e-7
    generator = torch.Generator().manual_seed(1)
    whole = {
        name: torch.randn(p.shape, generator=generator, dtype=torch.float64)
        for name, p in params.items()
        if name not in family.buffers
    }
    projected = family.project_gradients(params, whole)
    assert projected.keys() == whole.keys()
    after = {name: p - step * whole[name] if name in whole else p for name, p in params.items()}
    after = {name: p.clone() for name, p in after.items()}
    family.constrain_(after)
    for name, gradient in projected.items():
        travelled = (params[name] - after[name]) / step
        torch.testing.assert_close(travelled, gradient, rtol=1e-5, atol=1e-5)


class NothingIsRead(TorchDispatchMode):
    """Raises where a number, a truth value or a shape is read from a tensor's contents."""

    READING = frozenset(
        {
            "aten::_local_scalar_dense",
            "aten::nonzero",
            "aten::masked_select",
            "aten::equal",
            "aten::_unique2",
            "aten::unique_dim",
            "aten::unique_consecutive",
            "aten::repeat_interleave",
        }
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = func.name().startswith(("aten::index.", "aten::index_put")) and any(
            i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1]
        )
        if func._schema.name in self.READING or by_mask:
            raise AssertionError(f"{func.name()} reads a tensor on the host")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "reading",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: float(x[0]),
        lambda x: x[x > 0],
        lambda x: x.index_put_((x > 0,), x.new_zeros(())),
        lambda x: x.nonzero(),
        lambda x: torch.where(x > 0),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.equal(x, x),
        lambda x: x.unique(),
        lambda x: range(int(x.argmax())),
    ],
)
def test_reading_is_noticed(reading: Callable[[Tensor], Any]):
    with NothingIsRead(), pytest.raises(AssertionError, match="reads a tensor on the host"):
        reading(torch.arange(4.0))


@every_family
def test_nothing_is_read_back_to_the_host(family, case):
    params, x, at = somewhere(family), samples(MEMBERS), torch.tensor(0.5)
    kept = shares(family, MEMBERS)
    with NothingIsRead():
        family.constrain_(params)
        _, found, forward = gradients(family, params, x, at, kept)
        with torch.no_grad():
            family.project_gradients(params, found)
            family.update_buffers(params, forward)


@every_family
def test_single_precision_stays_single(family, case):
    params = {name: p.float() for name, p in somewhere(family).items()}
    x, kept = samples(MEMBERS).float(), shares(family, MEMBERS).float()
    total, found, forward = gradients(family, params, x, torch.tensor(0.5), kept)
    with torch.no_grad():
        updated = family.update_buffers(params, forward)
    passed = [getattr(forward, name) for name in PASS]
    for value in (total, *found.values(), *passed, *updated.values(), family.encode(params, x)):
        assert value.dtype == torch.float32


@pytest.mark.parametrize(("family", "case"), [p for p in ALL if not p.values[0].buffers])
def test_encodes_as_at_the_end_of_the_training(family, case):
    """Families that are applied otherwise keep what they need for it in a buffer."""
    params, x = somewhere(family), samples(MEMBERS)
    with torch.no_grad():
        forward = family.forward(params, x, torch.ones(()))
    assert (forward.latents > 0).any()
    torch.testing.assert_close(family.encode(params, x), forward.latents, rtol=1e-12, atol=1e-12)


STEPS, BATCH, LR = 50, 16, 3e-3


def chunk(members: int) -> Chunk:
    """Batches that all members share, with progress from 0 to 1."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(1, STEPS, BATCH, D_HIDDEN, generator=generator, dtype=torch.float64)
    made = chunk_of(x, members=members, coefficient=COEFFICIENT, lr=LR)
    each = torch.ones(members, dtype=torch.float64)
    return replace(
        made,
        progress=torch.arange(STEPS) / STEPS,
        orthogonality=ORTHOGONALITY * each,
        frequency=FREQUENCY * each,
    )


def stacked(family: TrainableFamily, params: Params) -> Params:
    """Parameters after the training of a stack from `params`."""
    members = params["W_dec"].shape[0]
    state = StackState.start({n: p.clone() for n, p in params.items()}, family.buffers)
    trainer = Trainer(steps=STEPS, batch_size=BATCH, lr=LR)
    ReferenceKernel(family, trainer, Local()).advance(state, chunk(members))
    return state.params


def plain_loop(family: TrainableFamily, params: Params) -> Params:
    """The same of one member, by a loop as anyone would write it."""
    params = {name: p.clone() for name, p in params.items()}
    learned = [name for name in params if name not in family.buffers]
    for name in learned:
        params[name].requires_grad_()
    adam = torch.optim.Adam([params[name] for name in learned], lr=LR)
    kept = torch.ones(1, family.n_latents, dtype=torch.float64)
    batches, progress = chunk(1).x[0], chunk(1).progress
    for t in range(STEPS):
        with torch.no_grad():
            family.constrain_(params)
        adam.zero_grad()
        total, forward = loss(family, params, batches[t][None], progress[t], kept)
        total.sum().backward()
        with torch.no_grad():
            buffers = family.update_buffers(params, forward)
            found = {n: p.grad for n, p in params.items() if p.grad is not None}
            for name, gradient in family.project_gradients(params, found).items():
                params[name].grad = gradient
            adam.step()
            for name, value in buffers.items():
                params[name].copy_(value)
    return {name: p.detach() for name, p in params.items()}


#: The last configuration of each family, and all of the ReLU SAE.
TRAINED = list({p.values[0].name if p.values[0].name != "relu" else p.id: p for p in ALL}.values())


@pytest.mark.parametrize(("family", "case"), TRAINED)
def test_training_is_that_of_a_plain_loop_and_the_same_in_company(family, case):
    params = start(family, 3)
    together = stacked(family, params)
    assert difference(together, params) > 0.01
    for i, train in ((0, stacked), (2, plain_loop)):
        alone = train(family, {name: p[i : i + 1] for name, p in params.items()})
        in_company = {name: p[i : i + 1] for name, p in together.items()}
        assert difference(alone, in_company) < 1e-6
