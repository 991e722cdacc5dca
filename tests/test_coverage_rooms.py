"""The table of `make coverage`: rooms added up from their files, shares cut and not rounded."""

from __future__ import annotations

import json

from coverage_rooms import share, table


def counted(lines: int, lines_run: int, branches: int, branches_run: int) -> dict[str, object]:
    counts = {"num_statements": lines, "covered_lines": lines_run}
    return {"summary": {**counts, "num_branches": branches, "covered_branches": branches_run, "percent_covered": 1.5}}


def test_files_are_added_up_by_their_room() -> None:
    files = {
        "kling_dsl/cli/plan.py": counted(10, 9, 4, 3),
        "kling_dsl/cli/why.py": counted(20, 20, 0, 0),
        "kling_dsl/money.py": counted(5, 5, 0, 0),
    }
    assert table(json.dumps({"meta": {}, "files": files, "totals": {}}).encode()).split("\n")[2:] == [
        "| `cli` | 30 | 96.6 % | 4 | 75.0 % | 94.1 % |",
        "| `money` | 5 | 100.0 % | 0 | - | 100.0 % |",
        "| all | 35 | 97.1 % | 4 | 75.0 % | 94.8 % |",
    ]


def test_a_share_is_never_better_than_what_was_measured() -> None:
    assert share(9499, 10000) == "94.9 %"
    assert share(9999, 10000) == "99.9 %"
    assert share(1, 1) == "100.0 %"
