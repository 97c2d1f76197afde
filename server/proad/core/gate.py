"""The one place where requests are judged by the host's policy.

Every change passes here after the caller's scope is known and before `announce`, so that a denial
changes nothing and is met by a request that is only checked, too. The rules are pure functions in
`policy`: this module knows who asks, what the engine has, and which rules judge what.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from proad.core.actor import current_subject
from proad.core.engine_connection import EngineConnection
from proad.core.inventory import Entry, Inventory
from proad.core.registries import RegistryJudge
from proad.core.requests import refuse
from proad.core.surroundings import SurroundingsReader
from proad.errors import InvalidArgumentError, PolicyDeniedError
from proad.model import (
    DOCKER_HUB,
    Access,
    ContainerSpec,
    DomainSpec,
    DomainXml,
    ImageDefaults,
    Resource,
    ResourceKind,
    ResourceUpdate,
    Verb,
    VolumeSpec,
    check_image_name,
    registry_of,
)
from proad.policy import Foreign, Policy, Profile, Violation, containers, domains
from proad.policy.domains.xml import disks_of, judge_document, judge_xml
from proad.policy.violation import below, of_paths, without_setting
from proad.ports import Domains, JudgeXml, unjudged

LENDING = frozenset({Verb.START, Verb.RESTART, Verb.REVERT_SNAPSHOT, Verb.RECREATE})
"""The verbs that lend a caller the power of what they set going."""

_LIFECYCLE = frozenset({Verb.STOP, Verb.PAUSE, Verb.RESUME, Verb.DELETE, Verb.DELETE_SNAPSHOT})
"""The verbs on what was made outside Proa that `foreign = lifecycle` allows."""


class PolicyGate:
    """Admits requests that the profile of the current subject allows.

    The daemon itself, which has no subject, is not restricted.

    Args:
        policy: the host's policy.
        inventory: has the FULL views of what exists.
        surroundings: reads what a container refers to.
        registries: judges the addresses of registries.
    """

    def __init__(
        self,
        policy: Policy,
        inventory: Inventory,
        surroundings: SurroundingsReader | None = None,
        registries: RegistryJudge | None = None,
    ) -> None:
        self._inventory = inventory
        self._surroundings = surroundings or SurroundingsReader(inventory)
        self._registries = registries or RegistryJudge()
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Judge by another policy from now on."""
        self._ceiling: Profile = policy
        self._profiles = policy.effective()
        self._of_tenants = {name: each.of_tenant() for name, each in self._profiles.items()}

    def profile(self) -> Profile | None:
        """Return the profile of the current subject; None: the daemon itself, or an unknown one."""
        subject = current_subject()
        if subject is None:
            return None
        profiles = self._profiles if subject.access is Access.ALL else self._of_tenants
        return profiles.get(subject.profile)

    def shared_volumes(self) -> tuple[str, ...]:
        """Return which volumes of others the current subject may read, as patterns."""
        profile = self.profile()
        return () if profile is None else profile.shared_volumes

    @property
    def ceiling(self) -> Profile:
        """The host's ceiling of all profiles, and of what owners have of their own."""
        return self._ceiling

    def check_profile(self) -> None:
        """Check that the profile of the current subject exists; who has none changes nothing.

        Raises:
            PolicyDeniedError: it does not.
        """
        self._known_profile()

    def claiming(self, spec: ContainerSpec) -> AbstractContextManager[None]:
        """Claim what a new container mounts, from before it is admitted until it is known."""
        return self._surroundings.claims.claiming(spec)

    async def admit_container(
        self, connection: EngineConnection, spec: ContainerSpec, *, instead: str = ""
    ) -> ContainerSpec:
        """Return a specification to create a container from, with the profile's defaults.

        Args:
            connection: the engine.
            spec: the specification.
            instead: full id of the container whose place the new one takes; empty: of none.

        Raises:
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is None:
            return spec
        spec = containers.with_defaults(spec, profile)
        around = await self._surroundings.of_spec(connection, spec, profile, instead=instead)
        self._deny(below("spec", containers.judge(spec, profile, around)))
        return containers.with_joined(spec, around)

    def admit_image_defaults(self, spec: ContainerSpec, image: ImageDefaults) -> None:
        """Check what an image gives a container that is made from it.

        Raises:
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is not None:
            self._deny(below("spec", containers.judge_image_defaults(spec, image, profile)))

    def admit_domain(self, spec: DomainSpec) -> DomainSpec:
        """Return a specification to create a domain from.

        Raises:
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is None:
            return spec
        spec = domains.with_defaults(spec, profile)
        self._deny(below("spec", domains.judge(spec, profile)))
        return spec

    def xml_judge(self, driver: Domains) -> JudgeXml:
        """Return what judges the XML that a driver is about to make a domain of.

        The XML of a typed domain is judged there alone; that of a caller once more, with what the
        driver has completed and found in the images.
        """
        profile = self._known_profile()
        if profile is None:
            return unjudged

        async def judge(xml: str, found: Sequence[Violation]) -> None:
            facts = await driver.domain_facts()
            denied, _ = await asyncio.to_thread(judge_xml, xml, profile, facts)
            _end([*denied, *without_setting(found, profile)])

        return judge

    async def admit_xml(
        self, connection: EngineConnection, driver: Domains, source: DomainXml
    ) -> DomainXml:
        """Return XML to create a domain from: what was judged, written anew.

        Raises:
            InvalidArgumentError: it is no domain XML.
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is None:
            return source
        facts = await connection.read(driver.domain_facts)
        denied, xml = await asyncio.to_thread(judge_xml, source.xml, profile, facts)
        _end(denied)
        return replace(source, xml=xml)

    async def admit_update(
        self, connection: EngineConnection, update: ResourceUpdate
    ) -> ResourceUpdate:
        """Return a change of a resource, judged on the fields that change alone.

        Raises:
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is None:
            return update
        spec: ContainerSpec | DomainSpec
        if isinstance(update.spec, ContainerSpec):
            spec = containers.with_defaults(update.spec, profile)
            around = await self._surroundings.of_spec(connection, spec, profile)
            found, prefix = containers.judge(spec, profile, around), "container"
        else:
            spec = update.spec
            found, prefix = domains.judge(spec, profile), "domain"
        self._deny(below(prefix, of_paths(found, update.paths)))
        return replace(update, spec=spec)

    async def admit_snapshot(self, entry: Entry, count: Callable[[], Awaitable[int]]) -> None:
        """Check that a domain may have one snapshot more.

        Args:
            entry: the domain.
            count: returns how many it has; not asked where that does not matter.

        Raises:
            PolicyDeniedError: it may not.
        """
        profile = self._known_profile()
        if profile is not None and profile.max_snapshots:
            self._deny(domains.judge_snapshots(await count(), profile), path=entry.path)

    def admit_volume(self, spec: VolumeSpec) -> None:
        """Check a volume that is to be created.

        Raises:
            PolicyDeniedError: the profile denies it.
        """
        profile = self._known_profile()
        if profile is not None:
            self._deny(below("spec", domains.judge_volume(spec, profile)))

    async def admit_image(self, image: str) -> None:
        """Check that an image may be pulled from the registry in its name.

        Raises:
            InvalidArgumentError: the name is none that an image can have.
            PolicyDeniedError: the registry is not allowed.
        """
        try:
            await self._admit_registry(registry_of(image))
            check_image_name(image)
        except ValueError:
            raise InvalidArgumentError.of("image", "is no image name, such as debian:12") from None

    async def admit_registry(self, registry: str) -> None:
        """Check that a registry may be logged in to; an empty one is Docker Hub.

        Raises:
            InvalidArgumentError: `registry` is neither HOST nor HOST:PORT.
            PolicyDeniedError: the registry is not allowed.
        """
        try:
            await self._admit_registry(registry or DOCKER_HUB)
        except ValueError as error:
            raise InvalidArgumentError.of("registry", str(error)) from None

    async def check_entry(
        self, connection: EngineConnection, entry: Entry, verb: Verb, *, snapshot: str = ""
    ) -> None:
        """Check that a verb on what exists lends the caller nothing that the profile denies.

        Call this under the lock of the verb: what is judged is what the verb finds.

        Args:
            connection: the engine.
            entry: what exists.
            verb: the verb.
            snapshot: the snapshot that the verb is about; empty: none.

        Raises:
            PolicyDeniedError: what exists was made outside Proa, and the verb is not for that, or
                the profile would not let the caller make it.
        """
        await self._check(connection, entry, verb, snapshot=snapshot, lends=verb in LENDING)

    async def check_entering(self, connection: EngineConnection, entry: Entry) -> None:
        """Check that the caller may work inside what exists; see `check_entry`.

        Raises:
            PolicyDeniedError: as `check_entry`.
        """
        await self._check(connection, entry, "entering", snapshot="", lends=True)

    async def _check(
        self, connection: EngineConnection, entry: Entry, act: str, *, snapshot: str, lends: bool
    ) -> None:
        profile = self._known_profile()
        if profile is None:
            return
        found = list(_foreign(entry, act, profile))
        if lends:
            found += await self._judge_live(connection, entry, profile, snapshot)
        self._deny(found, path=entry.path)

    async def _judge_live(
        self, connection: EngineConnection, entry: Entry, profile: Profile, snapshot: str
    ) -> list[Violation]:
        driver = connection.driver
        if entry.observed.kind is ResourceKind.DOMAIN and isinstance(driver, Domains):
            return await self._judge_domain(connection, driver, entry, profile, snapshot)
        full: Resource = await self._inventory.full(connection, entry.observed.id)
        if full.container is not None:
            around = await self._surroundings.of_container(
                connection, full.id, full.container, profile
            )
            return containers.judge_live(full.container, profile, around)
        return domains.judge_live(full.domain, profile)

    async def _judge_domain(
        self,
        connection: EngineConnection,
        driver: Domains,
        entry: Entry,
        profile: Profile,
        snapshot: str,
    ) -> list[Violation]:
        """Return what a profile denies of all XML that a verb on a domain would run.

        Its disks may have become somebody else's since it was made.
        """
        facts = await driver.domain_facts()
        documents = await driver.domain_documents(entry.observed.id, snapshot=snapshot)

        def judged() -> tuple[list[Violation], set[str]]:
            found = [each for one in documents for each in judge_document(one, profile, facts)]
            return found, {each for one in documents for each in disks_of(one)}

        found, disks = await asyncio.to_thread(judged)
        of_others = await self._surroundings.disks_of_others(connection, disks)
        return found + [
            Violation(
                field="/domain/devices/disk",
                rule="volume of another",
                message=f"the disk {disk!r} is not the caller's",
            )
            for disk in sorted(of_others)
        ]

    async def _admit_registry(self, registry: str) -> None:
        profile = self._known_profile()
        if profile is None:
            return
        # A profile may name what the ceiling has under "*" only, which asks for the addresses.
        for allowed in dict.fromkeys(
            (profile.allowed_registries, self._ceiling.allowed_registries)
        ):
            found = await self._registries.judge(registry, allowed)
            self._deny([found] if found else [])

    def _known_profile(self) -> Profile | None:
        """Return the profile of the current subject; None: the daemon itself.

        Raises:
            PolicyDeniedError: the host has no such profile.
        """
        profile, subject = self.profile(), current_subject()
        if profile is None and subject is not None:
            _end([_unknown(subject.profile)])
        return profile

    def _deny(self, violations: Iterable[Violation], *, path: str = "") -> None:
        """Refuse the request for violations, if there are any."""
        subject, found = current_subject(), list(violations)
        if found and subject is not None:
            refuse(PolicyDeniedError(found, profile=subject.profile, path=path))


def _end(violations: Sequence[Violation]) -> None:
    """Raise the error of violations, if there are any, also of a request that is only checked.

    Nothing is judged without a profile, and no engine hears of what hostile XML names.
    """
    subject = current_subject()
    if violations and subject is not None:
        raise PolicyDeniedError(violations, profile=subject.profile)


def _unknown(profile: str) -> Violation:
    return Violation(
        rule="profile not configured",
        setting=f"profiles.{profile}",
        message=f"the host has no profile {profile!r}: 'proad user set-profile' gives another one",
    )


def _foreign(entry: Entry, act: str, profile: Profile) -> list[Violation]:
    """Return the violation of an act, such as a verb, on what was made outside Proa."""
    is_ours = entry.record is not None and entry.record.owner != ""
    allowed = profile.foreign
    if is_ours or allowed is Foreign.FULL or (allowed is Foreign.LIFECYCLE and act in _LIFECYCLE):
        return []
    return [
        Violation(
            rule="made outside Proa",
            setting="foreign",
            message=f"{entry.observed.name!r} was not made through Proa, and {act} of such is "
            f"not allowed (foreign is {allowed})",
        )
    ]
