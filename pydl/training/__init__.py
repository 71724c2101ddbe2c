"""Training a model: Trainer runs the loop of epochs and batches, and everything around it.

    from pydl.training import Checkpoint, EarlyStopping, Trainer

    trainer = Trainer(model, optimizer, nn.CrossEntropyLoss(), metrics={"accuracy": metrics.Accuracy()},
                      callbacks=[EarlyStopping(patience=5), Checkpoint("run.safetensors")])
    history = trainer.fit((images, labels), (test_images, test_labels), epochs=50)
    history.plot(path="history.png")
    trainer.evaluate((test_images, test_labels))
"""

from pydl.training.callbacks import Callback, LambdaCallback
from pydl.training.checkpointing import Checkpoint
from pydl.training.history import History
from pydl.training.loggers import CSVLogger, JSONLLogger, ScalarWriter
from pydl.training.stopping import EarlyStopping
from pydl.training.trainer import Trainer

__all__ = ["CSVLogger", "Callback", "Checkpoint", "EarlyStopping", "History", "JSONLLogger", "LambdaCallback", "ScalarWriter", "Trainer"]
