"""DiffusionRig: physical buffers and transfer of expression, light and pose."""
