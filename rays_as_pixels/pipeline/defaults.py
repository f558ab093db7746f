"""How many denoising steps each verb takes unless told, and where the noise levels of videos lie.

Measured with the shipped weights (`checkpoints/raxel-mini/README.md`); the paper estimates with 2
and generates with more (paper section 5).
"""

ESTIMATE_STEPS = 1
GENERATE_STEPS = 2
IMAGINE_STEPS = 20
VIDEO_SHIFT = 16.0  # of a video's noise levels along a known path, for networks with a view prior
MAX_UPSCALE = 4  # times the network's size, of a video of which images show more
