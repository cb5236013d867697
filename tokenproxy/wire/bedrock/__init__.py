"""AWS Bedrock's dialects.

``invoke``, ``converse``  the two APIs
``request``  request bodies of both
``stream``   events and exceptions of an AWS event stream
``vendors``  answers of models that are not Anthropic's, and the metrics beside any
``counts``   the shapes of usage, as a table
``models``   what the id in the path says
``errors``   errors of AWS
``shapes``   which fields are read
"""

from tokenproxy.wire.bedrock.converse import CONVERSE
from tokenproxy.wire.bedrock.invoke import INVOKE

__all__ = ["CONVERSE", "INVOKE"]
