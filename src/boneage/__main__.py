"""``python -m boneage``: the same as the ``boneage`` command."""

from boneage.apps.cli import main

main()
