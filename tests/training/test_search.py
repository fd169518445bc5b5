"""The search: every trial is run once, by one worker of many, whatever becomes of the workers."""

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from postgres import PASSWORD, find_programs, running_server

from boneage import Data, Model
from boneage.errors import RunExistsError, SettingsError, TrainingError
from boneage.radiographs.phantom import write_phantom_dataset
from boneage.radiographs.preparation import PreparationSettings
from boneage.reports.search_plots import draw_search_plots
from boneage.training.recipe import read_recipe
from boneage.training.search.queue import Queue, TakenOver
from boneage.training.search.run import search_run
from boneage.training.search.sampling import SpaceSampler
from boneage.training.search.space import Space
from boneage.training.search.stores import open_store, quiet_optuna
from boneage.training.settings import TrainingSettings

pytestmark = pytest.mark.usefixtures("threads_kept")

COUNT = 24
SETTINGS = TrainingSettings(
    size_px=32, epochs=2, batch_size=8, threads=1, precision="float32", device="cpu"
).updated(architecture="hypermodel", conv_layers=2, conv_filters=2, dense_units=8)
SPACE = {"dropout": [0.1, 0.3], "learning_rate": [1e-4, 1e-3, 1e-2]}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("data") / "phantoms"
    return write_phantom_dataset(place, COUNT, seed=3, height_px=96, workers=1)


@pytest.fixture(scope="module")
def data(folder: Path) -> Data:
    found = Data(folder, preparation=PreparationSettings(size_px=32))
    found.prepare(workers=1, progress=False)
    return found


