"""Containers, by the cgroups of processes."""

from pgusher.collect.containers.names import container_of
from pgusher.collect.containers.source import ContainerFacts, ContainerSource, look_containers

__all__ = ["ContainerFacts", "ContainerSource", "container_of", "look_containers"]
