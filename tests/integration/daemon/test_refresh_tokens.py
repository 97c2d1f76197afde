"""Refresh tokens against the daemon as a process, on SQLite and on PostgreSQL."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import proa
from eventually import wait_until
from integration.daemon.conftest import PASSWORD, Daemon
from proa import v1

ME = v1.GetCallerRequest()


@pytest.fixture
def daemon(daemon_on_each_database: Daemon) -> Daemon:
    return daemon_on_each_database


def log_in(client: proa.Client) -> v1.CreateTokenResponse:
    return client.auth.CreateToken(v1.CreateTokenRequest(username="ada", password=PASSWORD))


def refresh(client: proa.Client, token: str) -> v1.RefreshTokenResponse:
    return client.auth.RefreshToken(v1.RefreshTokenRequest(refresh_token=token))


def caller(client: proa.Client, token: str) -> v1.GetCallerResponse:
    return client.auth.GetCaller(ME, metadata=(("authorization", f"Bearer {token}"),))


def test_refresh_of_many_at_once_gives_all_of_them_the_same(daemon):
    """None of those who share a login loses it, however closely they race."""
    with proa.connect(daemon.address) as client:
        issued = log_in(client)
        for _ in range(5):
            start = threading.Barrier(16)
            before = issued.refresh_token

            def one(_: int, before: str = before, start: threading.Barrier = start):
                start.wait()
                return refresh(client, before)

            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(one, range(16)))
            assert len({answer.refresh_token for answer in answers}) == 1
            issued = answers[0]
            assert issued.refresh_token != before
            assert {caller(client, answer.token).username for answer in answers} == {"ada"}


def test_refresh_token_outlives_the_daemon(daemon):
    with proa.connect(daemon.address) as client:
        issued = log_in(client)
        second = refresh(client, issued.refresh_token)
        daemon.stop(signal.SIGKILL)
        daemon.start()
        # The answer may have been lost with the daemon: the repetition gives the same.
        assert refresh(client, issued.refresh_token).refresh_token == second.refresh_token
        refresh(client, second.refresh_token)


def test_refresh_token_used_again_ends_the_login_and_is_logged(daemon):
    with proa.connect(daemon.address) as client:
        first = log_in(client)
        second = refresh(client, first.refresh_token)
        third = refresh(client, second.refresh_token)
        with pytest.raises(proa.Unauthenticated) as caught:
            refresh(client, first.refresh_token)
        assert caught.value.reason == "TOKEN_REVOKED"
        with pytest.raises(proa.Unauthenticated):
            refresh(client, third.refresh_token)

        def all_refused() -> bool:
            for token in (first.token, second.token, third.token):
                try:
                    caller(client, token)
                except proa.Unauthenticated:
                    continue
                return False
            return True

        wait_until(all_refused, "the tokens of the login are refused")
    (line,) = [e for e in daemon.log() if e["event"].startswith("refresh token used again")]
    assert (line["level"], line["subject"]) == ("warning", "ada")
    log = (daemon.home / "log").read_text()
    assert first.refresh_token not in log
    assert third.refresh_token not in log


def test_watch_of_a_stolen_login_ends(daemon):
    with proa.connect(daemon.address) as client:
        first = log_in(client)
        second = refresh(client, first.refresh_token)
        refresh(client, second.refresh_token)
        watch = client.resources.WatchResources(
            v1.WatchResourcesRequest(), metadata=(("authorization", f"Bearer {second.token}"),)
        )
        next(watch)
        with pytest.raises(proa.Unauthenticated):
            refresh(client, first.refresh_token)
        with pytest.raises(proa.Unauthenticated):
            for _ in watch:
                pass


def test_revoke_token_ends_the_refresh_token(daemon):
    with proa.connect(daemon.address) as client:
        first = log_in(client)
        second = refresh(client, first.refresh_token)
        client.auth.RevokeToken(
            v1.RevokeTokenRequest(), metadata=(("authorization", f"Bearer {first.token}"),)
        )
        with pytest.raises(proa.Unauthenticated):
            refresh(client, second.refresh_token)


def test_refresh_token_of_another_daemon_is_refused(daemon, start_daemon):
    other = start_daemon("--memory")
    with proa.connect(daemon.address) as client, proa.connect(other.address) as theirs:
        issued = log_in(theirs)
        with pytest.raises(proa.Unauthenticated) as caught:
            refresh(client, issued.refresh_token)
        assert caught.value.reason == "TOKEN_INVALID"
        refresh(theirs, issued.refresh_token)


def test_client_with_a_password_logs_in_once_over_many_tokens(start_daemon):
    daemon = start_daemon("--memory", PROA_TOKEN_LIFETIME="2s")
    asked = []

    def password() -> str:
        asked.append(1)
        return PASSWORD

    seen = set()

    def three_tokens_were_used() -> bool:
        seen.add(client.auth.GetCaller(ME).expire_time.seconds)
        return len(seen) >= 3

    with proa.connect(daemon.address, username="ada", password=password) as client:
        wait_until(three_tokens_were_used, "three tokens were used")
    assert len(asked) == 1
