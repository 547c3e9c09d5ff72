"""Arguments are told to a library under the names that its version knows."""

from dataclasses import make_dataclass

import pytest

from perfgate.actor.failures import Unsupported
from perfgate.actor.versions import fields_for

ASKED = {"page_size": 16, "use_cuda_graph": False, "auto_switch_to_flash": False}


def test_serving_asks_for_pages_under_their_older_name_where_the_newer_is_not_known() -> None:
    older = make_dataclass("Older", ["block_size", "use_cuda_graph"])
    newer = make_dataclass("Newer", ["page_size", "block_size", "use_cuda_graph", "auto_switch_to_flash"])

    assert fields_for(older, ASKED) == {"block_size": 16, "use_cuda_graph": False}
    assert fields_for(newer, ASKED) == ASKED


def test_what_a_version_lacks_and_a_setting_needs_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="page_size=16 is not known to transformers"):
        fields_for(make_dataclass("Oldest", ["num_blocks"]), ASKED)
