"""Shared by all rooms: errors, files, tables, escaping, page templates, progress, versions."""
