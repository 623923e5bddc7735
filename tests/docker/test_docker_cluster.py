"""pytest-celery's own clusters, in containers: for those who have a Docker engine."""

import shutil
import subprocess

import pytest
from pytest_celery import CeleryTestSetup


def has_docker_engine() -> bool:
    """Tell whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


if not has_docker_engine():
    # The plugin's fixtures look for the engine before a mark of the test's own would be seen.
    pytest.skip("needs a running Docker engine", allow_module_level=True)


@pytest.mark.docker
def test_the_clusters_in_containers_are_left_as_they_are(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(ping=True)
