"""Everything that a run has on the disk, and the refusal to lose any of it.

`workdir.py` is the folder, `checkpoint.py` and `seal.py` what a run goes on from, `journal.py` its metrics, `files.py`
small files that appear whole or not at all. In come arrays, recipes and metrics; nothing here knows a task or a model.
"""
