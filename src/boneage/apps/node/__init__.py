"""The DICOM node: receives radiographs, predicts, and sends the results to an archive."""
