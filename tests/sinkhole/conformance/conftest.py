"""Every check runs against every server; where they differ, it says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sinkhole.conformance.peers import STARTED, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_SILENT = (
    "Knot is silent where it cannot read the question. RFC 1035 section 4.1.1 has FORMERR for it, "
    "and a client that is told does not wait and ask again; the answer is a header alone."
)
_BADCOOKIE = (
    "Knot's module sends BADCOOKIE to who has no valid cookie yet, which RFC 7873 section 5.2.3 "
    "allows. The sinkhole answers at once: who asks it is to be counted, not turned away, and what "
    "a forged source can be sent is bounded in another way."
)
_NETWORK = (
    "Knot takes a client subnet that RFC 7871 section 6 wants FORMERR for. The sinkhole writes "
    "networks down, so it takes only those that mean something."
)
_NONE = "test_rfc1035_2_3_4_and_4_1_4_names_that_are_none"
_SUBNET = "test_rfc7871_6_a_network_that_is_none"

KNOT_DIFFERS: dict[str, str] = {
    "test_rfc1035_4_1_1_the_question_is_cut_off": _SILENT,
    f"{_NONE}[loop]": _SILENT,
    f"{_NONE}[pointer]": _SILENT,
    f"{_NONE}[long label]": _SILENT,
    f"{_NONE}[reserved label]": _SILENT,
    f"{_NONE}[long name]": _SILENT,
    "test_rfc9619_two_questions": (
        "Knot is silent; RFC 9619 section 4 says FORMERR, in so many words since 2024."
    ),
    "test_rfc7873_5_4_no_question_and_no_cookie": _SILENT,
    "test_rfc7873_5_4_a_cookie_without_a_question": (
        "Knot does not know queries for a cookie alone (RFC 7873 section 5.4); BIND does."
    ),
    "test_rfc7873_5_2_4_another_servers_cookie_is_as_good_as_none": _BADCOOKIE,
    "test_rfc8906_8_2_9_several_defined_options": _BADCOOKIE,
    "test_rfc7873_5_2_the_first_cookie_counts": (
        "Knot takes the last cookie; RFC 7873 section 5.2 says the first one."
    ),
    f"{_SUBNET}[long]": _NETWORK,
    f"{_SUBNET}[bits beyond]": _NETWORK,
    f"{_SUBNET}[scope]": _NETWORK,
    "test_rfc6891_6_1_2_the_owner_is_the_root": (
        "Knot takes an OPT record of any name; RFC 6891 section 6.1.2 says the root's. BIND "
        "answers FORMERR as well."
    ),
    "test_rfc5936_2_2_1_a_transfer_is_refused_by_policy": (
        "Knot says NOTAUTH where a transfer is not allowed; RFC 5936 section 2.2.1 has REFUSED for "
        "policy and NOTAUTH for a zone that the server does not have."
    ),
    "test_rfc8906_other_classes_are_refused[255]": (
        "Knot answers class ANY as class IN. An answer to it cannot be authoritative (RFC 1034 "
        "section 4.3.2), and no resolver asks so."
    ),
    "test_rfc8482_4_2_any_is_answered_with_hinfo": (
        "Knot picks one set of records (RFC 8482 section 4.1), here the address; the sinkhole the "
        "HINFO of section 4.2, which is shorter and the same for every name."
    ),
}
"""Checks that Knot does not pass, and why the sinkhole does it in another way."""


@pytest.fixture(scope="module", params=sorted(STARTED))
def running_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with STARTED[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def server(running_server: Server, request: pytest.FixtureRequest) -> Server:
    """A server under test. A check that Knot is said not to pass must fail there."""
    check = request.node.name.replace("[knot]", "").replace("[knot-", "[")
    reason = KNOT_DIFFERS.get(check)
    if running_server.name == "knot" and reason:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    return running_server
