"""The synchronous client against grpcio-testing: what goes over the wire and comes back."""

import uuid
from datetime import UTC, datetime, timedelta

import grpc
import pytest

import proa
from proa import v1

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
GET = "ResourceService/GetResource"
LOGIN = "AuthService/CreateToken"
PULL = "ImageService/PullImage"


REFRESH = "AuthService/RefreshToken"


def granted(token, lifetime=timedelta(minutes=30), refresh_token="", kind=v1.CreateTokenResponse):
    response = kind(token=token, refresh_token=refresh_token)
    response.expire_time.FromDatetime(datetime.now(UTC) + lifetime)
    return response


def resource(name):
    return v1.GetResourceResponse(resource=v1.Resource(name=name))


@pytest.fixture
def password(wire):
    source = proa.tokens.Password("ann", "correct horse", (v1.SCOPE_BASIC,))
    return proa.Client(wire.channel, source)


def get(client):
    return client.resources.GetResource(v1.GetResourceRequest(id="web"))


def test_call_sends_request_and_token_and_returns_the_response(wire):
    client = proa.Client(wire.channel, "abc")
    answer = wire.start(get, client)
    metadata, request = wire.answer(GET, resource("web"))
    assert request == v1.GetResourceRequest(id="web")
    assert metadata["authorization"] == "Bearer abc"
    assert answer.result().resource.name == "web"


def test_call_without_a_token_sends_none(wire):
    answer = wire.start(get, proa.Client(wire.channel))
    metadata, _ = wire.answer(GET, resource("web"))
    assert "authorization" not in metadata
    answer.result()


def test_call_with_a_token_of_its_own_uses_that(wire):
    client = proa.Client(wire.channel, "abc")
    answer = wire.start(
        client.resources.GetResource,
        v1.GetResourceRequest(id="web"),
        metadata=[("authorization", "Bearer mine"), ("trace", "1")],
    )
    metadata, _ = wire.answer(GET, resource("web"))
    assert metadata["authorization"] == "Bearer mine"
    assert metadata["trace"] == "1"
    answer.result()


def test_second_call_uses_the_token_of_the_first(wire, password):
    for call in range(2):
        answer = wire.start(get, password)
        if call == 0:
            metadata, request = wire.answer(LOGIN, granted("one"))
            assert (request.username, request.password) == ("ann", "correct horse")
            assert request.scopes == [v1.SCOPE_BASIC]
            assert "authorization" not in metadata
        metadata, _ = wire.answer(GET, resource("web"))
        assert metadata["authorization"] == "Bearer one"
        answer.result()


def test_call_near_the_expiry_renews_the_token(wire):
    now = 100.0
    source = proa.tokens.Password("ann", "correct horse")
    password = proa.Client(wire.channel, source, clock=lambda: now)
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one", timedelta(seconds=1)))
    wire.answer(GET, resource("web"))
    answer.result()
    now += 0.95  # within the last tenth of the lifetime
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("two"))
    metadata, _ = wire.answer(GET, resource("web"))
    assert metadata["authorization"] == "Bearer two"
    answer.result()


def refreshed(token, refresh_token):
    return granted(token, refresh_token=refresh_token, kind=v1.RefreshTokenResponse)


def test_call_with_a_refused_token_renews_the_login_without_the_password(wire, password):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one", refresh_token="r1"))
    for number in (2, 3):
        wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
        metadata, request = wire.answer(REFRESH, refreshed(f"t{number}", f"r{number}"))
        assert request == v1.RefreshTokenRequest(refresh_token=f"r{number - 1}")
        assert "authorization" not in metadata
        metadata, _ = wire.answer(GET, resource("web"))
        assert metadata["authorization"] == f"Bearer t{number}"
        answer.result()
        answer = wire.start(get, password)
    wire.answer(GET, resource("web"))
    answer.result()


@pytest.mark.parametrize("reason", ["TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID"])
def test_call_whose_login_is_over_logs_in_anew(wire, password, reason):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one", refresh_token="r1"))
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
    wire.fail(REFRESH, UNAUTHENTICATED, reason)
    _, request = wire.answer(LOGIN, granted("two"))
    assert request.password == "correct horse"
    wire.answer(GET, resource("web"))
    answer.result()


def test_call_whose_refresh_is_refused_for_now_keeps_the_login(wire, password):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one", refresh_token="r1"))
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
    wire.fail(REFRESH, grpc.StatusCode.UNAVAILABLE, "DATABASE_UNREACHABLE")
    with pytest.raises(proa.Unavailable):
        answer.result()
    answer = wire.start(get, password)
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
    _, request = wire.answer(REFRESH, refreshed("two", "r2"))
    assert request.refresh_token == "r1"
    wire.answer(GET, resource("web"))
    answer.result()


