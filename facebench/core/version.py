"""The version of facebench; the package metadata read it from this file.

Between releases it is the next version with `.dev0`.
"""

__version__ = "0.2.0.dev0"
