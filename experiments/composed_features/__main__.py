"""Run the study: `python -m experiments.composed_features [size=demo] [key=value ...]`."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from toysae.cli import experiment


@experiment("composed_features")
def main(config: DictConfig) -> float:
    """Train, measure, judge, and write the report; returns the share of claims reproduced."""
    from rich.console import Console

    from experiments.composed_features.config import parse
    from experiments.composed_features.findings import findings
    from experiments.composed_features.pages import write_report
    from experiments.composed_features.study import run_study
    from toysae.device import one_torch_thread, resolve_device
    from toysae.report.findings import findings_markdown, print_findings
    from toysae.results.files import write_text
    from toysae.results.findings import Verdict
    from toysae.results.run import open_run

    study = parse(config)
    one_torch_thread()
    device = resolve_device(config.device)
    hydra = HydraConfig.get()
    directory = open_run(Path(hydra.runtime.output_dir), config, list(hydra.overrides.task), device)
    result = run_study(study, directory, device, config.threads)
    found = findings(study, result)
    directory.json("findings.json", [finding.to_dict() for finding in found])
    write_text(directory.path / "findings.md", findings_markdown(found) + "\n")
    report = write_report(study, result, found, directory.path / "report.html")
    reproduced = sum(finding.verdict is Verdict.REPRODUCED for finding in found) / len(found)
    directory.metrics({"n_saes": len(result.runs), "share_reproduced": reproduced})
    directory.done()
    console = Console(width=None if Console().is_terminal else 160)
    print_findings(found, console)
    console.print(f"report: {report}", soft_wrap=True)
    return reproduced


if __name__ == "__main__":
    main()
