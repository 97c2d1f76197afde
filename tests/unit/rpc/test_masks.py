"""Read masks: the same result as the library's own merge."""

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from proa import v1
from proad.rpc.masks import ReadMask

FULL = v1.Resource(
    id="c0ffee",
    name="web",
    labels={"tier": "front"},
    allowed_verbs=[v1.VERB_STOP],
    create_time=Timestamp(seconds=7),
    state_detail=v1.StateDetail(message="so"),
    container=v1.Container(
        image="nginx",
        env={"A": "b"},
        ports=[v1.PublishedPort(container_port=80)],
        spec=v1.ContainerSpec(image="nginx"),
    ),
)


def paths(descriptor, prefix="", depth=0):
    for field in descriptor.fields:
        yield prefix + field.name
        if field.message_type and not field.is_repeated and depth < 2:
            yield from paths(field.message_type, f"{prefix}{field.name}.", depth + 1)


PATHS = sorted(paths(v1.Resource.DESCRIPTOR))


@given(st.lists(st.sampled_from(PATHS), min_size=1, max_size=6))
def test_mask_of_any_paths_selects_what_a_merge_does(chosen):
    mask = FieldMask(paths=chosen)
    for message in (FULL, v1.Resource(), v1.Resource(domain=v1.Domain(vcpus=2))):
        merged = v1.Resource()
        mask.MergeMessage(message, merged)

        assert ReadMask(mask, v1.Resource).apply(message) == merged


def test_mask_without_paths_returns_the_message_itself():
    assert ReadMask(FieldMask(), v1.Resource).apply(FULL) is FULL
