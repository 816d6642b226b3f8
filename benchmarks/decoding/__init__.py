"""Decoding against what people use: the videos, the contestants, and what is made of their times."""
