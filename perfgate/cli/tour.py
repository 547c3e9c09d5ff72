"""``perfgate tour``: runs the lecture's topics one after the other, and explains their numbers."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, UNSURE, add_command, to_standard_output
from perfgate.reports.formats import terminal
from perfgate.reports.report import Report, Section
from perfgate.shared.errors import UserError

EPILOG = "Exit codes: 0 all topics were told, 3 a topic was left out or lacks numbers, 2 bad input or stopped."


def add(commands: Any) -> None:
    """Declare the command and its options."""
    help = "measure on this machine what training and running models costs, and explain it topic by topic"
    parser = add_command(commands, "tour", run, help, epilog=EPILOG)
    parser.add_argument("topics", metavar="TOPIC", nargs="*", help="topics to run; default: all, see --list")
    parser.add_argument("--list", action="store_true", help="list the topics, and run none")
    parser.add_argument("--pictures", metavar="FOLDER", default="", help="folder for pictures, as TOPIC.svg")


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Run the topics; on a terminal each one is shown when it ends."""
    from perfgate.reports.lecture.topics import find_topics

    found = find_topics(options.topics)
    from perfgate.reports.tour import closing, draw, opening, tour_report  # imports pandas

    if options.list:
        return OK, listing(found)
    at_once = options.format == "terminal" and not options.output
    say = writer() if at_once else lambda section: None
    from perfgate.reports.lecture.walk import walk

    told = []
    for topic in found:
        say(opening(topic))
        try:
            told.append(walk(topic))
        except KeyboardInterrupt:
            rest = " ".join(other.name for other in found[len(told) :])
            raise UserError(f"stopped in {topic.name}; go on with: perfgate tour {rest}") from None
        say(closing(told[-1]))
        if options.pictures and topic.drawn and told[-1].values:
            draw(told[-1], Path(options.pictures) / f"{topic.name}.svg")
    return (UNSURE if any(one.problem for one in told) else OK), tour_report(told, at_once)


def listing(found: Any) -> Report:
    """The list of topics by name."""
    import pandas as pd

    table = pd.DataFrame([{"topic": topic.name, "title": topic.title} for topic in found])
    return Report([Section("Topics", tables={"": table})], table, {"topics": table.to_dict("records")})


def writer() -> Callable[[Section], Any]:
    """A function that writes a section to standard output at once."""
    import pandas as pd

    def say(section: Section) -> None:
        to_standard_output(terminal(Report([section], pd.DataFrame(), {}), interactive=sys.stdout.isatty()))

    return say
