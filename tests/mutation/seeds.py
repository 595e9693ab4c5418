"""All seeds of the mutation test by name."""

from tests.mutation import others, recordings, scenes, volumes
from tests.mutation.seed import Seed

SEEDS: dict[str, Seed] = {s.name: s for s in (*volumes.SEEDS, *scenes.SEEDS, *recordings.SEEDS, *others.SEEDS)}
