"""From an image and a network to labels: tiles, prediction, decoding, repair, measurement."""
