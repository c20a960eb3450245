#!/usr/bin/env python3
"""Regenerate config/affect.yaml and the tables of docs/ros2.md from the code."""

from pathlib import Path

from maven_ros.cli.reference import parameter_file, with_tables

ROOT = Path(__file__).resolve().parent.parent

(ROOT / 'config' / 'affect.yaml').write_text(parameter_file(), encoding='utf-8')
page = ROOT / 'docs' / 'ros2.md'
page.write_text(with_tables(page.read_text(encoding='utf-8')), encoding='utf-8')
