"""``python -m plasmon``: writes the ADBC driver manifest and tells where."""
from . import install_manifest

print(install_manifest())
