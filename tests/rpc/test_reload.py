"""A reload of what is in force for the next call."""

from proad.reload import Reloader
from rpc.daemon import refusal


async def test_reload_of_the_policy_is_in_force_for_the_next_call(serve, settings):
    policy = {"allowed_registries": ["registry.example"]}
    reloader = Reloader(settings(policy=policy), lambda: settings(policy=policy))
    daemon = await serve(parts={"reloader": reloader}, policy=dict(policy))
    image = {"image": "other.example/busybox:1"}
    refused = await refusal(daemon.call("PullImage", **image).read())
    assert refused.reason == "POLICY_DENIED"
    policy["allowed_registries"] = ["other.example"]

    assert (await reloader.reload()).changed == ["policy"]

    assert await daemon.call("PullImage", **image).read()
