#!/usr/bin/env bash
# PyAV 16.0.1 on an HEVC mp4 as x265 writes it by default: seeking backwards to a frame lands after it.
#
# One would guess: container.seek(pts, stream=s, backward=True) ends at the last key frame at or before
#   pts, so that decoding on from there reaches the wanted frame.
# What is seen: x265's groups of pictures are open by default: some pictures that are shown before a key
#   frame are stored after it. Asked for one of those, the seek ends at that key frame, the decoder drops
#   the pictures that lead it, and the first frame that comes is a later one. Nothing is raised.
# Who is hurt: tools that read single frames of phone clips: the picture is of another time than asked.
#
# Fails if every frame that is sought is reached.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "av==16.0.1" "numpy==2.2.6"
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import av
import numpy as np

with av.open("clip.mp4", "w") as out:
    stream = out.add_stream("libx265", rate=10)
    stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
    stream.options = {"x265-params": "keyint=12:min-keyint=12:scenecut=0:log-level=none"}
    wave = np.sin(np.arange(128)[None] / 9)
    for k in range(36):
        picture = 128 + 90 * np.roll(wave, 3 * k, axis=1).repeat(96, axis=0)
        frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8)[..., None].repeat(3, 2), "rgb24")
        out.mux(stream.encode(frame))
    out.mux(stream.encode())

with av.open("clip.mp4") as clip:
    times = sorted(frame.pts for frame in clip.decode(video=0))
late = []
for number, wanted in enumerate(times):
    with av.open("clip.mp4") as clip:
        stream = clip.streams.video[0]
        clip.seek(wanted, stream=stream, backward=True)
        first = next(clip.decode(stream)).pts
        if first > wanted:
            late.append((number, times.index(first)))
print("PyAV", av.__version__, "frames:", len(times))
print("asked for frame, first frame that came:", late)
assert late, "every frame is reached"
print("as described")
PY
