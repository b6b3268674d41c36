"""All jobs of a sweep as stacks in one process; the work is in `toysae.sweeps`.

Every Hydra application in the environment imports this module, so it imports nothing heavy. It has
no postponed annotations: Hydra 1.3 runs plugin modules before they are importable by name, where
dataclasses cannot resolve them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StackedLauncherConf:
    """Has no settings: what can be trained together is the task's knowledge."""

    _target_: str = "hydra_plugins.toysae_stacked.launcher.StackedLauncher"


class StackedLauncher(Launcher):
    """Trains the jobs of a sweep together; their files are those of the basic launcher."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra before `launch`."""
        self._context = hydra_context
        self._task = task_function
        self._config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run jobs; called by Hydra's sweeper."""
        from toysae.sweeps import launch_stacked

        setup_globals()
        return launch_stacked(
            self._context, self._config, self._task, job_overrides, initial_job_idx
        )


ConfigStore.instance().store(
    group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="toysae"
)
