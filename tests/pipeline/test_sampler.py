from threading import Event

import pytest
import torch

from rays_as_pixels.errors import Cancelled, InputError
from rays_as_pixels.model.joint_state import SOURCE, JointVelocity
from rays_as_pixels.pipeline import sampler
from rays_as_pixels.pipeline.sampler import Conditioning, SamplerOptions, denoise_jointly
from rays_as_pixels.pipeline.schedule import explicit_sigmas, new_scheduler, set_sigmas


def given(
    *, video: str = "none", rays: str = "none", reference_images: int = 0, seed: int = 0
) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    masks = {
        "none": torch.zeros,
        "all": torch.ones,
        "first": lambda n: (torch.arange(n) == 0).float(),
    }
    extra = {}
    if reference_images:
        extra = {
            "reference_images": torch.randn(1, 8, reference_images, 4, 4, generator=generator),
            "reference_rays": torch.randn(1, 8, reference_images, 2, 2, generator=generator),
            "reference_rays_known": torch.arange(reference_images) % 2 == 0,
            "reference_frame": torch.arange(reference_images).float(),
            "reference_kind": torch.full((reference_images,), SOURCE),
        }
    return Conditioning(
        torch.randn(1, 8, 5, 4, 4, generator=generator),
        masks[video](5).bool(),
        torch.randn(1, 8, 5, 2, 2, generator=generator),
        masks[rays](5).bool(),
        **extra,
    )


def run(model, known: Conditioning, steps: int = 2, seed: int = 7, **options):
    options = SamplerOptions(steps, generator=torch.Generator().manual_seed(seed), **options)
    denoised = denoise_jointly(
        model, known, options, scheduler=new_scheduler(), ray_scheduler=new_scheduler()
    )
    return denoised.video, denoised.rays


def test_sigmas_are_spread_evenly_where_the_scheduler_alone_would_collapse():
    assert explicit_sigmas(2) == [1.0, 0.5]
    scheduler = new_scheduler()
    set_sigmas(scheduler, 4, torch.device("cpu"))
    torch.testing.assert_close(scheduler.sigmas, torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


def test_shifted_levels_are_those_of_the_formula_and_reach_the_network():
    assert explicit_sigmas(4, 3.0) == pytest.approx([1.0, 0.9, 0.75, 0.5])
    assert explicit_sigmas(5, 1.0) == pytest.approx(explicit_sigmas(5))
    seen: list[float] = []

    class Watching(torch.nn.Module):
        dtype = torch.float32

        def forward(self, state):
            seen.append(float(state.sigma.max()))
            zero = torch.zeros_like(state.latents)
            return JointVelocity(zero, torch.zeros_like(state.ray_latents), None, None)

    run(Watching(), given(), 4, shift=3.0)
    assert seen == pytest.approx([1.0, 0.9, 0.75, 0.5])


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, True + 0.5])
def test_step_counts_out_of_range_are_refused(steps):
    with pytest.raises(InputError, match="num_inference_steps"):
        explicit_sigmas(steps)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_constant_velocity_is_integrated_exactly(steps):
    start: dict[str, torch.Tensor] = {}

    class Constant(torch.nn.Module):
        dtype = torch.float32

        def forward(self, state):
            start.setdefault("video", state.latents.clone())
            start.setdefault("rays", state.ray_latents.clone())
            return JointVelocity(
                torch.full_like(state.latents, 3.0),
                torch.full_like(state.ray_latents, -2.0),
                None,
                None,
            )

    video, rays = run(Constant(), given(), steps)
    # From t = 1 to t = 0 along v: x_0 = x_1 - v.
    torch.testing.assert_close(video, start["video"] - 3.0, rtol=0, atol=1e-5)
    torch.testing.assert_close(rays, start["rays"] + 2.0, rtol=0, atol=1e-5)


def test_what_is_given_stays_bit_identical(toy):
    for known in (given(video="all"), given(rays="all"), given(video="first", rays="first")):
        video, rays = run(toy.transformer, known, 3)
        assert torch.equal(video[:, :, known.video_known], known.video[:, :, known.video_known])
        assert torch.equal(rays[:, :, known.rays_known], known.rays[:, :, known.rays_known])
        changed = ~known.video_known
        if changed.any():
            assert not torch.equal(video[:, :, changed], known.video[:, :, changed])


def test_same_seed_same_bits_and_another_seed_another_result(toy):
    known = given(video="all")
    one, again, other = (run(toy.transformer, known, seed=s)[1] for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_what_is_not_known_of_the_input_never_reaches_the_result(toy):
    a, b = given(video="all", seed=0), given(video="all", seed=0)
    b.rays.add_(100.0)
    assert torch.equal(run(toy.transformer, a)[1], run(toy.transformer, b)[1])


def test_stills_steer_the_video_and_unknown_cameras_of_stills_do_not_leak(toy):
    known = given(rays="all", reference_images=2)
    base = run(toy.transformer, known)[0]
    hidden = given(rays="all", reference_images=2)
    hidden.reference_rays[:, :, 1] += 5.0  # not known: column 1
    assert torch.equal(run(toy.transformer, hidden)[0], base)
    shown = given(rays="all", reference_images=2)
    shown.reference_images.mul_(-1.0)
    assert not torch.allclose(run(toy.transformer, shown)[0], base)


@pytest.mark.parametrize("reference_images", [0, 2])
def test_guidance_in_one_call_equals_guidance_in_two(toy, monkeypatch, reference_images):
    known = given(rays="all", reference_images=reference_images)
    together = run(toy.transformer, known, guidance_scale=2.5)
    monkeypatch.setattr(sampler, "ONE_CALL_CELLS", 0)
    apart = run(toy.transformer, known, guidance_scale=2.5)
    for one, other in zip(together, apart, strict=True):
        # The same sums, over a batch of two: rounding of float32.
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_guidance_of_one_is_no_guidance_and_more_changes_the_video_only(toy):
    known = given(rays="all", reference_images=1)
    base = run(toy.transformer, known)[0]
    assert torch.equal(run(toy.transformer, known, guidance_scale=1.0)[0], base)
    assert not torch.allclose(run(toy.transformer, known, guidance_scale=3.0)[0], base)


def test_cancel_stops_within_one_step(toy):
    cancel = Event()
    steps_seen = []

    def progress(done: int, total: int) -> None:
        steps_seen.append(done)
        if done == 2:
            cancel.set()

    with pytest.raises(Cancelled, match="step 3 of 10"):
        run(toy.transformer, given(), 10, progress=progress, cancel=cancel)
    assert steps_seen == [1, 2]


def test_the_callback_sees_every_step_and_may_replace_latents(toy):
    seen = []

    def step_end(index, timestep, latents):
        seen.append((index, float(timestep)))
        return {"latents": torch.zeros_like(latents["latents"])}

    video, _ = run(toy.transformer, given(), 4, step_end=step_end)
    assert seen == [(0, 1000.0), (1, 750.0), (2, 500.0), (3, 250.0)]
    assert video.abs().max() == 0
