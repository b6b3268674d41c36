"""What a generator of sparse features is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from toysae.draws import Draws
from toysae.generators.coefficients import Coefficients
from toysae.generators.truth import Truth


class Generator(ABC):
    """A law of which features fire, and how strongly.

    Implementations are frozen dataclasses whose fields are the configuration. What `truth` states
    is what `sample` does.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Number of features."""

    @abstractmethod
    def sample(self, draws: Draws, n: int) -> Coefficients:
        """Coefficients of `n` samples, on the device of `draws`; a function of its key alone."""

    @abstractmethod
    def truth(self) -> Truth:
        """The facts about these samples: exact where a closed form is known."""
