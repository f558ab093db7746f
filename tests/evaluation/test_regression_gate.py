"""New weights replace old ones only if the table improves."""

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
            "loop": {"rows": [{"id": "model", "r_err_rad": 0.05, "t_err": 0.1}]},
        },
    }


def test_a_clear_gain_without_a_loss_is_accepted():
    decision = compare_results(result(), result(rotation_median_deg=1.5))
    assert decision.accept and decision.better == ("estimate rotation_median_deg",)


def test_noise_alone_is_not_an_improvement():
    assert not compare_results(result(), result()).accept
    assert not compare_results(result(), result(rotation_median_deg=1.97)).accept


def test_one_number_worse_than_its_tolerance_rejects_any_gain():
    decision = compare_results(result(), result(rotation_median_deg=1.0, rta15=0.5))
    assert not decision.accept and decision.worse == ("estimate rta15",)
    assert compare_results(result(), result(rotation_median_deg=1.0, rta15=0.595)).accept


def test_direction_matters_more_mrra_is_better_less_is_worse():
    assert compare_results(result(), result(mrra30=0.95)).accept
    assert not compare_results(result(), result(mrra30=0.85, rotation_median_deg=1.0)).accept


def test_a_number_that_became_undefined_or_a_table_left_out_is_worse():
    assert not compare_results(result(), result(rotation_median_deg=1.0, rta15=None)).accept
    without_loop = copy.deepcopy(result(rotation_median_deg=1.0))
    del without_loop["tables"]["loop"]
    assert "loop r_err_rad" in compare_results(result(), without_loop).worse


def test_more_failures_are_worse():
    decision = compare_results(result(), result(rotation_median_deg=1.0, failures=1))
    assert not decision.accept and "estimate failures" in decision.worse


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


def test_first_weights_must_beat_identity():
    assert compare_results(None, result()).accept
    assert not compare_results(None, result(rotation_median_deg=6.0)).accept


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
