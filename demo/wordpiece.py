"""Text to token numbers, the way uncased BERT models read it.

Lower case, accents off, punctuation on its own, then each word cut greedily into the longest
pieces that the vocabulary knows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

_LONGEST_WORD = 100


class WordPiece:
    """A tokenizer made from nothing but its vocabulary.

    Parameters
    ----------
    vocabulary : sequence of str
        The pieces; a piece's place is its number. Pieces that continue a word begin with ``##``.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._number = {piece: number for number, piece in enumerate(vocabulary)}
        self._pad, self._unknown, self._start, self._end = (
            self._number[special] for special in ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
        )

    def numbers(self, text: str) -> list[int]:
        """Return the token numbers of one text, with the start and end tokens."""
        pieces = [piece for word in _words(text) for piece in self._pieces(word)]
        return [self._start, *pieces, self._end]

    def batch(self, texts: Iterable[str]) -> tuple[Tensor, Tensor]:
        """Return the numbers of many texts, padded to one length, and which of them are real.

        Parameters
        ----------
        texts : iterable of str
            The texts, one per row.

        Returns
        -------
        tuple of Tensor
            Token numbers (int64) and a bool tensor of the same shape, False at padding.
        """
        rows = [self.numbers(text) for text in texts]
        longest = max(len(row) for row in rows)
        numbers = torch.tensor([row + [self._pad] * (longest - len(row)) for row in rows])
        real = torch.tensor([[place < len(row) for place in range(longest)] for row in rows])
        return numbers, real

    def _pieces(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            lead = "##" if start else ""
            for end in range(len(word), start, -1):
                number = self._number.get(lead + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:  # not even one character is known: the whole word is unknown
                return [self._unknown]
        return found


def _words(text: str) -> list[str]:
    """Split a text into lower-case words and single punctuation marks."""
    spaced: list[str] = []
    for character in unicodedata.normalize("NFD", text.lower()):
        category = unicodedata.category(character)
        if character.isspace():
            spaced.append(" ")
        elif category == "Mn" or category.startswith("C"):
            continue  # accents, control characters
        elif _is_punctuation(character, category) or _is_ideograph(character):
            spaced.append(f" {character} ")
        else:
            spaced.append(character)
    return "".join(spaced).split()


def _is_punctuation(character: str, category: str) -> bool:
    # Every ASCII sign but letters and digits counts, whatever Unicode calls it ($, +, ^ ...).
    return category.startswith("P") or ("!" <= character <= "~" and not character.isalnum())


def _is_ideograph(character: str) -> bool:
    code = ord(character)
    return 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2FA1F
