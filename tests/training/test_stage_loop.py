"""A stage of training can be killed at any moment and goes on with the same clock and weights."""

import itertools

import pytest
import torch
from torch import nn

from rays_as_pixels.training.distributed import new_accelerator
from rays_as_pixels.training.stages import stage_loop
from rays_as_pixels.training.stages.stage_loop import StageLoop

MINUTES = 2.0


@pytest.fixture
def one_second_a_step(monkeypatch):
    """A clock that moves on by one second whenever it is read, so that tests know the time."""
    seconds = itertools.count(1000.0)
    monkeypatch.setattr(stage_loop, "shared_clock", lambda accelerator: next(seconds))


def new_stage(folder, log) -> tuple[nn.Linear, StageLoop]:
    """A stage that fits a linear map; it starts from the same weights every time."""
    torch.manual_seed(0)
    model = nn.Linear(3, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.0)
    loop = StageLoop(
        "line",
        model,
        optimiser,
        folder,
        minutes=MINUTES,
        accelerator=new_accelerator(),
        log=log.append,
    )
    return model, loop


def take_steps(model, loop, *, at_most: int = 10**6) -> list[float]:
    """Fit the identity on data that depend on the step alone; return the shares of the time."""
    shares = []
    for done in itertools.islice(loop.steps(), at_most):
        shares.append(done)
        data = torch.randn(4, 3, generator=torch.Generator().manual_seed(loop.step))
        loss = (model(data) - data).square().mean()
        loop.descend(loss, learning_rate=0.1 * (1 - done))
        loop.report = f"loss {float(loss.detach()):.2f}"
    return shares


@pytest.mark.usefixtures("one_second_a_step")
def test_a_stage_takes_steps_until_its_minutes_are_spent_and_logs_every_fiftieth(tmp_path):
    lines: list[str] = []
    model, loop = new_stage(tmp_path, lines)
    shares = take_steps(model, loop)
    assert shares == [second / 120 for second in range(120)]
    assert (loop.step, loop.spent_sec) == (120, 120.0)
    assert [line[:21] for line in lines] == ["line step 50 min 0.8 ", "line step 100 min 1.7"]
    assert "loss 0." in lines[1]


@pytest.mark.usefixtures("one_second_a_step")
def test_a_killed_stage_goes_on_from_its_last_save_with_the_same_clock_and_weights(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    uninterrupted, loop = new_stage(whole, [])
    take_steps(uninterrupted, loop)

    take_steps(*new_stage(killed, []), at_most=100)
    lines: list[str] = []
    model, loop = new_stage(killed, lines)
    assert lines == ["line: resumed at step 61, 1.0 min"], "a minute is the most that may be lost"
    assert (loop.step, loop.spent_sec) == (61, 61.0)
    assert take_steps(model, loop) == [second / 120 for second in range(61, 120)]
    assert (loop.step, loop.spent_sec) == (120, 120.0)
    torch.testing.assert_close(model.weight, uninterrupted.weight, atol=0, rtol=0)
    states = [torch.load(run / "line-state.pt", weights_only=True) for run in (whole, killed)]
    assert states[0]["optimiser"]["state"][0]["step"] == states[1]["optimiser"]["state"][0]["step"]


@pytest.mark.usefixtures("one_second_a_step")
def test_a_finished_stage_takes_no_further_step(tmp_path):
    take_steps(*new_stage(tmp_path, []))
    model, loop = new_stage(tmp_path, [])
    before = model.weight.detach().clone()
    assert take_steps(model, loop) == []
    assert torch.equal(model.weight, before)


@pytest.mark.usefixtures("one_second_a_step")
def test_a_state_file_holds_four_entries_and_one_written_by_hand_is_continued(tmp_path):
    """The layout is fixed: runs that were begun by earlier versions must go on."""
    model, loop = new_stage(tmp_path, [])
    take_steps(model, loop)
    written = torch.load(tmp_path / "line-state.pt", weights_only=True)
    assert set(written) == {"model", "optimiser", "spent", "step"}
    by_hand = {
        "model": {"weight": torch.eye(3), "bias": torch.zeros(3)},
        "optimiser": written["optimiser"],
        "spent": 30.5,
        "step": 7,
    }
    torch.save(by_hand, tmp_path / "line-state.pt")
    model, loop = new_stage(tmp_path, [])
    assert (loop.step, loop.spent_sec) == (7, 30.5)
    assert torch.equal(model.weight, torch.eye(3))


@pytest.mark.usefixtures("one_second_a_step")
def test_a_save_that_is_cut_short_leaves_the_one_before(tmp_path, monkeypatch):
    take_steps(*new_stage(tmp_path, []), at_most=62)
    real = torch.save

    def full_disk(state, path):
        real(state, path)
        path.write_bytes(path.read_bytes()[:100])
        raise OSError("No space left on device")

    model, loop = new_stage(tmp_path, [])
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(torch, "save", full_disk)
        take_steps(model, loop)
    assert new_stage(tmp_path, [])[1].step == 61


def test_a_step_is_as_long_as_its_rate_and_its_gradient_is_cut_to_one(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    optimiser = torch.optim.SGD(model.parameters(), lr=123.0)
    loop = StageLoop(
        "line", model, optimiser, tmp_path, minutes=1, accelerator=new_accelerator(), log=print
    )
    for slope, moved in ((50.0, 0.25), (0.5, 0.125)):
        before = float(model.weight.detach())
        loop.descend(slope * model.weight.sum(), learning_rate=0.25)
        # 1e-5: the cut divides by the length plus 1e-6.
        assert before - float(model.weight.detach()) == pytest.approx(moved, rel=1e-5)


def test_draws_differ_after_a_continuation_and_repeat_from_the_start(tmp_path):
    _, loop = new_stage(tmp_path, [])
    first = torch.rand(3, generator=loop.generator(5))
    assert torch.equal(first, torch.rand(3, generator=loop.generator(5)))
    loop.step = 61
    assert not torch.equal(first, torch.rand(3, generator=loop.generator(5)))


def test_a_step_whose_gradient_is_infinite_is_left_out_and_named_in_the_log(tmp_path):
    lines: list[str] = []
    model, loop = new_stage(tmp_path, lines)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    loop.descend(model(torch.full((1, 3), 1e30)).square().sum(), learning_rate=0.1)
    assert all(map(torch.equal, model.parameters(), before))
    assert lines == ["line step 0: left out, its gradient is inf"]
    loop.descend(model(torch.ones(1, 3)).square().sum(), learning_rate=0.1)
    assert not any(map(torch.equal, model.parameters(), before))
