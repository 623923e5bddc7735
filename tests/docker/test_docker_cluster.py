"""pytest-celery's own clusters, in containers: for those who have a Docker engine."""

import docker
import pytest
from docker.errors import DockerException
from pytest_celery import CeleryTestSetup


def has_docker_engine() -> bool:
    """Tell whether a Docker engine answers."""
    try:
        client = docker.from_env()
    except DockerException:
        return False
    client.close()
    return True


if not has_docker_engine():
    # The plugin's fixtures look for the engine before a mark of the test's own would be seen.
    pytest.skip("needs a running Docker engine", allow_module_level=True)


@pytest.mark.docker
def test_the_clusters_in_containers_are_left_as_they_are(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(ping=True)
