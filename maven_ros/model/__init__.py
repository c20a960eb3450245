"""
MAVEN, the network: encoders, six cross-modal pathways, refinement, polar head.

Importing this package registers MAVEN with transformers' ``AutoConfig`` and ``AutoModel``.
"""

from transformers import AutoConfig, AutoModel

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel

__all__ = ['MavenConfig', 'MavenModel']

AutoConfig.register(MavenConfig.model_type, MavenConfig)
AutoModel.register(MavenConfig, MavenModel)
