"""Real posed videos for training: readers, checks, shards, and clips cut from them.

`open_dataset(SPECS)` and `clip_batches(...)` are what training needs; docs/data.md says the rest.
"""

from rays_as_pixels.datasets.clips import Dataset as Dataset
from rays_as_pixels.datasets.clips import SampledClip as SampledClip
from rays_as_pixels.datasets.clips import WindowRule as WindowRule
from rays_as_pixels.datasets.clips import clip_batches as clip_batches
from rays_as_pixels.datasets.clips import open_dataset as open_dataset
