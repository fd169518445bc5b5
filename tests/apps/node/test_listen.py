"""The node with foreign tools: what it takes, answers and refuses."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from node_tools import PATIENT, Archive, Instances, Node, needs_dcmtk, wait_for
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

RunCli = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = needs_dcmtk

BONE_AGE = "37362-1"  # LOINC


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def source_of(report: pydicom.Dataset) -> str:
    (series,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    return str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def numbers_of(item: pydicom.Dataset, code: str) -> list[float]:
    """The numbers in a report, or a part of it, under a concept."""
    found = [float(v.NumericValue) for v in item.get("MeasuredValueSequence", [])]
    named = [name.CodeValue for name in item.get("ConceptNameCodeSequence", [])]
    below = [numbers_of(part, code) for part in item.get("ContentSequence", [])]
    return (found if code in named else []) + [value for values in below for value in values]


def test_what_is_sent_is_answered_and_nothing_is_left(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    assert node.echo() == 0
    (one,) = instances.make()
    kinds = [DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage]
    many = [one, *instances.make(3), *(instances.make(storage=kind)[0] for kind in kinds)]
    assert node.send(one).returncode == 0
    assert node.send(*many[1:]).returncode == 0
    wait_for(lambda: archive.count() == len(many) and not node.left())
    assert archive.sources() == sorted(map(uid_of, many))
    (answer, *_) = archive.answers()
    assert answer.PatientName == PATIENT
    (months,) = numbers_of(answer, BONE_AGE)
    assert 0 < months < 240
    assert node.end() == 0
    assert "sent 6" in node.log
    # Nothing of a patient, and no whole UID, is said or stays.
    assert PATIENT not in node.log
    assert uid_of(one) not in node.log
    for path in node.queue.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file():
            content = path.read_bytes()
            assert PATIENT.encode() not in content
            assert uid_of(one).encode() not in content


def test_results_wait_for_an_archive_that_is_away(
    node: Node, archive: Archive, instances: Instances
) -> None:
    node.start()
    assert node.send(*instances.make(3)).returncode == 0
    wait_for(lambda: "cannot be reached" in node.log and len(node.left()) == 9)
    archive.start()
    wait_for(lambda: archive.count() == 3 and not node.left())
    assert "can be reached again" in node.log


def test_an_archive_without_an_address_is_waited_for(node: Node, instances: Instances) -> None:
    node.start("--send-to", "archive.invalid:104:ARCHIVE")
    assert node.send(*instances.make()).returncode == 0
    wait_for(lambda: "cannot be reached" in node.log)
    assert node.end() == 0
    assert "failed_connections" in node.log


def test_an_archive_that_refuses_is_asked_again(
    node: Node, archive: Archive, instances: Instances
) -> None:
    # Aborts each association during the first C-STORE, without an answer.
    archive.start("--abort-during")
    node.start()
    assert node.send(*instances.make(2)).returncode == 0
    wait_for(lambda: node.log.count("broke") >= 3)
    assert len(node.left()) == 6
    archive.stop()
    archive.start()
    wait_for(lambda: archive.count() == 2 and not node.left())


def test_an_instance_that_comes_twice_is_answered_once(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    (first,) = instances.make()
    (other,) = instances.make(SOPInstanceUID=uid_of(first), PatientID="other")
    assert [node.send(path).returncode for path in (first, first, other)] == [0, 0, 0]
    wait_for(lambda: archive.count() == 1 and not node.left())
    assert node.send(first).returncode == 0
    assert archive.answers()[0].PatientID == "PID4711"
    # What the archive sends back is known for its own.
    (returned,) = instances.make(SOPInstanceUID=archive.answers()[0].SOPInstanceUID)
    assert node.send(returned).returncode == 0
    assert node.end() == 0
    assert "received 1, duplicates 2, conflicts 1, returned 1" in node.log
    assert archive.count() == 1


def test_what_cannot_be_judged_says_why_and_is_not_tried_again(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    good, no_sex, short = (
        instances.make()[0],
        instances.make(sex="")[0],
        instances.make(PixelData=b"\0" * 10)[0],
    )
    (secret,) = instances.make(BitsStored=99, PatientID="secret")
    assert node.send(no_sex, short, secret, good).returncode == 0
    wait_for(lambda: archive.count() == 2 and not node.left())
    # Refused is an answer as well, so that it can be told from a node that has not run.
    assert archive.sources() == sorted([uid_of(good), uid_of(no_sex)])
    bone_ages = {source_of(answer): numbers_of(answer, BONE_AGE) for answer in archive.answers()}
    assert bone_ages[uid_of(no_sex)] == []
    assert len(bone_ages[uid_of(good)]) == 1
    assert node.end() == 0
    assert "answered 2, judged_refused 1, judged_failed 2, sent 2" in node.log
    assert "sex" in node.log
    assert "secret" not in node.log


def test_files_are_kept_if_wanted(node: Node, archive: Archive, instances: Instances) -> None:
    archive.start()
    node.start("--keep-days", "1")
    assert node.send(*instances.make()).returncode == 0
    wait_for(lambda: archive.count() == 1)
    assert node.end() == 0
    assert len(node.left()) == 3  # the radiograph, its report and its sheet
    node.start()  # does not keep
    assert node.left() == []


def test_only_those_who_are_allowed_may_call(node: Node, instances: Instances) -> None:
    node.start("--allow", "MODALITY", "--allow", "ROUTER")
    (one,) = instances.make()
    assert node.echo("ROUTER") == 0
    assert node.echo("STRANGER") != 0
    assert node.echo(called="OTHER") != 0
    assert node.send(one, caller="STRANGER").returncode != 0
    assert node.left() == []
    assert node.send(one).returncode == 0


def test_what_is_too_large_is_refused_and_the_association_goes_on(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start("--max-mb", "1", "--max-pdu", "16384")
    (small,) = instances.make()
    (large,) = instances.make(rows=9000)  # 61 MB
    before = node.peak_memory_mb()
    sent = node.send(large, small, options=("-nh",))
    assert sent.stderr.count("Refused: OutOfResources") == 1
    wait_for(lambda: archive.sources() == [uid_of(small)])
    assert node.peak_memory_mb() - before < 20
    assert node.end() == 0
    assert "received 1, refused_receipts 1" in node.log


def test_a_peer_that_sends_too_fast_is_refused(node: Node, instances: Instances) -> None:
    node.start("--max-per-minute", "2")
    sent = node.send(*instances.make(6), options=("-nh",))
    assert sent.stderr.count("Refused: OutOfResources") == 4
    assert node.end() == 0
    assert "received 2, refused_receipts 4" in node.log


def test_a_full_queue_refuses(node: Node, instances: Instances) -> None:
    node.start("--max-waiting", "3")
    node.send(*instances.make(5), options=("-nh",))
    assert node.end() == 0
    assert "received 3, refused_receipts 2" in node.log


def test_a_full_disk_refuses(node: Node, instances: Instances) -> None:
    node.start("--reserve-mb", "10000000")
    assert node.send(*instances.make()).returncode != 0
    assert node.left() == []


def test_encodings_are_kept_as_they_were_sent(
    node: Node, archive: Archive, instances: Instances
) -> None:
    archive.start()
    node.start()
    (one,) = instances.make()
    dataset = pydicom.dcmread(one)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(instances.folder / "implicit.dcm", implicit_vr=True, little_endian=True)
    both = [one, instances.folder / "implicit.dcm"]
    # Each is offered alone: -xe and -xi propose one transfer syntax.
    assert node.send(both[0], options=("-xe",)).returncode == 0
    assert node.send(both[1], options=("-xi",)).returncode == 0
    wait_for(lambda: archive.sources() == sorted(map(uid_of, both)))


def test_health_and_counters(node: Node, archive: Archive, instances: Instances) -> None:
    node.start("--health-port", "0")
    port = node.log.split("http://127.0.0.1:")[1].split("/")[0]

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    assert node.send(*instances.make(2)).returncode == 0
    wait_for(lambda: json.loads(get("/health"))["instances"]["answered"] == 2)
    wait_for(lambda: json.loads(get("/health"))["archive"] == "unreachable")
    archive.start()
    wait_for(lambda: json.loads(get("/health"))["instances"]["sent"] == 2)
    health = json.loads(get("/health"))
    assert (health["status"], health["problems"]) == ("ok", [])
    metrics = get("/metrics")
    assert "\nboneage_node_sent_total 2\n" in metrics
    assert '\nboneage_node_instances{state="sent"} 2\n' in metrics
    with pytest.raises(urllib.error.HTTPError):
        get("/")


def test_two_nodes_do_not_share_a_queue(node: Node, run_cli: RunCli) -> None:
    node.start()
    again = ["--queue", node.queue, "--send-to", "127.0.0.1:104:ARCHIVE", "--port", "0"]
    done = run_cli("listen", *again)
    assert done.returncode == 2
    assert "Another node works on the queue" in done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--send-to", "pacs"], "write HOST:PORT:AET"),
        (["--send-to", "pacs:0:A"], "write HOST:PORT:AET"),
        (["--send-to", "pacs:104:" + 17 * "A"], "no AE title"),
        (["--send-to", "pacs:104:A", "--host", "0.0.0.0"], "--allow"),
        (["--send-to", "pacs:104:A", "--max-pdu", "1"], "--max-pdu must be"),
        (["--send-to", "pacs:104:A", "--retry-most", "0.5"], "--retry-most must be"),
    ],
)
def test_a_wrong_command_line_says_so(
    options: list[str], reason: str, run_cli: RunCli, tmp_path: Path
) -> None:
    done = run_cli("listen", "--queue", tmp_path / "queue", *options)
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (tmp_path / "queue").exists()


def test_a_model_that_cannot_be_used_is_told_at_the_start(run_cli: RunCli, tmp_path: Path) -> None:
    options = ["--queue", tmp_path / "queue", "--send-to", "127.0.0.1:104:A", "--port", "0"]
    done = run_cli("listen", *options, "--model", tmp_path / "none")
    assert done.returncode == 2
    assert "none" in done.stderr
