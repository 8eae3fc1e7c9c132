"""A record as a section of a page, for people."""

from lightsam_benchmarks.page import Section

from .record import Record
from .report import notes, tables


def section(record: Record) -> Section:
    """The tables, and what must be known of the record."""
    sets = [one.name for one in record.sets]
    return Section(
        "Masks by boxes",
        sets[0] if len(sets) == 1 else f"{len(sets)} sets",
        record.created,
        tables(record),
        notes(record),
        "AP is the mean precision over recalls, IoUs from 0.5 to 0.95 and categories, in percent. It compares two "
        "models only with the same boxes.",
    )
