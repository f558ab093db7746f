"""Requests from other web sites are refused, those from the page and from programs are not."""

import pytest

from rays_as_pixels.app.server.origin import refusal

HERE = {"host": "127.0.0.1:7860"}


@pytest.mark.parametrize(
    "headers",
    [
        HERE,
        HERE | {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:7860"},
        HERE | {"origin": "http://127.0.0.1:7860"},
        {"host": "localhost:7860"},
        {"host": "[::1]:7860"},
        HERE | {"x-forwarded-host": "example.org", "origin": "https://example.org"},
    ],
)
def test_the_page_itself_and_programs_may_post(headers):
    assert refusal("POST", headers, local_only=True) == ""


@pytest.mark.parametrize(
    "headers",
    [
        HERE | {"sec-fetch-site": "cross-site"},
        HERE | {"sec-fetch-site": "same-site"},
        HERE | {"origin": "https://evil.example"},
        HERE | {"origin": "null"},
        HERE | {"origin": "http://127.0.0.1:9999"},
    ],
)
def test_other_sites_may_not_post(headers):
    assert "another site" in refusal("POST", headers, local_only=True)
    assert refusal("GET", headers, local_only=True) == "", "links to the page must work"


def test_a_foreign_host_name_on_a_local_app_is_refused_even_for_reading():
    rebound = {"host": "evil.example:7860"}
    assert "host must be this machine" in refusal("GET", rebound, local_only=True)
    assert refusal("GET", rebound, local_only=False) == "", "a server has names of its own"
