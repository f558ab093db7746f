"""The path view on the page: a camera path in 3D, in step with its video."""

from rays_as_pixels.app.path_view.component import PathView as PathView
