"""Requests of another site are refused, and what was uploaded does not stay."""

import os
from pathlib import Path

import pytest

pytest.importorskip("gradio")
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from emolib.app import guard


def served(host):
    app = Starlette(
        routes=[Route("/", lambda request: PlainTextResponse("hello"), methods=["GET", "POST"])],
        middleware=[Middleware(guard.Guard, hosts=guard.names_of(host))],
    )
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.fixture
def client():
    return served("127.0.0.1")


def test_the_page_of_this_computer_is_served_with_what_it_may_do(client):
    answer = client.post("/", headers={"origin": "http://127.0.0.1:7860"})
    assert (answer.status_code, answer.text) == (200, "hello")
    assert guard.HEADERS.items() <= dict(answer.headers).items()
    assert client.get("/", headers={"host": "localhost:7860"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:7860", "origin": "http://evil.example:7860"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
    ],
)
def test_another_site_is_refused(client, headers):
    answer = client.post("/", headers=headers)
    assert (answer.status_code, answer.text) == (403, "this page answers its own computer only")


def test_an_address_of_the_network_is_asked_by_its_name_too():
    assert guard.names_of("[::1]") == ("::1", "localhost", "127.0.0.1")
    assert guard.names_of("192.168.0.7")[0] == "192.168.0.7"


def test_a_server_on_all_networks_is_asked_by_any_address_but_by_no_foreign_name():
    client = served("0.0.0.0")
    assert client.get("/", headers={"host": "192.168.0.7:7860"}).status_code == 200
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403


def test_what_was_uploaded_is_gone_in_the_end(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "elsewhere")
    with guard.forgetful() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == folder
        Path(folder, "face.jpg").write_bytes(b"a face")
    assert not Path(folder).exists()
    assert os.environ["GRADIO_TEMP_DIR"] == "elsewhere"
