"""A dozen sentence pairs: six that say the same, three that touch, three that do not."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """Two sentences and how they relate: 'same', 'near' or 'far'."""

    first: str
    second: str
    kind: str


PAIRS = (
    Pair("The cat sleeps on the warm windowsill.", "A cat is napping by the sunny window.", "same"),
    Pair("How do I reset my password?", "I forgot my password and need a new one.", "same"),
    Pair("The train to Bern leaves at noon.", "The Bern train departs at twelve o'clock.", "same"),
    Pair("She won the marathon in record time.", "She ran the fastest marathon ever.", "same"),
    Pair("The soup was far too salty.", "There was too much salt in the soup.", "same"),
    Pair("The company cut a thousand jobs.", "The firm laid off 1,000 employees.", "same"),
    Pair("He plays the violin in an orchestra.", "The concert hall was sold out.", "near"),
    Pair("Bread is baked with flour and yeast.", "The bakery opens at six o'clock.", "near"),
    Pair("The river flooded the village.", "It rained heavily for three days.", "near"),
    Pair("The telescope found a new comet.", "My shoes need new laces.", "far"),
    Pair("Interest rates rose again in May.", "The children built a snowman.", "far"),
    Pair("Sort the list before searching it.", "The sauce goes well with fish.", "far"),
)
