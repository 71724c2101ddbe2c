"""Demos: each shows something that pydl does, and ends with figures in plain words. `pydl demo NAME` runs one."""

# name -> one line; the module pydl.demos.<name> has add_arguments(parser) if it needs any, and run(stage).
DEMOS = {
    "activations": "a picture of every activation function and its derivative",
    "detect": "a network finds blood cells in pictures (PYDL_DATA), or without them digits in scenes",
    "digits": "a network learns the 1,797 embedded handwritten digits (8x8) in a second or two",
    "mnist": "a network learns MNIST's 60,000 handwritten digits (28x28); needs PYDL_DATA",
    "regress": "a network predicts the progression of diabetes, next to ridge regression; needs scikit-learn",
    "segment": "a U-Net finds the membranes of cells in electron micrographs, or without PYDL_DATA digits on a noisy ground",
    "xor": "a network of 2, 8 and 1 units learns XOR in a moment",
}
