"""What every experiment's command line has in common.

    @experiment("train")
    def main(config: DictConfig) -> None: ...

    if __name__ == "__main__":
        main()

A mistake ends in one line that says what is allowed, an exit code other than 0, and no files; a
sweep ends in one table. Nothing heavy is imported here: `--help` has to be quick.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    OmegaConfBaseException,
)

from toysae.errors import ResultsError, ToysaeError

logger = logging.getLogger(__name__)

#: The Hydra tree, beside the package in a checkout and where it is installed.
CONF = Path(__file__).resolve().parents[1] / "conf"

FULL_ERROR = "HYDRA_FULL_ERROR"
INTERRUPTED = 130
SWEEP_FILE = "multirun.yaml"

Task = Callable[[DictConfig], Any]


def experiment(config_name: str) -> Callable[[Task], Callable[[], None]]:
    """Make a command of a task: `hydra.main` on `conf/<config_name>.yaml`, with short errors.

    Exit codes: 0; 1 for an error or a sweep with failed runs; 130 for Ctrl-C. With
    `HYDRA_FULL_ERROR=1` in the environment errors keep their traceback.
    """

    def decorate(task: Task) -> Callable[[], None]:
        main = hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(
            guarded(task)
        )

        @functools.wraps(task)
        def command() -> None:
            traceback_wanted = os.environ.get(FULL_ERROR) == "1"
            try:
                with _hydra_raises():
                    main()
            except (ToysaeError, CompactHydraException) as error:
                said = _finish_sweep()
                if traceback_wanted:
                    raise
                sys.exit(1 if str(error) in said else describe(error))
            except SystemExit as ended:
                if traceback_wanted and ended.__cause__ is not None:
                    raise ended.__cause__ from None
                raise
            except KeyboardInterrupt:
                _finish_sweep()
                logger.error(
                    "interrupted; what is finished stays; "
                    "a sweep goes on with resume=true and its hydra.sweep.dir"
                )
                sys.exit(INTERRUPTED)
            except Exception:
                _finish_sweep()
                raise
            _finish_sweep()

        return command

    return decorate


def guarded(task: Task) -> Task:
    """The task as one job of Hydra's, with something to show for an error.

    A single run that fails leaves no empty directory and exits with the message. A run of a sweep
    leaves its configuration and the message in its directory, and hands the error on.
    """

    @functools.wraps(task)
    def job(config: DictConfig) -> Any:
        swept = HydraConfig.get().mode == RunMode.MULTIRUN
        directory = Path(HydraConfig.get().runtime.output_dir)
        try:
            return task(config)
        except ResultsError as error:
            # The directory is another run's, or cannot be written.
            _stop(error, swept)
        except Exception as error:
            if swept:
                from toysae.results.failures import record_failure

                record_failure(directory, config, error)
            _stop(error, swept)
        finally:
            _remove_if_empty(directory)

    return job


def describe(error: Exception) -> str:
    """What went wrong, for the person who typed the command: one line where that is possible."""
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={option}: unknown; known: {', '.join(error.options)}"
    cause = error.__cause__
    if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and cause.parent_node is not None:
        known = sorted(str(key) for key in cause.parent_node if key != "hydra")
        said = f"{cause.full_key}: unknown key; known: {', '.join(known)}"
        mapping = str(cause.full_key).rpartition(".")[0]
        if "name" in known and "." in mapping:
            said += f"; to replace all of it: '~{mapping}' '+{mapping}={{name: ...}}'"
        return said
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {error.message.splitlines()[0]}"
    if isinstance(cause, ConfigTypeError) and "Cannot merge" in str(cause):
        key = cause.full_key or "a key"
        return f"{key}: a mapping and a list cannot be merged; replace it by '~{key}' '+{key}=...'"
    lines = [str(error), str(cause) if isinstance(cause, OmegaConfBaseException) else ""]
    return "\n".join(line for line in lines if line).strip()


class SweepRecord(Callback):
    """Keeps Hydra's configuration of a sweep where the end of the command finds it.

    Hydra 1.3 does not call `on_multirun_end` when a run has failed, and a sweep with failed runs
    needs its table most.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Publish the configuration, as Hydra itself does within a job."""
        HydraConfig.instance().set_config(config)


def _stop(error: Exception, swept: bool) -> None:
    """Hand an error on; a message meant for the user ends a single run with no more than that."""
    if isinstance(error, ToysaeError) and not swept:
        raise SystemExit(str(error)) from error
    raise error


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Let Hydra hand its errors on; by itself it prints them with much around them, and exits."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def _finish_sweep() -> list[str]:
    """Write the table of the sweep, if this was one; the messages of failed runs, which it logs."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return []
    from toysae.results.table import FAILED, read_runs, write_table

    directory = Path(HydraConfig.get().sweep.dir)
    HydraConfig.instance().cfg = None
    if [path.name for path in directory.glob("*")] == [SWEEP_FILE]:
        (directory / SWEEP_FILE).unlink()
        _remove_if_empty(directory)
        return []
    runs = read_runs(directory)
    failed = [run for run in runs if run.status == FAILED]
    for run in failed:
        logger.error("run %s failed: %s", run.name, run.failure)
    logger.info(
        "%d runs, %d of them failed; table: %s",
        len(runs), len(failed), write_table(directory, runs),
    )  # fmt: skip
    return [run.failure for run in failed]


def _remove_if_empty(directory: Path) -> None:
    """Remove a directory that Hydra made and nothing was written to, and its empty parents."""
    here = Path.cwd()
    directory = directory.absolute()
    while directory.is_dir() and not any(directory.iterdir()) and directory != here:
        directory.rmdir()
        directory = directory.parent
        if here not in directory.parents:
            break
