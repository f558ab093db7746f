"""What the events do where something is missing, foreign or out of order."""

import gradio as gr
import pytest

from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.records import JobState
from rays_as_pixels.app.page.layout import build_page
from rays_as_pixels.app.page.results import editor_updates
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.app.server.session import Session, session_from_browser
from rays_as_pixels.errors import CheckpointError, InputError
from tests.app.driver import SOON, PageDriver

pytestmark = pytest.mark.usefixtures("uploads_here")


def test_steps_out_of_order_say_which_comes_first(driver):
    with pytest.raises(InputError, match="in step 3"):
        driver.generate(Session())
    with pytest.raises(InputError, match="in step 2"):
        driver.generate(Session(), path_choice="estimated")
    with pytest.raises(InputError, match="in step 2"):
        driver.loop(Session())
    with pytest.raises(InputError, match="Compare with must be one of"):
        driver.choose_overlay(Session(), "estimated")
    with pytest.raises(InputError, match="Camera path must be one of"):
        driver.generate(Session(), path_choice="secret")
    with pytest.raises(InputError, match="one of the 1 shown; got 7"):
        driver.pick_example(Session(), 7)


def test_without_a_model_the_page_opens_and_says_what_to_do(manager, examples):
    def missing():
        raise CheckpointError("model must be there; got none. Train one.")

    holder = ModelHolder(missing, ModelFacts("none", "cpu"))
    manager.kinds.update(job_kinds(holder.get))
    page = build_page(manager, holder, examples=examples)[1]
    driver = PageDriver(page)
    holder.start_loading().join()
    updates = page.open({})
    assert "Train one." in updates[page.header.status] and "No model" in updates[page.header.status]
    submitted = driver.estimate(updates[page.session])
    record = manager.wait(submitted[page.session].job, timeout_sec=SOON)
    assert record.state is JobState.FAILED and record.message.endswith("Train one.")


def test_names_from_outside_cannot_become_markup(manager, pipeline):
    facts = ModelFacts("<script>", "<b>", '"><img src=x>')
    page = build_page(manager, ModelHolder(lambda: pipeline, facts), examples=[])[1]
    status = page.open({})[page.header.status]
    assert "<script>" not in status and "<img" not in status and "&lt;script&gt;" in status


def test_the_server_writes_in_the_browsers_language(page):
    updates = page.open({}, "zh")
    assert updates[page.session].lang == "zh" and "设备" in updates[page.header.status]
    assert isinstance(updates[page.generate.path_choice], dict)
    assert updates[page.generate.path_choice] == gr.update(
        choices=[
            ("编辑后的路径", "edited"),
            ("估计的路径", "estimated"),
            ("模型想象的路径", "imagine"),
        ]
    )


def test_a_malformed_visitor_id_is_replaced():
    assert session_from_browser({"visitor": "abc"}).visitor != "abc"
    assert session_from_browser({"visitor": "a" * 32}).visitor == "a" * 32


def test_an_update_without_an_edit_takes_the_editors_old_path_away(page):
    """An edit belongs to the estimate it started from; another video's must not stay in sight."""
    given = editor_updates(page, Session())[page.edit.editor].constructor_args
    assert "value" in given and given["value"] is None
