"""The law of frames, axes, pixels and units. Everything else refers here.

Transforms
    `a_from_b` is 4x4, acts on column vectors and maps coordinates in b to coordinates in a,
    so inner names cancel in a product: `world_from_cam @ cam_from_point`.
Camera axes
    OpenCV: +X right, +Y down, +Z forward.
World axes
    Those of the reference camera (frame 0 unless said otherwise), whose pose is the identity.
Pixels
    (0, 0) is the top-left corner of the image, so the first pixel's centre is at (0.5, 0.5).
    This is COLMAP's convention; OpenCV's own has that centre at (0, 0), half a pixel less.
Units
    Angles in radians (`_rad`) unless a name ends in `_deg`; lengths in scene units, where 1 is the
    median depth of the reference frame; times in seconds (`_sec`); intrinsics in pixels (`_px`)
    of a stated height and width.
Quaternions
    Hamilton, scalar first, and said so in the name: `wxyz`.
Shapes
    B batch, F video frames, T latent frames, H W pixels, h w latent grid, N tokens, D width.
    Videos are F 3 H W in [0, 1]; uint8 F H W 3 exists only inside `media/`.
"""

CONVENTION = "opencv world_from_cam"
SCALE_NOTE = "scene units: median depth of frame 0 = 1"
