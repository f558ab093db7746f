"""What the stages before the transformer share: steps until the minutes are spent, or a kill.

The state file holds weights, optimiser, seconds spent and steps; a stage that finds one goes on
from there. The time is that of the steps alone, and all processes go by the main process's clock.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from rays_as_pixels.files import atomic_write
from rays_as_pixels.training.distributed import average_gradients, own_seed, shared_clock

LOG_EVERY_STEPS = 50
_SAVE_EVERY_SEC = 60.0
_LONGEST_GRADIENT = 1.0


class StageLoop:
    """One stage of training, continued from its state file where there is one.

    Args:
        name: Of the stage; `NAME-state.pt` is its state file, and every line of its log names it.
        model: What the state file holds; moved to the accelerator's device.
        optimiser: Of the parameters that are trained.
        folder: Where the state file lives.
        minutes: Time to train for, over all runs of the stage.
        accelerator: Device and processes.
        log: Called with one line of text at a time.

    Attributes:
        step: Steps taken, over all runs.
        spent_sec: Seconds spent on them.
        report: The terms that the next line of the log shows; the stage sets it at every step.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        folder: Path,
        *,
        minutes: float,
        accelerator: Accelerator,
        log: Callable[[str], None],
    ) -> None:
        self._name, self._model, self._optimiser = name, model, optimiser
        self._path = folder / f"{name}-state.pt"
        self._budget_sec = minutes * 60
        self._accelerator, self._log = accelerator, log
        self.step, self.spent_sec, self.report = 0, 0.0, ""
        model.to(accelerator.device)
        if self._path.exists():
            state = torch.load(self._path, map_location="cpu", weights_only=True)
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            self.spent_sec, self.step = state["spent"], state["step"]
            log(f"{name}: resumed at step {self.step}, {self.spent_sec / 60:.1f} min")

    def generator(self, seed: int) -> torch.Generator:
        """Return a generator of this process's own, that draws anew after each continuation."""
        return torch.Generator().manual_seed(own_seed(seed + self.step, self._accelerator))

    def steps(self) -> Iterator[float]:
        """Yield the share of the time that is spent, in [0, 1), once per step to be taken."""
        last = saved = shared_clock(self._accelerator)
        while self.spent_sec < self._budget_sec:
            yield self.spent_sec / self._budget_sec
            self.step += 1
            now = shared_clock(self._accelerator)
            self.spent_sec, last = self.spent_sec + now - last, now
            if self.step % LOG_EVERY_STEPS == 0:
                minutes = self.spent_sec / 60
                self._log(f"{self._name} step {self.step} min {minutes:.1f} {self.report}")
            if now - saved > _SAVE_EVERY_SEC or self.spent_sec >= self._budget_sec:
                self._save()
                saved = now

    def descend(self, loss: Tensor, *, learning_rate: float) -> None:
        """Take one step of the optimiser, with all processes' gradients, cut to length 1."""
        groups = self._optimiser.param_groups
        for group in groups:
            group["lr"] = learning_rate
        parameters = [parameter for group in groups for parameter in group["params"]]
        self._optimiser.zero_grad()
        loss.backward()
        average_gradients(self._accelerator, parameters)
        norm = float(nn.utils.clip_grad_norm_(parameters, _LONGEST_GRADIENT))
        if math.isfinite(norm):
            self._optimiser.step()
        else:
            self._log(f"{self._name} step {self.step}: left out, its gradient is {norm}")

    def _save(self) -> None:
        """Write what the stage needs to go on, atomically."""
        if not self._accelerator.is_main_process:
            return
        state = {
            "model": self._model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "spent": self.spent_sec,
            "step": self.step,
        }
        with atomic_write(self._path) as partial:
            torch.save(state, partial)
