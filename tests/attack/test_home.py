"""The app at home, which most tests share, among pages of other sites; test_origins.py has the public one."""

from app_server import address
from test_origins import ask, assert_foreign_pages_get_nothing


def test_a_foreign_page_gets_nothing_done_and_reads_nothing() -> None:
    assert_foreign_pages_get_nothing(address())


def test_a_name_that_an_attacker_points_here_is_refused() -> None:
    for path in ("", "config", "gradio_api/info", "gradio_api/queue/status"):
        status, headers, text = ask(address() + path, Host="evil.example:7860")
        assert status == 403 and "NSTLIB_HOSTS" in text and "evil.example" in text
        assert "access-control-allow-origin" not in headers
    assert ask(address(), Host="192.168.1.20:7860")[0] == 200 == ask(address(), Host="teacher.local")[0]
