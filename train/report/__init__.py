"""The report of a finished run: one page that a person opens, and its figures as PNGs."""

from train.report.write import Predictions, write_report

__all__ = ["Predictions", "write_report"]
