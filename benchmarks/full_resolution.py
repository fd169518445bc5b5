"""Full-resolution radiographs against their own 100 px copies: do both give the same bone age?

    python benchmarks/full_resolution.py --data ../shared/data [--model BUNDLE]

The 14 originals are predicted as they are and after conversions that films go through on their
way; their copies in the training set are 100 px wide. The difference says what the scale does to
the answer. Both were available to training (the copies), so the errors themselves say nothing.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).resolve().parent.parent / "src"
sys.path.insert(0, str(SOURCE))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from boneage import load  # noqa: E402
from boneage.radiographs.radiograph import Sex  # noqa: E402
from boneage.radiographs.readers import read_radiograph  # noqa: E402
from stress import CHANGES, Change, answers, gamma, jpeg  # noqa: E402

CONVERSIONS: dict[str, Change | None] = {
    "as it is": None,
    "16 bit": CHANGES["16 bit"],
    "JPEG quality 50": jpeg(50),
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
    **{name: CHANGES[name] for name in ("turned by 90", "tilted by +15", "tilted by -30")},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of shared data")
    parser.add_argument("--model", help="bundle; by default the one that comes with boneage")
    args = parser.parse_args()
    originals = args.data / "rsna-originals"
    with (originals / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    sexes = [Sex.MALE if row["male"].lower() == "true" else Sex.FEMALE for row in rows]
    predictor = load(args.model)

    def read(folder: Path) -> list[tuple]:
        files = [next(folder.glob(f"{row['id']}.*")) for row in rows]
        return [(read_radiograph(file), sex) for file, sex in zip(files, sexes, strict=True)]

    large = read(originals / "images")
    small = read(args.data / "rsna-100px" / "boneage-training-dataset")
    copies = np.fromiter(answers(predictor, small, None), float)
    print("| originals | mean absolute difference to the copy | mean difference | largest |")
    print("| --- | --- | --- | --- |")
    for name, change in CONVERSIONS.items():
        difference = np.fromiter(answers(predictor, large, change), float) - copies
        print(
            f"| {name} | {np.abs(difference).mean():.2f} | {difference.mean():+.2f} "
            f"| {np.abs(difference).max():.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
