"""What every part of facebench uses: errors, files, tables, progress, versions."""
