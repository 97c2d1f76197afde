"""The options of the contract's own, which `buf breaking` does not compare.

After a wanted change: PROA_UPDATE_GOLDEN=1 pytest tests/unit/contract, and read the diff. What a line
said before is a promise to callers; CONTRIBUTING.md says which changes need a record.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from rpc.daemon import contract_files

GOLDEN = Path(__file__).parents[2] / "golden/contract-options.txt"


def told(options: Any) -> str:
    """Return the options that are set, on one line."""
    return text_format.MessageToString(options, as_one_line=True).replace("proa.v1.", "")


def elements(message: Any) -> Iterator[Any]:
    """Yield a message, its fields, and what is nested in it."""
    yield message
    yield from message.fields
    yield from message.oneofs
    for enum in message.enum_types:
        yield from (enum, *enum.values)
    for nested in message.nested_types:
        yield from elements(nested)


def name_of(element: Any) -> str:
    full = getattr(element, "full_name", "") or f"{element.type.full_name}.{element.name}"
    return full.removeprefix("proa.v1.")


def lines() -> Iterator[str]:
    for file in contract_files():
        for extension in file.extensions_by_name.values():
            kind = extension.containing_type.full_name
            yield f"{kind} has {extension.name} = {extension.number}"
        found = [e for message in file.message_types_by_name.values() for e in elements(message)]
        for enum in file.enum_types_by_name.values():
            found += [enum, *enum.values]
        for service in file.services_by_name.values():
            found += [service, *service.methods]
        for element in found:
            if options := told(element.GetOptions()):
                yield f"{name_of(element)}: {options}"


def test_options_match_golden_list():
    present = "".join(f"{line}\n" for line in sorted(lines()))
    if os.environ.get("PROA_UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(present)

    assert present.splitlines() == GOLDEN.read_text().splitlines()


def test_golden_list_has_every_method_and_extension():
    golden = GOLDEN.read_text()

    for file in contract_files():
        for service in file.services_by_name.values():
            for method in service.methods:
                assert f"{service.name}.{method.name}: " in golden
        for name in file.extensions_by_name:
            assert f" has {name} = " in golden
