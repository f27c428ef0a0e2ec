"""What servers say to whoever runs them, line by line on standard error."""

import logging
import warnings


def begin() -> None:
    """Sets it up, for warnings too. JAX tells of every device that it did not find; that is left out."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("jax").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    warnings.simplefilter("default")
