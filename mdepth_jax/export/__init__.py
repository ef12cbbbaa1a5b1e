"""Export of a run to a verified `.tflite` file with its model card."""
