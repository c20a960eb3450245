"""
MAVEN, the network: encoders, six cross-modal pathways, refinement, polar head.

Importing this makes transformers' ``AutoConfig`` and ``AutoModel`` know it.
"""

from transformers import AutoConfig, AutoModel

from maven_ros.model.configuration import MavenConfig
from maven_ros.model.maven import MavenModel

__all__ = ['MavenConfig', 'MavenModel']

AutoConfig.register(MavenConfig.model_type, MavenConfig)
AutoModel.register(MavenConfig, MavenModel)
