"""DiffusionRig: physical buffers of faces, trained models, and transfer of expression, light and pose."""