@pytest.fixture(scope="module")
def whole(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A search over all of a small space, without giving anything up."""
    out = tmp_path_factory.mktemp("searches") / "whole"
    return Model(SETTINGS).search(data, SPACE, out, fraction=1, pruning=False, workers=1)


def test_every_combination_is_tried_once_and_the_best_is_taken(whole: Model) -> None:
    assert whole.found is not None
    tried = [
        (trial.values["dropout"], trial.values["learning_rate"]) for trial in whole.found.trials
    ]
    assert sorted(tried) == sorted(itertools.product(*SPACE.values()))
    rows = rows_of(whole.found.path / "trials.csv")
    assert [row["state"] for row in rows] == 6 * ["complete"]
    best = min(rows, key=lambda row: float(row["validation_mae_months"]))
    assert whole.settings.learning_rate == float(best["learning_rate"])
    assert whole.settings.network.dropout == float(best["dropout"])
    assert whole.found.best_mae_months == pytest.approx(
        float(best["validation_mae_months"]), abs=1e-4
    )
    # What is not searched is as it was, and nothing is trained yet.
    assert whole.settings == SETTINGS.updated(
        dropout=float(best["dropout"]), learning_rate=float(best["learning_rate"])
    )
    assert whole.run is None


def test_the_table_says_what_the_trials_measured(whole: Model) -> None:
    assert whole.found is not None
    for row in rows_of(whole.found.path / "trials.csv"):
        trial = whole.found.path / "trials" / row["folder"]
        course = rows_of(trial / "metrics.csv")
        errors = [float(epoch["validation_mae_months"]) for epoch in course]
        assert float(row["validation_mae_months"]) == pytest.approx(min(errors), abs=0.01)
        assert int(row["best_epoch"]) == errors.index(min(errors)) + 1
        assert int(row["epochs"]) == len(course) == 2
        settings = json.loads((trial / "config.json").read_text())["settings"]
        assert settings["learning_rate"] == float(row["learning_rate"])
        assert settings["network"]["dropout"] == float(row["dropout"])


def test_the_best_configuration_can_be_trained_with(whole: Model, data: Data) -> None:
    assert whole.found is not None
    recipe = read_recipe(whole.found.path / "best.json")
    assert recipe.settings == whole.settings
    assert recipe.prepare_at(32) == data.preparation


def test_plots_are_drawn_or_said_to_be_left_out(whole: Model, tmp_path: Path) -> None:
    assert whole.found is not None
    drawn = draw_search_plots(whole.found.path)
    assert [path.name for path in drawn.files] == ["search_history.png", "importance.png"]
    assert drawn.left_out == ()
    assert set(whole.found.importances) == set(SPACE)
    assert sum(whole.found.importances.values()) == pytest.approx(1)
    rows = (whole.found.path / "trials.csv").read_text().splitlines()[:3]
    (tmp_path / "trials.csv").write_text("\n".join(rows) + "\n")
    fewer = draw_search_plots(tmp_path)
    assert [path.name for path in fewer.files] == ["search_history.png"]
    assert "importance.png is left out: it takes at least 4" in fewer.left_out[0]


def test_a_finished_search_is_returned_at_once_and_only_to_the_same(
    whole: Model, data: Data, tmp_path: Path
) -> None:
    assert whole.found is not None
    out = whole.found.path
    before = (out / "trials.csv").read_bytes()
    again = search_run(data, SETTINGS, SPACE, out, pruning=False, resume=True)
    assert again.best_settings == whole.settings
    for space, settings, said in (
        ({"dropout": [0.1]}, SETTINGS, "space.learning_rate"),
        (SPACE, SETTINGS.updated(epochs=3), "settings.epochs was 2, now 3"),
    ):
        with pytest.raises(SettingsError, match=said):
            search_run(data, settings, space, out, pruning=False, resume=True)
    others = data.subset([record.id for record in data.records[1:]])
    with pytest.raises(SettingsError, match=r"data\.train"):
        search_run(others, SETTINGS, SPACE, out, pruning=False, resume=True)
    with pytest.raises(RunExistsError, match="--resume"):
        search_run(data, SETTINGS, SPACE, out)
    # The same study from another folder, in a storage that both share.
    shared = f"journal:{out / 'journal.log'}"
    with pytest.raises(RunExistsError, match="has a study 'whole' already"):
        search_run(data, SETTINGS, SPACE, tmp_path / "x", storage=shared, study="whole")
    with pytest.raises(SettingsError, match=r"study 'whole'.*begun otherwise: pruning"):
        search_run(
            data, SETTINGS, SPACE, tmp_path / "x", storage=shared, study="whole", resume=True
        )
    assert not (tmp_path / "x").exists()
    assert (out / "trials.csv").read_bytes() == before


def test_more_trials_extend_a_search_and_overwriting_begins_anew(
    data: Data, tmp_path: Path
) -> None:
    out, storage = tmp_path / "search", f"journal:{tmp_path / 'shared.log'}"
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}

    def search(trials: int | None, **how: Any) -> list[float]:
        run = search_run(data, settings, space, out, trials=trials, storage=storage, **how)
        return [trial.values["learning_rate"] for trial in run.trials]

    settings = SETTINGS.updated(epochs=1)
    first = search(2)
    assert len(first) == 2
    assert search(None, resume=True) == first
    more = search(3, resume=True)
    assert more[:2] == first
    assert len(set(more)) == 3
    # The draws depend on the seed and the trials before, not on the process.
    assert search(3, overwrite=True) == more
    assert all(1e-4 <= rate <= 1e-2 for rate in more)


def test_poor_trials_are_given_up_and_count(data: Data, tmp_path: Path) -> None:
    settings = SETTINGS.updated(epochs=4)
    # So small a rate learns nothing, so the trials after the first four are poorer.
    space = {"learning_rate": [1e-2, 9e-3, 8e-3, 7e-3, 1e-9, 2e-9, 3e-9, 4e-9]}
    run = search_run(data, settings, space, tmp_path / "search", fraction=1)
    states = [trial.state for trial in run.trials]
    assert states.count("complete") >= 4
    assert states.count("pruned") == len(states) - states.count("complete") > 0
    for trial in run.trials:
        assert trial.epochs == 4 or trial.state == "pruned"
        assert trial.epochs == len(rows_of(run.path / "trials" / trial.folder / "metrics.csv"))
    assert run.best.state == "complete"


# AdamW multiplies the weights by 1 - rate x decay in every step: they grow beyond all bounds.
BURSTING = SETTINGS.updated(epochs=3, batch_size=2, weight_decay=10)


def test_what_fails_does_not_count_and_is_tried_once_more(data: Data, tmp_path: Path) -> None:
    space = {"learning_rate": [1e-3, 1.0]}
    states = []
    for _ in range(3):
        run = search_run(data, BURSTING, space, tmp_path / "search", fraction=1, resume=True)
        assert "1 fewer than the 2 asked for" in run.summary()
        rows = rows_of(run.path / "trials.csv")
        states.append(sorted((float(row["learning_rate"]), row["state"]) for row in rows))
        assert all("not finite" in row["message"] for row in rows if row["state"] == "failed")
    ended = [(1e-3, "complete"), (1.0, "failed")]
    assert states == [ended, [*ended, (1.0, "failed")], [*ended, (1.0, "failed")]]


def test_a_search_in_which_everything_fails_ends(data: Data, tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.8, "high": 1.0}}
    with pytest.raises(TrainingError, match=r"5 trials failed in a row, the last one: .*finite"):
        search_run(data, BURSTING, space, tmp_path / "search", trials=9)
    rows = rows_of(tmp_path / "search" / "trials.csv")
    assert [row["state"] for row in rows] == 5 * ["failed"]


@contextmanager
def queue_of(space: dict[str, Any], out: Path, wanted: int) -> Iterator[tuple[Queue, optuna.Study]]:
    out.mkdir()
    with quiet_optuna(), open_store(None, out) as store:
        study, searched = store.create(), Space.from_dict(space)
        study.sampler = SpaceSampler(searched, seed=0, startup=3)
        yield (
            Queue(store, study, searched, wanted=wanted, retry_failed=False, tell=print),
            study,
        )


def test_a_worker_that_was_taken_for_dead_hears_so_and_its_result_does_not_count(
    tmp_path: Path,
) -> None:
    with queue_of({"dropout": [0.1, 0.2]}, tmp_path / "search", 1) as (queue, study):
        with queue.taken() as taken:
            assert taken is not None
            study.tell(taken.number, state=optuna.trial.TrialState.FAIL)  # as another worker does
            for act in (
                lambda: queue.report(taken, 1, 20.0, last=False),
                lambda: queue.finish(taken, {"epochs": 1}, 20.0),
            ):
                with pytest.raises(TakenOver):
                    act()
        with queue.taken() as again:
            assert again is not None
            assert (again.folder, again.trial.params) == (taken.folder, taken.trial.params)
            queue.finish(again, {"epochs": 1}, 10.0)
        with queue.taken() as none:
            assert none is None
        assert [trial.value for trial in study.trials] == [None, 10.0]


def test_a_trial_that_ends_every_worker_is_not_started_for_ever(tmp_path: Path) -> None:
    starts = 0
    with queue_of({"dropout": [0.1]}, tmp_path / "search", 1) as (queue, _):
        while True:
            with suppress(KeyboardInterrupt), queue.taken() as taken:
                if taken is None:
                    break
                starts += 1
                raise KeyboardInterrupt
    assert starts == 5


class Workers:
    """Processes that work on one search."""

    def __init__(
        self, folder: Path, out: Path, cache: Path, trials: int, storage: str | None
    ) -> None:
        self.out, self.storage = out, storage
        config = out.parent / "config.json"
        settings = SETTINGS.updated(epochs=EPOCHS, batch_size=2)
        config.write_text(json.dumps({"settings": settings.to_dict()}))
        self._command = [
            sys.executable, "-m", "boneage", "search", folder, "--config", config, "--out", out,
            "--conv-layers", "1", "2", "--conv-filters", "2", "4", "--dense-depth", "1",
            "--dropout", "0.1", "0.2", "0.3", "--trials", trials, "--resume", "--workers", "1",
            *([] if storage is None else ["--storage", storage]),
        ]  # fmt: skip
        self._surroundings = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "BONEAGE_CACHE": str(cache),
        }
        self.settings = settings
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, count: int) -> None:
        for _ in range(count):
            self.processes.append(
                subprocess.Popen(
                    list(map(str, self._command)),
                    env=self._surroundings,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        with quiet_optuna(), open_store(self.storage, self.out) as store:
            study = store.load()
            return [] if study is None else study.get_trials()

    def kill_one(self) -> tuple[optuna.trial.FrozenTrial, list[optuna.trial.FrozenTrial]]:
        """Kill a worker in mid-trial; gives its trial and those that were finished before."""
        by_worker = {f"{os.uname().nodename}:{item.pid}": item for item in self.processes}
        deadline = time.monotonic() + 300
        while True:
            assert time.monotonic() < deadline
            assert all(item.poll() is None for item in self.processes), "ended before it was killed"
            if (self.out / "journal.log").exists() or self.storage is not None:
                known = self.trials()
                for trial in known:
                    running = trial.state == optuna.trial.TrialState.RUNNING
                    begun = 2 <= len(trial.intermediate_values) < EPOCHS - 2
                    if running and begun and any(item.state.is_finished() for item in known):
                        process = by_worker[trial.user_attrs["worker"]]
                        process.send_signal(signal.SIGKILL)
                        process.communicate()
                        self.processes.remove(process)
                        return trial, [item for item in known if item.state.is_finished()]
            time.sleep(0.1)

    def wait(self) -> list[str]:
        said = [process.communicate(timeout=400)[0] for process in self.processes]
        assert [process.returncode for process in self.processes] == len(said) * [0], said
        return said

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


EPOCHS, TRIALS = 12, 8


def check_nothing_lost_or_done_twice(
    workers: Workers,
    killed: optuna.trial.FrozenTrial,
    before: list[optuna.trial.FrozenTrial],
    row_of_killed: str,
) -> None:
    rows = rows_of(workers.out / "trials.csv")
    finished = [row for row in rows if row["state"] in ("complete", "pruned")]
    assert len(finished) == TRIALS
    searched = ("conv_layers", "conv_filters", "dense_depth", "dropout")
    assert len({tuple(row[name] for name in searched) for row in finished}) == TRIALS
    # Every finished trial ran its own epochs, once.
    for row in finished:
        course = rows_of(workers.out / "trials" / row["folder"] / "metrics.csv")
        assert [int(epoch["epoch"]) for epoch in course] == list(range(1, int(row["epochs"]) + 1))
    after = {trial.number: trial for trial in workers.trials()}
    assert before
    for trial in before:
        assert after[trial.number] == trial
    # The killed one is marked, and one other trial does it again from where it was.
    assert rows[killed.number]["state"] == "interrupted"
    (again,) = (row for row in finished if row["folder"] == rows[killed.number]["folder"])
    assert [again[name] for name in searched] == [rows[killed.number][name] for name in searched]
    metrics = workers.out / "trials" / again["folder"] / "metrics.csv"
    assert metrics.read_text().splitlines()[1] == row_of_killed
    assert [row["state"] for row in rows].count("interrupted") == 1
    best = min(
        (row for row in finished if row["state"] == "complete"),
        key=lambda row: float(row["validation_mae_months"]),
    )
    settings = read_recipe(workers.out / "best.json").settings
    assert settings.network.dropout == float(best["dropout"])
    assert {path.name for path in (workers.out / "plots").iterdir()} >= {"search_history.png"}


def run_and_kill(workers: Workers, count: int) -> None:
    with ExitStack() as stack:
        stack.callback(workers.end)
        workers.start(count)
        killed, before = workers.kill_one()
        metrics = workers.out / "trials" / killed.user_attrs["folder"] / "metrics.csv"
        first_epoch = metrics.read_text().splitlines()[1]
        said = workers.wait()
        check_nothing_lost_or_done_twice(workers, killed, before, first_epoch)
        assert all("Best: trial" in text for text in said)
        assert all(PASSWORD not in text for text in said)


def test_two_workers_on_a_journal_and_one_is_killed(
    data: Data, folder: Path, cache_folder: Path, tmp_path: Path
) -> None:
    workers = Workers(folder, tmp_path / "search", cache_folder, TRIALS, None)
    run_and_kill(workers, 2)

    # Called again it is all there; more trials go on from it.
    before = (workers.out / "trials.csv").read_text()
    space = {"conv_layers": [1, 2], "conv_filters": [2, 4], "dense_depth": [1],
             "dropout": [0.1, 0.2, 0.3]}  # fmt: skip
    again = search_run(data, workers.settings, space, workers.out, resume=True)
    assert (workers.out / "trials.csv").read_text() == before
    assert again.wanted == TRIALS
    search_run(data, workers.settings, space, workers.out, trials=TRIALS + 1, resume=True)
    assert (workers.out / "trials.csv").read_text().startswith(before)
    (new,) = rows_of(workers.out / "trials.csv")[len(again.trials) :]
    assert new["state"] in ("complete", "pruned")


def test_three_workers_on_a_database_and_one_is_killed(
    data: Data,  # noqa: ARG001 (prepared before the workers start)
    folder: Path,
    cache_folder: Path,
    tmp_path: Path,
) -> None:
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here: neither initdb nor pg_ctl was found")
    with running_server(programs) as url:
        workers = Workers(folder, tmp_path / "search", cache_folder, TRIALS, url)
        run_and_kill(workers, 3)
        wrong = url.replace(PASSWORD, "wrong-secret")
        with (
            pytest.raises(SettingsError, match="cannot be reached") as refused,
            open_store(wrong, tmp_path) as store,
        ):
            store.connect()
        assert "127.0.0.1" in str(refused.value)
        assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({}, "nothing to search"),
        ({"conv_layers": []}, "--conv-layers needs at least one value"),
        ({"conv_layers": [1, 9]}, "--conv-layers must be within 1 to 8, not 9"),
        ({"conv_layers": [1, 6]}, "--size 32 is too small for --conv-layers 6"),
        ({"conv_layers": [1, 1]}, "--conv-layers names 1 more than once"),
        ({"conv_layers": [1.5]}, "1.5 is not a whole number"),
        ({"dropout": 0.1}, "must be a list of values or a range"),
        ({"dropout": ["much"]}, "'much' is not a number"),
        ({"dropout": {"low": 0.1, "high": 1.0}}, "--dropout must be at least 0 and below 1"),
        ({"dropout": {"low": 0.3, "high": 0.1}}, "low must be below high"),
        ({"dropout": {"low": 0.0, "high": 0.1, "log": True}}, "low must be above 0"),
        ({"dropout": {"low": 0.1, "top": 0.2}}, "'top' is none of them"),
        ({"loss": {"low": 1, "high": 2}}, "loss is no number"),
        ({"loss": ["l1", "distribution"]}, "--loss distribution needs --architecture"),
        ({"depth": [1]}, "no setting 'depth' among the training settings"),
        ({"network": {"flip": [0]}}, r"no setting 'flip' among \[network\]"),
        ({"size_px": [32, 64]}, "size_px cannot be searched"),
        ({"seed": [0, 1]}, "a lucky seed is no setting"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    data: Data, tmp_path: Path, space: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        search_run(data, SETTINGS, space, tmp_path / "search", trials=1)
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"fraction": 0}, "--fraction must be above 0 and at most 1, not 0"),
        ({"fraction": 1.01}, "--fraction must be above 0 and at most 1, not 1.01"),
        ({"trials": 0}, "--trials must be within 1 to 6"),
        ({"trials": 7}, "--trials must be within 1 to 6, the combinations of the space, not 7"),
        ({"trials": 1, "fraction": 0.5}, "--trials and --fraction contradict each other"),
    ],
)
def test_a_number_of_trials_that_cannot_be_is_refused(
    data: Data, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        search_run(data, SETTINGS, SPACE, tmp_path / "search", **how)
    assert not (tmp_path / "search").exists()


def test_a_continuous_space_needs_a_number_of_trials(data: Data, tmp_path: Path) -> None:
    space = {"dropout": {"low": 0.0, "high": 0.5}}
    for how, said in (({}, "how many --trials"), ({"fraction": 0.5}, "dropout can take any value")):
        with pytest.raises(SettingsError, match=said):
            search_run(data, SETTINGS, space, tmp_path / "search", **how)


@pytest.mark.parametrize(
    ("space", "fraction", "trials"),
    [
        ({"conv_layers": [3, 4, 5], "conv_filters": [8, 16, 32]}, 0.25, 3),
        ({"dropout": {"low": 0.1, "high": 0.3, "step": 0.1}}, 1.0, 3),
        ({"batch_size": {"low": 16, "high": 64, "step": 16}, "loss": ["l1", "mse"]}, 0.5, 4),
        ({"epochs": {"low": 1, "high": 100}}, 0.07, 7),
        ({"blocks": [[0, 2], [1, 1, 1]], "pretrained": [False]}, 0.1, 1),
    ],
)
def test_a_fraction_is_of_all_combinations_rounded_up(
    space: dict[str, Any], fraction: float, trials: int
) -> None:
    found = Space.from_dict(space)
    assert found.trials_for(trials=None, fraction=fraction) == trials
    combinations = list(found.combinations())
    assert len(combinations) == found.size
    for combination in combinations:
        values = found.values_of(combination)
        assert SETTINGS.updated(**values).updated(**values) == SETTINGS.updated(**values)
        for name, distribution in found.distributions().items():
            assert distribution._contains(distribution.to_internal_repr(combination[name]))
    assert Space.from_dict(found.to_dict()) == found
