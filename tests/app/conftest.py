"""A real, untrained, toy-sized pipeline behind the page, and a browser to look at it with."""

import asyncio
import gc
from pathlib import Path

import pytest
import torch

from rays_as_pixels.app.editor import document_from_preset
from rays_as_pixels.app.examples import find_examples
from rays_as_pixels.app.jobs.kinds import job_kinds
from rays_as_pixels.app.jobs.manager import JobManager
from rays_as_pixels.app.page.layout import build_page
from rays_as_pixels.app.page.page import Page
from rays_as_pixels.app.server.model_holder import ModelFacts, ModelHolder
from rays_as_pixels.app.server.session import Session
from rays_as_pixels.geometry.cameras import Cameras, rigid
from rays_as_pixels.geometry.trajectory import Trajectory
from rays_as_pixels.media.video import write_image, write_video
from rays_as_pixels.trajectories.formats.native import write_native
from tests.app.chromium import FLAGS, chromium_path
from tests.app.driver import PageDriver
from tests.optional import DEV

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Gradio makes event loops that it never closes; see `no_loose_loops`."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="session")
def settled_imports():
    """What is alive before the first test is not looked through after every one."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_loose_loops(settled_imports):
    """Collect Gradio's loops here, where their warnings are known, not in a later test."""
    yield
    asyncio.set_event_loop(None)
    gc.collect()


@pytest.fixture(scope="session")
def pipeline(toy):
    """The untrained pipeline that the tests share."""
    return toy


@pytest.fixture
def uploads_here(tmp_path, monkeypatch):
    """Uploads lie where the app keeps them: in a folder of the test's own."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture(scope="session")
def facts(pipeline):
    return ModelFacts("tiny", "cpu", "nothing", pipeline.num_frames, pipeline.max_frames)


@pytest.fixture
def model(pipeline, facts):
    return ModelHolder(lambda: pipeline, facts)


@pytest.fixture
def manager(tmp_path, model):
    manager = JobManager(tmp_path / "jobs", job_kinds(model.get))
    yield manager
    manager.close()


@pytest.fixture(scope="session")
def sliding_video() -> torch.Tensor:
    """Nine frames, 48 x 64, of a pattern that slides left."""
    grid = torch.arange(96) / 6
    pattern = torch.stack([grid.sin(), (1.3 * grid).cos(), (0.7 * grid).sin()]) * 0.4 + 0.5
    rows = torch.linspace(0.6, 1.0, 48)[:, None]
    return torch.stack([pattern[:, None, 3 * k : 3 * k + 64] * rows for k in range(9)])


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory, sliding_video):
    """One example with a true path: nine cameras that slide right."""
    folder = tmp_path_factory.mktemp("examples")
    place = folder / "1-slide"
    place.mkdir()
    write_video(place / "clip.mp4", sliding_video, fps=10.0)
    write_image(place / "poster.png", sliding_video[4])
    (place / "about.json").write_text('{"title": "Slide"}', encoding="utf-8")
    centre = torch.zeros(9, 3, dtype=torch.float64)
    centre[:, 0] = torch.linspace(0, 0.4, 9)
    world_from_cam = rigid(torch.eye(3, dtype=torch.float64).expand(9, 3, 3), centre)
    focal = torch.full((9, 2), 60.0, dtype=torch.float64)
    center = torch.tensor([[32.0, 24.0]], dtype=torch.float64).expand(9, 2)
    write_native(
        Trajectory(Cameras(world_from_cam, focal, center, 48, 64), 10.0), place / "truth.json"
    )
    return folder


@pytest.fixture
def examples(example_folder):
    return find_examples(example_folder)


@pytest.fixture
def page(manager, model, examples) -> Page:
    return build_page(manager, model, examples=examples)[1]


@pytest.fixture
def driver(page) -> PageDriver:
    return PageDriver(page)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium: that of the variable CHROMIUM, or one on the PATH."""
    playwright = pytest.importorskip("playwright.sync_api", reason=DEV)
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, or set CHROMIUM to one")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(page) -> Session:
    return page.open({})[page.session]


@pytest.fixture
def estimated(page, driver, opened) -> Session:
    session = driver.choose_frames(opened)[page.session]
    return driver.finished(driver.estimate(session))[0]


@pytest.fixture
def calm(estimated) -> Session:
    """The same with the true path: an untrained model's can be too wild to film."""
    return estimated.with_path("estimated", estimated.paths["truth"])


@pytest.fixture
def edited(page, driver, calm) -> Session:
    document = document_from_preset("arc-right", num_frames=5, fps=5, height=48, width=64)
    return driver.commit_edit(calm, document)[page.session]
