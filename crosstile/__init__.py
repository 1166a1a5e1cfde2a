"""The front door: the command line and the public names.

from crosstile import Run, Trainer

trainer = Trainer(Run(cell="pcm-3t1c", examples=20_000))
while not trainer.done:
    progress = trainer.advance()
print(trainer.test_accuracy, trainer.digest())
"""

from importlib.metadata import PackageNotFoundError, version

from golden.training.config import CELLS, Config, configure
from golden.training.loop import Progress, Run, Trainer
from spec.errors import InputError

try:
    __version__ = version("crosstile")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0+unknown"

__all__ = ["CELLS", "Config", "InputError", "Progress", "Run", "Trainer", "configure"]