def test_client_with_a_function_for_the_password_asks_it_once_for_each_login(wire):
    asked = []

    def password():
        asked.append(1)
        return "correct horse"

    client = proa.Client(wire.channel, proa.tokens.Password("ann", password))
    answer = wire.start(get, client)
    _, request = wire.answer(LOGIN, granted("one", refresh_token="r1"))
    assert request.password == "correct horse"
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
    wire.answer(REFRESH, refreshed("two", "r2"))
    wire.answer(GET, resource("web"))
    answer.result()
    assert len(asked) == 1


class OneLogin:
    """A login that is stored somewhere."""

    def __init__(self):
        self.tokens = ["old", "r1"]

    def token(self, refused, refresh):
        if refused == self.tokens[0]:
            answer = refresh(v1.RefreshTokenRequest(refresh_token=self.tokens[1]))
            self.tokens = [answer.token, answer.refresh_token]
        return self.tokens[0]


def test_client_with_a_stored_login_renews_it(wire):
    login = OneLogin()
    answer = wire.start(get, proa.Client(wire.channel, login))
    assert wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")["authorization"] == "Bearer old"
    wire.answer(REFRESH, refreshed("new", "r2"))
    metadata, _ = wire.answer(GET, resource("web"))
    assert metadata["authorization"] == "Bearer new"
    answer.result()
    assert login.tokens == ["new", "r2"]


def test_call_with_a_clock_ahead_of_the_daemons_keeps_the_token(wire, password):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one", timedelta(hours=-1)))
    wire.answer(GET, resource("web"))
    answer.result()
    answer = wire.start(get, password)
    metadata, _ = wire.answer(GET, resource("web"))
    assert metadata["authorization"] == "Bearer one"
    answer.result()


@pytest.mark.parametrize("reason", ["TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID"])
def test_call_with_a_refused_token_is_repeated_with_a_new_one(wire, password, reason):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one"))
    wire.fail(GET, UNAUTHENTICATED, reason)
    wire.answer(LOGIN, granted("two"))
    metadata, _ = wire.answer(GET, resource("web"))
    assert metadata["authorization"] == "Bearer two"
    assert answer.result().resource.name == "web"


def test_call_whose_new_token_is_refused_raises(wire, password):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one"))
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_REVOKED")
    wire.answer(LOGIN, granted("two"))
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_REVOKED")
    with pytest.raises(proa.Unauthenticated) as caught:
        answer.result()
    assert caught.value.reason == "TOKEN_REVOKED"


def test_call_with_a_refused_login_raises_its_error(wire, password):
    answer = wire.start(get, password)
    wire.fail(LOGIN, UNAUTHENTICATED, "BAD_CREDENTIALS")
    with pytest.raises(proa.Unauthenticated) as caught:
        answer.result()
    assert caught.value.reason == "BAD_CREDENTIALS"


