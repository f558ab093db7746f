#!/usr/bin/env bash
# OpenCV 5.0.0.93 (opencv-python-headless): recoverPose counts no point that is further away than 50
# baselines, and then picks the direction of travel by what noise leaves.
#
# One would guess: with exact correspondences of two neighbouring frames of a video, recoverPose returns
#   the one of four (R, t) that has all points in front of both cameras, and says so by its count.
# What is seen: where the camera moved by a hundredth of the scene's depth all points count as infinitely
#   far (the default threshold is 50 baselines): the count is 0 although every point lies in front of
#   both cameras. With distanceThresh=1e6 all of them count and the direction of travel is right.
# Who is hurt: visual odometry on consecutive frames: "0 inliers" reads as "no geometry", and the sign of
#   the translation that is returned means nothing.
#
# Fails if the default counts those points, or the wide threshold does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "opencv-python-headless==5.0.0.93" "numpy==2.2.6"
"$folder/venv/bin/python" - <<'PY'
import cv2
import numpy as np

generator = np.random.default_rng(1)
points = generator.uniform((-3, -2, 8), (3, 2, 12), (300, 3))
camera = np.array([[700.0, 0, 480], [0, 700, 270], [0, 0, 1]])
turn, _ = cv2.Rodrigues(np.array([0.0, 0.01, 0.0]))
travel = np.array([0.1, 0.0, 0.0])  # the scene is 100 baselines away: one step of a walking camera


def project(rotation, translation):
    seen = points @ rotation.T + translation
    return (seen @ camera.T)[:, :2] / seen[:, 2:]


first, second = project(np.eye(3), np.zeros(3)), project(turn, travel)
x, y, z = travel / np.linalg.norm(travel)
essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ turn  # the true one
count, *_ = cv2.recoverPose(essential, first, second, camera)
far, _, step, *_ = cv2.recoverPose(essential, first, second, camera, distanceThresh=1e6)
print("OpenCV", cv2.__version__, "points:", len(points))
print("points counted by default:", count, "- with distanceThresh=1e6:", far, step.ravel().round(3))
assert count == 0, "the default counts points that are 100 baselines away"
assert far == len(points)
assert step.ravel() @ travel > 0
print("as described")
PY
