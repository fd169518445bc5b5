"""The hypermodel in Keras 3, trained by ``model.fit``: the other side of ``training_speed.py``.

It stands alone (NumPy and Keras, no boneage), so that it runs in an environment of its own:

    KERAS_BACKEND=jax python keras_hypermodel.py --images IMAGES.npy --labels LABELS.npz

It prints one line of JSON: seconds of the timed epochs, number of parameters, peak memory.
"""

import argparse
import json
import platform
import resource
import time

import keras
import numpy as np
from keras import layers


class EpochTimer(keras.callbacks.Callback):
    """Wall time and processor time (all threads) of each epoch, in seconds."""

    def on_train_begin(self, logs=None):  # noqa: ARG002
        """Start with nothing."""
        self.seconds, self.cpu_seconds = [], []

    def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
        """Note the time."""
        self._start, self._cpu_start = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        """Note what the epoch took; its logs are numbers by now, so no step is outstanding."""
        self.seconds.append(time.perf_counter() - self._start)
        self.cpu_seconds.append(time.process_time() - self._cpu_start)


def build(size_px: int, *, augmented: bool) -> keras.Model:
    """The network with boneage's default shape, and Keras' layers for boneage's augmentation."""
    image = keras.Input((size_px, size_px, 1), name="image")
    sex = keras.Input((1,), name="sex")
    x = image
    if augmented:
        # The reaches of boneage's defaults: 20 degrees, 15 %, 8 %, 20 %.
        for change in (
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(20 / 360, fill_mode="constant"),
            layers.RandomZoom((-0.15, 0.15), fill_mode="constant"),
            layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
            layers.RandomContrast(0.2, value_range=(0, 1)),
        ):
            x = change(x)
    for filters in (16, 32, 64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(256, activation="relu")(layers.Flatten()(x))
    x = layers.Concatenate()([x, sex])
    x = layers.Dropout(0.2)(layers.Dense(256, activation="relu")(x))
    # float32 where the policy is mixed_bfloat16: Keras' own advice for outputs.
    return keras.Model([image, sex], layers.Dense(1, dtype="float32")(x))


def main() -> None:
    """Train and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", required=True, help=".npy, uint8, (N, S, S)")
    parser.add_argument("--labels", required=True, help=".npz with sexes and months, (N,)")
    parser.add_argument("--epochs", type=int, default=2, help="the first one is not timed")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--augmented", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="policy mixed_bfloat16")
    parser.add_argument("--jit", choices=("auto", "on", "off"), default="auto")
    arguments = parser.parse_args()
    if arguments.bf16:
        keras.config.set_dtype_policy("mixed_bfloat16")
    images = np.load(arguments.images)[..., None].astype(np.float32) / 255
    labels = np.load(arguments.labels)
    months = labels["months"].astype(np.float32)
    keras.utils.set_random_seed(0)
    model = build(images.shape[1], augmented=arguments.augmented)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="mean_absolute_error",
        jit_compile={"auto": "auto", "on": True, "off": False}[arguments.jit],
    )
    timer = EpochTimer()
    course = model.fit(
        [images, labels["sexes"].astype(np.float32)[:, None]],
        (months - months.mean()) / months.std(),
        batch_size=arguments.batch_size,
        epochs=1 + arguments.epochs,
        verbose=0,
        callbacks=[timer],
    )
    backend = keras.backend.backend()
    print(
        json.dumps(
            {
                "seconds": timer.seconds[1:],
                "cpu_seconds": timer.cpu_seconds[1:],
                "first_seconds": timer.seconds[0],
                "parameters": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
                "losses": [float(loss) for loss in course.history["loss"]],
                "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "versions": f"Keras {keras.__version__} on {backend} {version_of(backend)}, "
                f"Python {platform.python_version()}",
            }
        )
    )


def version_of(backend: str) -> str:
    """Version of the backend's package."""
    return str(__import__(backend).__version__)


if __name__ == "__main__":
    main()
