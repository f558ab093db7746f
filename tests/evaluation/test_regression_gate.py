"""An evaluation is compared with an earlier one, number by number."""

import copy
import json

import pytest

from rays_as_pixels.errors import InputError
from rays_as_pixels.evaluation.regression_gate import compare_results, read_result


def result(**changes):
    model = {
        "id": "model@2",
        "rotation_median_deg": 2.0,
        "rotation_mean_deg": 3.0,
        "mrra30": 0.9,
        "rta15": 0.6,
        "focal_error_median": 0.05,
        "failures": 0,
    }
    identity = {"id": "identity", "rotation_median_deg": 5.0}
    video = {"id": "model@20", "psnr_db": 20.0, "path_rotation_mean_deg": 1.0}
    return {
        "format": "rays-as-pixels/evaluation",
        "source": "4 worlds",
        "clips": [{"name": "a", "source_frame": [0, 1]}],
        "settings": {
            "seeds": 3,
            "seed": 0,
            "default_estimate_steps": 2,
            "default_generate_steps": 20,
        },
        "tables": {
            "estimate": {"rows": [identity, model | changes]},
            "generate": {"rows": [video | {k: v for k, v in changes.items() if k in video}]},
            "loop": {"rows": [{"id": "model", "r_err_rad": 0.05, "t_err": 0.1}]},
        },
    }


def test_a_change_beyond_its_tolerance_is_better_or_worse():
    found = compare_results(result(), result(rotation_median_deg=1.5, rta15=0.5))
    assert found.better == ("estimate rotation_median_deg",)
    assert found.worse == ("estimate rta15",)
    assert "estimate rta15: 0.6 to 0.5, worse (tolerance 0.01)" in found.lines


def test_noise_alone_is_no_change():
    for same in (result(), result(rotation_median_deg=1.97, rta15=0.595)):
        found = compare_results(result(), same)
        assert found.better == found.worse == ()


def test_more_mrra_and_more_psnr_are_better():
    found = compare_results(result(), result(mrra30=0.95, psnr_db=21.0))
    assert found.better == ("estimate mrra30", "generate psnr_db")
    found = compare_results(result(), result(mrra30=0.85, psnr_db=19.0))
    assert found.worse == ("estimate mrra30", "generate psnr_db")


def test_videos_are_judged_at_the_default_steps():
    """A table that has no row for the default number of steps is worse, never passed over."""
    other = result()
    other["tables"]["generate"]["rows"][0]["id"] = "model@50"
    assert "generate psnr_db" in compare_results(result(), other).worse
    assert "generate psnr_db" in compare_results(other, result()).not_compared


def test_a_number_that_became_undefined_or_a_table_left_out_is_worse():
    assert compare_results(result(), result(rta15=None)).worse == ("estimate rta15",)
    without_loop = copy.deepcopy(result())
    del without_loop["tables"]["loop"]
    assert "loop r_err_rad" in compare_results(result(), without_loop).worse


def test_what_the_old_evaluation_lacks_is_reported():
    found = compare_results(result(), result())
    assert "autoencoder psnr_db" in found.not_compared
    line = "autoencoder psnr_db: not compared, the old evaluation lacks it"
    assert line in found.lines


def test_more_failures_are_worse():
    found = compare_results(result(), result(rotation_median_deg=1.0, failures=1))
    assert found.worse == ("estimate failures",)


def test_results_of_other_clips_or_settings_are_not_compared():
    other = result()
    other["clips"] = [{"name": "b", "source_frame": [0, 1]}]
    with pytest.raises(InputError, match="same clips"):
        compare_results(result(), other)
    other = result()
    other["settings"]["seeds"] = 1
    with pytest.raises(InputError, match="seeds 3 and 1"):
        compare_results(result(), other)
    empty = result() | {"tables": {}}
    with pytest.raises(InputError, match="share a guarded number"):
        compare_results(empty, empty)


def test_only_result_files_are_read(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(result()))
    assert read_result(path)["source"] == "4 worlds"
    path.write_text("{}")
    with pytest.raises(InputError, match="another kind"):
        read_result(path)
    path.write_text("{")
    with pytest.raises(InputError, match="Run 'evaluate' again"):
        read_result(path)
