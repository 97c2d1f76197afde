"""`make soak`: tests that take too long for `make test`, on private engines and daemons.

Prints what was measured; exits non-zero where a promise was broken.
"""

import argparse
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial

from kills.cases import CASES
from kills.host import host_engines
from planned.compared import POLICY
from soak import (
    answers,
    attacks,
    endurance,
    external_changes,
    frozen,
    inside,
    kill_points,
    kills,
    plans,
    quota,
    races,
    requests,
    slow,
    tokens,
)
from soak.setting import daemon, folder, private_setting

_Part = Callable[[int], str]


def _answers(seed: int) -> str:
    return answers.answers(answers.MILLION, seed)


def _external_changes(seed: int) -> str:
    with private_setting() as setting:
        return external_changes.external_changes(setting, external_changes.FULL, seed)


def _slow(seed: int) -> str:
    with private_setting() as setting:
        return slow.slow(setting, slow.ONE, seed)


def _crowd(seed: int) -> str:
    with private_setting() as setting:
        return slow.slow(setting, slow.CROWD, seed)


def _tokens(seed: int) -> str:
    with private_setting() as setting:
        change = tokens.by_external_actors(setting, seed)
        fill = tokens.by_calls(setting.daemon)
        return tokens.tokens(setting.daemon, change, changes=1000, seed=seed, fill=fill)


def _frozen_dockerd(seed: int) -> str:
    with private_setting() as setting:
        return frozen.frozen_dockerd(setting, frozen.FULL, seed)


def _frozen_libvirtd(seed: int) -> str:
    with private_setting() as setting:
        return frozen.frozen_libvirtd(setting, frozen.FULL, seed)


def _frozen_container(seed: int) -> str:
    with private_setting() as setting:
        return frozen.frozen_container(setting, frozen.FULL, seed)


def _races(seed: int) -> str:
    with private_setting() as setting:
        return races.races(setting, races.FULL, seed)


def _plans(seed: int) -> str:
    # A private dockerd has no bridge, without which it refuses what others do.
    with folder() as home, host_engines() as engines:
        config = home / "proa.toml"
        config.write_text(POLICY)
        with daemon(PROA_CONFIG=str(config)) as served, served.client() as client:
            return plans.plans(client, engines.pool_path.name, plans.CASES, seed)


def _kills(seed: int) -> str:
    return kills.kills(kills.FULL, seed)


def _quota(seed: int) -> str:
    return quota.quota(quota.FULL, seed)


def _endurance(seed: int) -> str:
    with private_setting() as setting:
        return endurance.endurance(setting.daemon, endurance.FULL, seed)


def _requests(seed: int) -> str:
    return requests.requests(requests.FULL, seed)


def _attacks(seed: int) -> str:
    return attacks.under_attack(6, seed)


_PARTS: Mapping[str, _Part] = {
    "answers": _answers,
    "external-changes": _external_changes,
    "slow": _slow,
    "crowd": _crowd,
    "tokens": _tokens,
    "frozen-dockerd": _frozen_dockerd,
    "frozen-libvirtd": _frozen_libvirtd,
    "frozen-container": _frozen_container,
    "races": _races,
    "plans": _plans,
    "inside": partial(inside.inside, inside.SECONDS),
    "kill-points": partial(kill_points.kill_points, kill_points.TIMES, CASES),
    "kills": _kills,
    "quota": _quota,
    "endurance": _endurance,
    "requests": _requests,
    "attacks": _attacks,
}
# Beside them each call of kill-points alone, whose calls take hours together.
_NAMED: Mapping[str, _Part] = {
    **_PARTS,
    **{
        f"kill-points/{case.name}": partial(kill_points.kill_points, kill_points.TIMES, (case,))
        for case in CASES
    },
}


def main() -> int:
    """Run the named parts, or all of them."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(_NAMED)}")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--seconds", type=float, help="how long `inside` has its streams")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - _NAMED.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    print(f"soak: --seed {arguments.seed}", flush=True)  # noqa: T201 - its output
    # As at an interrupt from the keyboard: engines and daemons are ended, not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    named = dict(_NAMED)
    if arguments.seconds:
        named["inside"] = partial(inside.inside, arguments.seconds)
    failed = []
    for name in arguments.parts or _PARTS:
        begin = time.monotonic()
        try:
            report = named[name](arguments.seed)
        except Exception:  # noqa: BLE001 - the other parts are worth running all the same
            failed.append(name)
            report = f"FAILED\n{traceback.format_exc(limit=-8)[-4000:]}"
        print(f"{name} ({time.monotonic() - begin:.0f} s): {report}", flush=True)  # noqa: T201
    if failed:
        print(f"soak: failed: {', '.join(failed)}")  # noqa: T201
    return 1 if failed else 0


sys.exit(main())
