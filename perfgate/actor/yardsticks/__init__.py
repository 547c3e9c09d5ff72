"""Yardsticks: fixed programs that contain none of the code under test."""
