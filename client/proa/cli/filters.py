"""The options that select resources."""

from collections.abc import Sequence
from typing import Annotated

import typer

from proa import v1
from proa.cli.text import one_of, pairs, words

_KINDS = {
    "container": v1.RESOURCE_KIND_CONTAINER,
    "domain": v1.RESOURCE_KIND_DOMAIN,
    "vm": v1.RESOURCE_KIND_DOMAIN,
}


def _kind(text: str) -> v1.ResourceKind.ValueType:
    if text not in _KINDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_KINDS)}")
    return _KINDS[text]


Kinds = Annotated[
    list[v1.ResourceKind.ValueType] | None,
    typer.Option("--kind", parser=_kind, metavar="container|vm", help="Only this kind."),
]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Only with this label.")
]
States = Annotated[
    list[v1.ResourceState.ValueType] | None,
    typer.Option(
        "--state",
        parser=one_of(v1.ResourceState),
        metavar="STATE",
        help=f"Only in this state: {words(v1.ResourceState)}.",
    ),
]
Name = Annotated[str, typer.Option("--name", help="Only with a name that starts like this.")]
Image = Annotated[str, typer.Option("--image", help="Only containers made from this image.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="Only on this host connection.")]
Owners = Annotated[list[str] | None, typer.Option("--owner", help="Only what this user made.")]


def chosen(
    kinds: Kinds,
    labels: Labels,
    states: Sequence[v1.ResourceState.ValueType] | None,
    name: str,
    image: str,
    hosts: Hosts,
    owners: Owners,
) -> v1.ResourceFilter:
    """Return the filter of the options."""
    return v1.ResourceFilter(
        kinds=kinds,
        states=states,
        labels=pairs(labels),
        name_prefix=name,
        image=image,
        hosts=hosts or (),
        owners=owners or (),
    )
