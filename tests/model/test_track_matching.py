"""Windows around tracks read how well positions match, at the right ones."""

import torch

from rays_as_pixels.model.camera_prior.global_motion import cell_centers
from rays_as_pixels.model.camera_prior.track_matching import TrackMatching, matches_around
from rays_as_pixels.model.config import CameraPriorConfig

GRID = (4, 6)
RADIUS, MIDDLE = 2, 12  # of a window of 25


def test_a_window_is_read_around_its_track():
    """The finest level has two positions to a cell along each side, the next one."""
    fine, coarse = torch.zeros(24, 1, 8, 12), torch.zeros(24, 1, 4, 6)
    fine[:, 0, 3, 7] = 1.0
    coarse[:, 0, 1, 3] = 1.0
    # The centre of fine position (3, 7), in units of sqrt(H W) of 4 x 6 cells.
    at = torch.tensor([(7.5 - 6) / 2, (3.5 - 4) / 2]) / 24**0.5
    seen = at.expand(1, 1, 24, 2)
    read = matches_around([fine, coarse], seen, RADIUS)
    assert read.shape == (1, 1, 24, CameraPriorConfig().matches)
    assert read[..., MIDDLE].min() > 0.99
    assert read[..., :25].sum(-1).max() < 1.01
    right = matches_around([fine, coarse], seen - torch.tensor([0.5 / 24**0.5, 0.0]), RADIUS)
    assert right[..., MIDDLE + 1].min() > 0.99  # x runs along the window's rows
    below = matches_around([fine, coarse], seen - torch.tensor([0.0, 0.5 / 24**0.5]), RADIUS)
    assert below[..., MIDDLE + 5].min() > 0.99


def test_the_same_picture_matches_best_where_it_is():
    torch.manual_seed(0)
    matching = TrackMatching(CameraPriorConfig())
    picture = torch.rand(1, 1, 3, 16, 24)
    levels = matching(picture.expand(1, 3, 3, 16, 24))
    assert [tuple(level.shape) for level in levels] == [(48, 1, 8, 12), (48, 1, 4, 6)]
    read = matches_around(levels, cell_centers(*GRID).expand(1, 2, 24, 2), RADIUS)
    torch.testing.assert_close(read[:, 0], read[:, 1])
    own = levels[1].flatten(1).unflatten(0, (2, 24))  # frames, cells, positions
    spread = own - own.mean(1, keepdim=True)
    assert (spread.argmax(-1) == torch.arange(24)).float().mean() > 0.5
