"""The task of detection: what it learns and measures, its page, whole runs."""