def test_call_with_a_missing_scope_is_not_repeated(wire, password):
    answer = wire.start(get, password)
    wire.answer(LOGIN, granted("one"))
    wire.fail(GET, grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", required_scope="advanced")
    with pytest.raises(proa.PermissionDenied) as caught:
        answer.result()
    assert caught.value.metadata == {"required_scope": "advanced"}


def test_call_with_a_refused_fixed_token_is_not_repeated(wire):
    answer = wire.start(get, proa.Client(wire.channel, "abc"))
    wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")
    with pytest.raises(proa.Unauthenticated):
        answer.result()


def test_token_function_is_called_before_each_call_and_after_a_refusal(wire):
    tokens = iter(["one", "two", "three"])
    client = proa.Client(wire.channel, lambda: next(tokens))
    answer = wire.start(get, client)
    assert wire.answer(GET, resource("web"))[0]["authorization"] == "Bearer one"
    answer.result()
    answer = wire.start(get, client)
    assert wire.fail(GET, UNAUTHENTICATED, "TOKEN_EXPIRED")["authorization"] == "Bearer two"
    assert wire.answer(GET, resource("web"))[0]["authorization"] == "Bearer three"
    answer.result()


def test_concurrent_calls_log_in_once(wire, password):
    answers = [wire.start(get, password) for _ in range(4)]
    wire.answer(LOGIN, granted("one"))
    sent = [wire.answer(GET, resource("web"))[0]["authorization"] for _ in answers]
    assert sent == ["Bearer one"] * 4
    for answer in answers:
        answer.result()


def test_with_call_returns_response_and_call(wire):
    client = proa.Client(wire.channel, "abc")
    answer = wire.start(client.resources.GetResource.with_call, v1.GetResourceRequest(id="web"))
    wire.answer(GET, resource("web"))
    response, call = answer.result()
    assert response.resource.name == "web"
    assert call.code() is grpc.StatusCode.OK


def test_stream_that_fails_raises_a_typed_error(wire):
    client = proa.Client(wire.channel, "abc")
    request = v1.PullImageRequest(image="debian:12", request_id=str(uuid.uuid4()))
    stream = client.images.PullImage(request)
    answer = wire.start(next, stream)
    metadata, taken, rpc = wire.take(PULL)
    assert taken == request
    assert metadata["authorization"] == "Bearer abc"
    rpc.send_initial_metadata(())
    rpc.send_response(v1.PullImageResponse(progress=v1.PullProgress(status="Downloading")))
    assert answer.result().progress.status == "Downloading"
    rpc.terminate((), grpc.StatusCode.NOT_FOUND, "gone")
    with pytest.raises(proa.NotFound, match="gone"):
        next(stream)


def test_stream_with_a_refused_token_is_repeated_with_a_new_one(wire, password):
    answer = wire.start(
        lambda: list(password.images.PullImage(v1.PullImageRequest(image="debian:12")))
    )
    wire.answer(LOGIN, granted("one"))
    wire.fail(PULL, UNAUTHENTICATED, "TOKEN_EXPIRED")
    wire.answer(LOGIN, granted("two"))
    metadata, _, rpc = wire.take(PULL)
    assert metadata["authorization"] == "Bearer two"
    rpc.send_initial_metadata(())
    rpc.send_response(v1.PullImageResponse(image=v1.Image(id="1")))
    rpc.terminate((), grpc.StatusCode.OK, "")
    assert [event.image.id for event in answer.result()] == ["1"]


def test_stream_that_fails_after_a_response_is_not_repeated(wire, password):
    answer = wire.start(
        lambda: list(password.images.PullImage(v1.PullImageRequest(image="debian:12")))
    )
    wire.answer(LOGIN, granted("one"))
    _, _, rpc = wire.take(PULL)
    rpc.send_initial_metadata(())
    rpc.send_response(v1.PullImageResponse(progress=v1.PullProgress(status="Downloading")))
    rpc.terminate((), UNAUTHENTICATED, "over")
    with pytest.raises(proa.Unauthenticated, match="over"):
        answer.result()


def test_list_resources_fetches_pages_on_demand(wire):
    client = proa.Client(wire.channel, "abc")
    chosen = v1.ResourceFilter(name_prefix="w")
    listing = client.list_resources(chosen, order_by="name", read_mask=["name"], page_size=2)
    answer = wire.start(next, listing)
    _, request = wire.answer(
        "ResourceService/ListResources",
        v1.ListResourcesResponse(
            resources=[v1.Resource(name="a"), v1.Resource(name="b")], next_page_token="more"
        ),
    )
    assert (request.page_size, request.page_token, request.order_by) == (2, "", "name")
    assert request.filter == chosen
    assert request.read_mask.paths == ["name"]
    assert [answer.result().name, next(listing).name] == ["a", "b"]
    answer = wire.start(list, listing)
    _, request = wire.answer(
        "ResourceService/ListResources",
        v1.ListResourcesResponse(resources=[v1.Resource(name="c")]),
    )
    assert (request.page_size, request.page_token, request.order_by) == (2, "more", "name")
    assert [r.name for r in answer.result()] == ["c"]


@pytest.mark.parametrize(
    ("rpc", "listing", "response", "names"),
    [
        (
            "ImageService/ListImages",
            lambda client: client.list_images("debian:*", dangling=False),
            v1.ListImagesResponse(images=[v1.Image(id="i")]),
            ["i"],
        ),
        (
            "VolumeService/ListVolumes",
            lambda client: client.list_volumes("default"),
            v1.ListVolumesResponse(volumes=[v1.Volume(name="v")]),
            ["v"],
        ),
        (
            "SnapshotService/ListSnapshots",
            lambda client: client.list_snapshots("web"),
            v1.ListSnapshotsResponse(snapshots=[v1.Snapshot(name="s")]),
            ["s"],
        ),
    ],
)
def test_other_lists_yield_their_items(wire, rpc, listing, response, names):
    client = proa.Client(wire.channel, "abc")
    answer = wire.start(lambda: list(listing(client)))
    wire.answer(rpc, response)
    assert [getattr(item, "name", "") or item.id for item in answer.result()] == names


def test_call_of_a_client_that_is_closed_raises_value_error():
    # On a channel of gRPC itself, where such a call ends the process.
    client = proa.connect("127.0.0.1:1", token="abc")
    client.close()
    with pytest.raises(ValueError, match="the client is closed"):
        get(client)
    with pytest.raises(ValueError, match="the client is closed"):
        next(client.images.PullImage(v1.PullImageRequest(image="a")))
    with (
        pytest.raises(ValueError, match="the client is closed"),
        client.exec("web", ["true"]),
    ):
        pytest.fail("it has begun")
