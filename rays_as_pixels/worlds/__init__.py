"""Procedural worlds that make training and test clips with exact cameras and depth."""

from rays_as_pixels.worlds.clips import WorldClips as WorldClips
from rays_as_pixels.worlds.clips import WorldOptions as WorldOptions
from rays_as_pixels.worlds.clips import render_clips as render_clips
