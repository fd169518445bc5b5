"""The structured report: figures with codes, after TID 1500 "Measurement Report" (PS3.16).

A radiograph without a bone age gets a report as well: who looks into a study must be able to tell
"the software refused" from "the software has not run". It holds no number. PS3.3 C.18.1 would have
a measurement without a value and the reason in its place, but readers in wide use, highdicom's
among them, cannot read that; so the same code of CID 42 stands as a coded evaluation.
"""

from collections.abc import Iterator
from datetime import datetime

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    MeasurementStatisticalProperties,
    NormalRangeProperties,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from boneage import __version__
from boneage.growth.sds import NORMAL_SD, SD_LIMITS, SDScore
from boneage.inference.card import Card
from boneage.reports.child import ChildVisit
from boneage.reports.child_words import NO_DECISION, RESEARCH_ONLY, facts_of, how_sure
from boneage.reports.dicom_results import concepts
from boneage.reports.dicom_results.concepts import Concept
from boneage.reports.dicom_results.header import UTF8, laterality_of
from boneage.reports.dicom_results.identity import Outcome, named_uid
from boneage.reports.words import years_and_months

__all__ = ["SERIES_NUMBER", "structured_report"]

SERIES_NUMBER = 9701
"""Of every report: behind the modality's own series, and the same each time."""

_CONTAINS = RelationshipTypeValues.CONTAINS
_HAS_PROPERTIES = RelationshipTypeValues.HAS_PROPERTIES
_HAS_CONTEXT = RelationshipTypeValues.HAS_OBS_CONTEXT
_ATLAS = (
    "Greulich WW, Pyle SI. Radiographic Atlas of Skeletal Development of the Hand and Wrist. 2nd "
    "ed. Stanford University Press, 1959."
)
_LINE_END = "\r\n"  # PS3.5 section 6.1.3
_LONG_STRING = 64  # PS3.5 section 6.2, LO


def structured_report(
    source: Dataset, outcome: Outcome, visit: ChildVisit, now: datetime
) -> ComprehensiveSR:
    """Make the report on one radiograph, without the identity of patient and study.

    Args:
        source: The header of the radiograph; its UIDs are referred to.
        outcome: The answer.
        visit: The same on the growth references.
        now: Content date and time.

    Returns:
        The report: unverified and preliminary, as no person has seen it; complete if there is a
        bone age, else partial with the reason.
    """
    content = MeasurementReport(
        observation_context=_context(visit, outcome.card),
        procedure_reported=_code(concepts.RADIOGRAPHY),
        imaging_measurements=[_group(source, outcome, visit)],
    )
    report = ComprehensiveSR(
        evidence=[_evidence(source)],
        content=content[0],
        series_instance_uid=outcome.uid(source, "series of the report"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=outcome.uid(source, "report"),
        instance_number=1,
        manufacturer="boneage",
        manufacturer_model_name="boneage",
        software_versions=software_versions(outcome.card),
        series_description="Bone age (boneage, research only)",
        is_complete=visit.row.status == "ok",
        is_final=False,
        is_verified=False,
        specific_character_set=UTF8,
        content_date=now.date(),
        content_time=now.time(),
        coding_schemes=[
            CodingSchemeIdentificationItem(
                concepts.PRIVATE_SCHEME,
                name="boneage codes",
                version="1",
                responsible_organization="boneage",
            )
        ],
    )
    if visit.row.status != "ok":
        report.CompletionFlagDescription = f"No bone age: {visit.row.status}"
    return report


def software_versions(card: Card) -> list[str]:
    """Versions of the software and the model (PS3.3 C.7.5.1)."""
    return [f"boneage {__version__}", f"{card.name} {card.version}"[:_LONG_STRING]]


def _evidence(source: Dataset) -> Dataset:
    """What highdicom needs to refer to the radiograph; who it is of is copied as it is later."""
    evidence = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(evidence, keyword, source[keyword].value)
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
    ):
        setattr(evidence, keyword, "")
    return evidence


def _context(visit: ChildVisit, card: Card) -> ObservationContext:
    """Who observed, a device (TID 1004), and on whom, as far as it matters (TID 1007)."""
    device = DeviceObserverIdentifyingAttributes(
        uid=named_uid("device", "boneage", __version__),
        name="boneage",
        manufacturer_name="boneage",
        model_name=f"boneage {__version__}, model {card.name} {card.version}",
    )
    context = ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )
    context.append(CodeContentItem(codes.DCM.SubjectClass, codes.DCM.Patient, _HAS_CONTEXT))
    if visit.facts.age_months is not None:
        context.append(
            _number(concepts.SUBJECT_AGE, visit.facts.age_months, concepts.MONTH, _HAS_CONTEXT)
        )
    if visit.row.sex is not None:
        sex = codes.DCM.Female if visit.row.sex == "female" else codes.DCM.Male
        context.append(CodeContentItem(codes.DCM.SubjectSex, sex, _HAS_CONTEXT))
    return context


