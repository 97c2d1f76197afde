"""How much is built and how often it is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run.

    Attributes:
        containers: how many are there; `running` of them run.
        domains: how many are defined; `running` more run.
        running: of each kind.
        idle_resources: how many there are, of both kinds, while the daemon idles.
        idle_seconds: how long its idling is watched.
        lists, gets, verbs, sdk_lists: rounds of each; a round asks every side once.
        slices: pairs of slices in which throughput is measured, `slice_seconds` each.
        few_resources, many_resources: how many there are in the two daemons that are compared.
        scaling: rounds of each call to these.
        request_ids: rounds of calls with and without an id.
        audit: rounds of calls with the audit log on disk and in memory.
        commands: rounds of a command that does nothing.
        command_outputs, command_output: how often a command writes how many bytes.
        external_changes: pauses and resumes of each kind behind the daemon's back.
        watchers: how many watch at once.
        watched_changes: what all of them are to be told of.
    """

    containers: int
    domains: int
    running: int
    idle_resources: int
    idle_seconds: float
    lists: int
    gets: int
    verbs: int
    sdk_lists: int
    slices: int
    slice_seconds: float
    few_resources: int
    many_resources: int
    scaling: int
    request_ids: int
    audit: int
    commands: int
    command_outputs: int
    command_output: int
    external_changes: int
    watchers: int
    watched_changes: int


FULL = Plan(
    containers=200,
    domains=200,
    running=5,
    idle_resources=1000,
    idle_seconds=20,
    lists=150,
    gets=1500,
    verbs=80,
    sdk_lists=12,
    slices=8,
    slice_seconds=1.5,
    few_resources=1_000,
    many_resources=50_000,
    scaling=300,
    request_ids=300,
    audit=300,
    commands=60,
    command_outputs=7,
    command_output=100_000_000,
    external_changes=200,
    watchers=500,
    watched_changes=200,
)

QUICK = Plan(
    containers=200,
    domains=200,
    running=2,
    idle_resources=1000,
    idle_seconds=5,
    lists=40,
    gets=400,
    verbs=15,
    sdk_lists=3,
    slices=4,
    slice_seconds=0.6,
    few_resources=1_000,
    many_resources=50_000,
    scaling=80,
    request_ids=100,
    audit=100,
    commands=20,
    command_outputs=3,
    command_output=30_000_000,
    external_changes=25,
    watchers=50,
    watched_changes=40,
)
