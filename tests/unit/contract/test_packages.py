"""What each file of the contract tells the compilers of other languages."""

import pytest

from rpc.daemon import contract_files

FILES = {file.name: file for file in contract_files()}
OPTIONS = "proa/v1/options.proto"
# Up to there, numbers are for use within one organisation.
IN_HOUSE = 99_999


@pytest.mark.parametrize("name", FILES)
def test_file_names_the_package_of_each_language(name: str):
    options = FILES[name].GetOptions()

    assert {field.name: value for field, value in options.ListFields()} == {
        "csharp_namespace": "Proa.V1",
        "go_package": "proa.dev/go/proa/v1;proav1",
        "java_multiple_files": True,
        "java_package": "dev.proa.v1",
        "objc_class_prefix": "PRA",
        "php_namespace": "Proa\\V1",
        "ruby_package": "Proa::V1",
    }


def test_extensions_are_in_one_file_with_numbers_of_their_own():
    extensions = [e for file in FILES.values() for e in file.extensions_by_name.values()]
    numbers = {extension.number for extension in extensions}

    assert extensions
    assert {extension.file.name for extension in extensions} == {OPTIONS}
    assert len(numbers) == len(extensions)
    assert min(numbers) > IN_HOUSE