def _group(
    source: Dataset, outcome: Outcome, visit: ChildVisit
) -> MeasurementsAndQualitativeEvaluations:
    """The figures, where they come from, and what is to be said of them (TID 1501)."""
    side = {"L": concepts.LEFT, "R": concepts.RIGHT}.get(laterality_of(source))
    site = FindingSite(_code(concepts.HAND), laterality=None if side is None else _code(side))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=outcome.uid(source, "tracking"), identifier="Bone age"
        ),
        finding_sites=[site],
        method=_code(concepts.GREULICH_PYLE),
        algorithm_id=_algorithm(outcome.card),
        measurements=list(_measurements(outcome, visit)),
        qualitative_evaluations=list(_evaluations(visit)),
        source_images=[
            SourceImageForMeasurementGroup(str(source.SOPClassUID), str(source.SOPInstanceUID))
        ],
    )
    for name, text in _texts(outcome, visit):
        group[0].ContentSequence.append(TextContentItem(_code(name), text, _CONTAINS))
    return group


def _algorithm(card: Card) -> AlgorithmIdentification:
    """The model (TID 4019); its file's hash tells apart what may bear one name and version."""
    graph = card.files.get("model.onnx")
    return AlgorithmIdentification(
        card.name,
        card.version,
        parameters=None if graph is None else [f"SHA-256 of the network: {graph}"],
        family=_code(concepts.ALGORITHM_FAMILY),
    )


def _measurements(outcome: Outcome, visit: ChildVisit) -> Iterator[Measurement]:
    """The bone age and the limits of its interval (TID 300)."""
    months, month = visit.row.bone_age_months, _code(concepts.MONTH)
    if months is None:
        return
    properties = None if visit.score is None else _growth(visit.score)
    yield Measurement(_code(concepts.BONE_AGE), round(months, 1), month, properties=properties)
    if visit.interval_months is None:
        return
    lower, upper = visit.interval_months
    yield Measurement(_code(concepts.LOWER_LIMIT), round(lower, 1), month)
    yield Measurement(_code(concepts.UPPER_LIMIT), round(upper, 1), month)
    if outcome.level is not None:
        level = round(100 * outcome.level, 1)
        yield Measurement(_code(concepts.LEVEL), level, _code(concepts.PERCENT))


def _evaluations(visit: ChildVisit) -> Iterator[QualitativeEvaluation]:
    """What stands in place of a bone age."""
    if visit.row.bone_age_months is None:
        reason = concepts.FAILED if visit.row.status == "failed" else concepts.NOT_ATTEMPTED
        yield QualitativeEvaluation(_code(concepts.BONE_AGE), _code(reason))


def _growth(score: SDScore) -> MeasurementProperties:
    """Where the bone age lies among healthy children (TID 310, with TID 311 and 312)."""
    low, high = score.normal_months
    return MeasurementProperties(
        measurement_statistical_properties=MeasurementStatisticalProperties(
            [
                _number(concepts.SD_SCORE, score.score, concepts.NO_UNITS, _HAS_PROPERTIES, 2),
                _number(
                    concepts.SD_OF_POPULATION, score.sd_months, concepts.MONTH, _HAS_PROPERTIES, 2
                ),
            ],
            description=f"{score.norm.sample}. {SD_LIMITS}",
            authority=_ATLAS,
        ),
        normal_range_properties=NormalRangeProperties(
            [
                _number(concepts.NORMAL_LOWER, low, concepts.MONTH, _HAS_PROPERTIES),
                _number(concepts.NORMAL_UPPER, high, concepts.MONTH, _HAS_PROPERTIES),
            ],
            description=f"{NORMAL_SD:g} SD around the chronological age",
            authority=_ATLAS,
        ),
    )


def _texts(outcome: Outcome, visit: ChildVisit) -> list[tuple[Concept, str]]:
    """The sentences of the report, those of the page on a child."""
    row = visit.row
    texts = [(concepts.RESEARCH_NOTICE, f"{RESEARCH_ONLY} {NO_DECISION}")]
    if row.bone_age_months is None:
        return [*texts, (concepts.FINDING, f"No bone age, {row.status}: {row.message}")]
    age = f"{years_and_months(row.bone_age_months)} ({row.bone_age_months:.1f} months)"
    lines = [f"Bone age: {age}"]
    lines += [f"{name}: {value}" for name, value in facts_of(visit, outcome.level)]
    texts.append((concepts.FINDING, _LINE_END.join(lines)))
    if row.message:
        texts.append((concepts.COMMENT, f"Warning: {row.message}"))
    return texts + [(concepts.COMMENT, sentence) for sentence in how_sure(visit, outcome.card)]


def _number(
    name: Concept,
    value: float,
    unit: Concept,
    relationship: RelationshipTypeValues,
    digits: int = 1,
) -> NumContentItem:
    return NumContentItem(_code(name), round(value, digits), _code(unit), None, relationship)


def _code(concept: Concept) -> CodedConcept:
    return CodedConcept(concept.value, concept.scheme, concept.meaning)
