"""What the rows of a pull tell while it goes on."""

from typing import Any

from rich.console import Console
from rich.progress import Progress

from proa import v1
from proa.cli.images import BytesColumn, show_progress


def step(layer, status, *bytes):
    return v1.PullImageResponse(
        progress=v1.PullProgress(
            layer_id=layer,
            status=status,
            current_bytes=bytes[0] if bytes else 0,
            total_bytes=bytes[1] if bytes else 0,
        )
    )


def rows(*steps):
    shown: Any = Progress(BytesColumn(binary_units=True), console=Console(quiet=True), disable=True)
    show_progress(steps, shown)
    return [BytesColumn(binary_units=True).render(task).plain for task in shown.tasks]


def test_progress_of_a_layer_shows_the_bytes_of_its_step():
    loading = step("a", "Downloading", 2**20, 8 * 2**20)
    assert rows(loading) == ["1.0/8.0 MiB"]
    assert rows(loading, step("a", "Download complete")) == [""]
    assert rows(loading, step("a", "Extracting", 0, 8 * 2**20)) == ["0.0/8.0 MiB"]


def test_progress_of_a_layer_without_bytes_shows_none():
    assert rows(step("", "Pulling from x"), step("a", "Already exists")) == ["", ""]


def test_progress_of_a_layer_before_its_first_step_renders():
    shown: Any = Progress(BytesColumn(binary_units=True), console=Console(quiet=True), disable=True)
    drawn: list[str] = []

    def update(*_args, **_fields):
        drawn.extend(BytesColumn(binary_units=True).render(task).plain for task in shown.tasks)

    shown.update = update
    show_progress([step("a", "Waiting")], shown)
    assert drawn == [""]
