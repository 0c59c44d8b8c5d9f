"""Tests of the ID-Booth study."""
