"""The names of the files in a run folder that others than the training read.

They stand here, and not with the training, because a figure of a run needs them and must not
wait for PyTorch.
"""

CONFIG_FILE = "config.json"
STEPS_FILE = "steps.csv"
EPOCHS_FILE = "epochs.csv"
IMAGES_FILE = "images.csv"
