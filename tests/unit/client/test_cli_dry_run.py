"""What a dry run tells of a plan that no daemon in memory has."""

import json

from proa import v1
from proa.cli.changing import DryRun
from proa.cli.exits import Exit


def dry_run(effect, *, as_json=False):
    change = v1.PlannedChange(field="env", effect=effect)
    plan = v1.Plan(changes=[change], may_fail=[v1.ERROR_REASON_IN_USE])
    request, response = v1.UpdateResourceRequest(id="web"), v1.UpdateResourceResponse(plan=plan)
    return DryRun("UpdateResource", request, response, as_json=as_json)


def test_dry_run_of_what_an_update_refuses_exits_as_the_refusal(capsys):
    run = dry_run(v1.CHANGE_EFFECT_RECREATE)

    run.write()

    told = capsys.readouterr()
    assert run.exit is Exit.WRONG_STATE
    assert told.out.splitlines() == [
        "would update web",
        "FIELD  TAKES EFFECT",
        "env    when it is made again",
    ]
    assert "It may fail all the same: in-use" in told.err
    assert "proa recreate" in told.err


def test_dry_run_for_programs_has_the_plan(capsys):
    run = dry_run(v1.CHANGE_EFFECT_LIVE, as_json=True)

    run.write()

    told = json.loads(capsys.readouterr().out)
    assert run.exit is Exit.OK
    assert told["dry_run"] == "would update web"
    assert told["plan"]["changes"] == [{"field": "env", "effect": "CHANGE_EFFECT_LIVE"}]


def test_dry_run_of_a_create_shows_what_the_profile_fills_in_and_no_secret(capsys):
    spec = v1.ContainerSpec(image="debian:12", env_secret={"K": v1.EnvSecret(value="canary")})
    made = v1.ContainerSpec(image="debian:12", env_secret={"K": v1.EnvSecret(redacted=True)})
    spec.ports.add(container_port=80)
    made.ports.add(container_port=80, host_ip="127.0.0.1")
    made.resources.pids_limit = 77
    made.allow_new_privileges = False
    response = v1.CreateContainerResponse(plan=v1.Plan(container=made))

    DryRun("CreateContainer", v1.CreateContainerRequest(spec=spec), response, as_json=False).write()

    assert capsys.readouterr().out.splitlines() == [
        "would create container from debian:12",
        "  ports[0].host_ip: 127.0.0.1  (filled in)",
        "  resources.pids_limit: 77  (filled in)",
        "  allow_new_privileges: false  (filled in)",
    ]
