"""Trained networks at work: pictures and videos in, depth and scores out."""
